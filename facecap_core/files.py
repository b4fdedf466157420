"""Files: how one file of ours comes into being, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from facecap_core.errors import StoreError
from facecap_core.failpoints import reach

TRANSIENT = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.ENETDOWN, errno.ENETUNREACH}
    | {errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET, errno.EINTR, errno.EREMOTEIO}
)
"""What a network file system says while it recovers; the same work later may well succeed."""


def write_bytes_atomically(
    path: Path, data: bytes, *, durable: bool = True, new_folders: bool = True
) -> None:
    """Write a file that readers see in its old state or its new one.

    Args:
        durable: it survives a power cut, at the cost of waiting for the disk; without, the file may be
            empty after one.
        new_folders: make the folders on the way to it; without, only its own. Where a store was unmounted
            meanwhile, the error is better than a second store in its place.

    Raises:
        StoreError: the folder cannot be written (full, read-only, gone).
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with _opened(partial, new_folders) as file:
            file.write(data)
            reach("file.made")
            if durable:
                file.flush()
                os.fsync(file.fileno())
        reach("file.synced")
        os.replace(partial, path)
        if durable:
            sync_directory(path.parent)
        reach("file.visible")
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise store_error(error, path) from error


def _opened(path: Path, new_folders: bool) -> BinaryIO:
    """A new file; its folder is made only where it is missing, which costs nothing where it is not."""
    try:
        return open(path, "wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=new_folders, exist_ok=True)
        return open(path, "wb")


def write_text_atomically(
    path: Path, text: str, *, durable: bool = True, new_folders: bool = True
) -> None:
    """`write_bytes_atomically` of UTF-8."""
    write_bytes_atomically(path, text.encode(), durable=durable, new_folders=new_folders)


def make_folder(path: Path) -> None:
    """Make a folder and those on the way to it, where they are missing.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise store_error(error, path) from error


def remove_partials(folder: Path) -> None:
    """Remove what dead writers left in a folder that has one writer; another one gets an error."""
    for partial in folder.glob(".*.partial"):
        with contextlib.suppress(OSError):
            partial.unlink()


def store_error(error: OSError, path: Path) -> StoreError:
    """The same error with what a user can do about it."""
    if isinstance(error, StoreError):
        return error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = f"free some space on the disk of {path.parent} and run the same command again"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"make {path.parent} writable for this user and run the same command again"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        remedy = f"a file stands where the folder {path.parent} has to be: move it, or name another place"
    elif error.errno == errno.EISDIR:
        remedy = "move this folder away (copying makes plain folders of links), then run the command again"
    else:
        remedy = f"check that the disk of {path.parent} is mounted and run the same command again"
    found = StoreError(f"cannot write: {error.strerror or error}", remedy=remedy, file=path)
    found.transient = error.errno in TRANSIENT
    return found


def sync_tree(folder: Path) -> None:
    """Wait until a folder and all files in it are on disk."""
    for root, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            descriptor = os.open(os.path.join(root, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(Path(root))


def files_in(folder: Path) -> Iterator[Path]:
    """Every file in a folder and below.

    Raises:
        OSError: a folder cannot be listed; leaving out what is in it would be a false answer.
    """
    for root, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            yield Path(root, name)


def sha256_of(path: Path) -> str:
    """The digest of a file's content, as hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _raise(error: OSError) -> None:
    raise error


def sync_directory(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
