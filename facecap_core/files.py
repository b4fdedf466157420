"""Files: how anything of ours comes into being on disk, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from facecap_core.errors import FootageMissing, StoreError

VERSIONS = ".versions"
PARTIAL = ".partial"
STALE_SECONDS = 3600.0  # readers of a replaced version have this long to finish
_PRINTF = re.compile(r"%0?\d*d")
_BLOCK = 64 * 1024
_BLOCKS = 64


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write a file that readers see in its old state or its new one, and that survives a power cut.

    Raises:
        StoreError: the folder cannot be written (full, read-only, gone).
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise store_error(error, path) from error


def write_text_atomically(path: Path, text: str) -> None:
    """`write_bytes_atomically` of UTF-8."""
    write_bytes_atomically(path, text.encode())


def store_error(error: OSError, path: Path) -> StoreError:
    """The same error with what a user can do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = f"free some space on the disk of {path.parent} and run the same command again"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"make {path.parent} writable for this user and run the same command again"
    else:
        remedy = "check that the store is mounted and run the same command again"
    return StoreError(f"cannot write: {error.strerror or error}", remedy=remedy, file=path)


@contextlib.contextmanager
def whole_directory(final: Path) -> Iterator[Path]:
    """A folder to fill; when the block ends without an error it appears as `final`, all at once.

    `final` is a symbolic link to a folder under `.versions` beside it: replacing a link is atomic on
    every file system, network file systems too, so that a reader finds the old complete folder or the
    new one. The replaced version is kept for an hour, for readers who resolved the link before.

    Raises:
        StoreError: the folder cannot be written.
    """
    final = Path(final)
    versions = final.parent / VERSIONS
    owner = f"{_host()}-{os.getpid()}"
    version = versions / f"{final.name}@{owner}@{uuid.uuid4().hex[:8]}"
    staged = version.with_name(version.name + PARTIAL)
    try:
        staged.mkdir(parents=True)
    except OSError as error:
        raise store_error(error, final) from error
    try:
        yield staged
        _sync_tree(staged)
        os.rename(staged, version)
        link = versions / f".{version.name}.link"
        link.symlink_to(Path(VERSIONS) / version.name)
        replaced = os.path.realpath(final)
        os.replace(link, final)
        _sync_directory(final.parent)
    except BaseException as error:
        shutil.rmtree(staged, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            raise store_error(error, final) from error
        raise
    with contextlib.suppress(OSError):
        os.utime(replaced)  # the hour of its readers begins now
    _sweep(final)


def remove_whole_directory(final: Path) -> None:
    """Take a folder made by `whole_directory` away: first its name, then its contents."""
    target = Path(os.path.realpath(final))
    with contextlib.suppress(FileNotFoundError):
        Path(final).unlink()
    shutil.rmtree(target, ignore_errors=True)


def _sweep(final: Path) -> None:
    """Remove versions replaced an hour ago, and what dead writers left."""
    current = os.path.realpath(final)
    for version in (final.parent / VERSIONS).glob(f"{_escape(final.name)}@*"):
        if os.path.realpath(version) == current:
            continue
        with contextlib.suppress(OSError, ValueError):
            age = time.time() - version.stat().st_mtime
            if version.name.endswith(PARTIAL):
                host, _, pid = version.name.split("@")[-2].rpartition("-")
                # Another machine's writer cannot be asked whether it lives; a day is long enough.
                abandoned = not _alive(int(pid)) if host == _host() else age > 24 * STALE_SECONDS
            else:
                abandoned = age > STALE_SECONDS
            if abandoned:
                shutil.rmtree(version, ignore_errors=True)


def _host() -> str:
    return socket.gethostname().split(".")[0].replace("@", "-")


def _escape(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(os.path.join(root, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _sync_directory(Path(root))


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fingerprint_file(path: Path) -> str:
    """Content identity of a file of any size: its length and 64 blocks spread over it, as hexadecimal.

    Files up to 4 MiB are hashed whole. Compressed footage cannot change between the blocks without
    moving what follows, so this finds a new encode or a new cache at the cost of a few reads.

    Raises:
        FootageMissing: there is no such file, or it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(size.to_bytes(8, "little"))
            if size <= _BLOCK * _BLOCKS:
                starts = list(range(0, size, _BLOCK))
            else:
                starts = [(size - _BLOCK) * i // (_BLOCKS - 1) for i in range(_BLOCKS)]
            for start in starts:
                file.seek(start)
                digest.update(file.read(_BLOCK))
    except OSError as error:
        raise FootageMissing(
            f"cannot be read: {error.strerror}",
            remedy="check the path in shots.csv, and that the disk is mounted",
            file=path,
        ) from error
    return digest.hexdigest()


def fingerprint_footage(path: Path) -> str:
    """Content identity of a video file, or of an image or OBJ sequence given as `name.%04d.png`.

    Raises:
        FootageMissing: nothing is there, or it cannot be read.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        return fingerprint_file(path)
    if path.is_dir():
        members = sorted(member for member in path.iterdir() if member.is_file())
    else:
        head, *tail = _PRINTF.split(path.name)
        if not tail or not path.parent.is_dir():
            raise FootageMissing("no such file", remedy="check the path in shots.csv", file=path)
        pattern = re.compile(re.escape(head) + r"\d+" + re.escape(tail[0]))
        members = sorted(m for m in path.parent.iterdir() if pattern.fullmatch(m.name))
    if not members:
        raise FootageMissing(
            "no file of this sequence", remedy="check the path in shots.csv", file=path
        )
    digest = hashlib.blake2b(digest_size=16)
    for member in members:
        digest.update(member.name.encode() + b"\0" + fingerprint_file(member).encode())
    return digest.hexdigest()
