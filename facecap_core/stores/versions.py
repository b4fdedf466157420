"""Versions: how a folder of ours comes into being or is replaced, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facecap_core.errors import StoreError
from facecap_core.failpoints import reach
from facecap_core.files import store_error, sync_directory, sync_tree
from facecap_core.stores.manifests import SUFFIX, write_manifest
from facecap_core.stores.owners import abandoned, owner

VERSIONS = ".versions"
PARTIAL = ".partial"
STALE_SECONDS = 3600.0  # readers of a replaced version have this long to finish


@dataclass
class Staged:
    """A folder to fill; `won` turns False when an equal one had become visible meanwhile."""

    path: Path
    won: bool = True


@contextlib.contextmanager
def whole_directory(
    final: Path, *, equal: Callable[[Path], bool] | None = None
) -> Iterator[Staged]:
    """A folder to fill; when the block ends without an error it appears as `final`, all at once.

    `final` is a symbolic link to a folder under `.versions` beside it: replacing a link is atomic on
    every file system, network file systems too, so that a reader finds the old complete folder or the
    new one. The replaced version is kept for an hour, for readers who resolved the link before.

    Args:
        equal: of several writers of the same thing one wins: when this says of the folder that is
            visible at the end that it is as good as ours, ours is dropped.

    Raises:
        StoreError: the folder cannot be written.
    """
    final = Path(final)
    versions = final.parent / VERSIONS
    version = versions / f"{final.name}@{owner()}@{uuid.uuid4().hex[:8]}"
    staged = Staged(version.with_name(version.name + PARTIAL))
    manifest = version.with_name(version.name + SUFFIX)
    lock = versions / f"{final.name}.lock"
    begun = again = False
    try:
        versions.mkdir(parents=True, exist_ok=True)
        again = not _made_first(lock) or os.path.lexists(final)
        begun = True
        staged.path.mkdir()
        reach("directory.made")
        yield staged
        reach("directory.filled")
        sync_tree(staged.path)
        write_manifest(staged.path, manifest)
        reach("directory.synced")
        with _turn(lock):
            staged.won = not (equal is not None and equal(final))
            if staged.won:
                _publish(staged.path, version, final)
            else:
                manifest.unlink()
                shutil.rmtree(staged.path)
    except BaseException as error:
        shutil.rmtree(staged.path, ignore_errors=True)
        if os.path.realpath(final) != os.path.realpath(version):
            shutil.rmtree(version, ignore_errors=True)
            for path in (manifest, _link_of(version)):
                with contextlib.suppress(OSError):
                    path.unlink()
        if isinstance(error, OSError) and begun and _is_missing(lock):
            gone = OSError(errno.ENOENT, "the store's folder is gone")
            raise store_error(gone, final) from error
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            raise store_error(error, final) from error
        raise
    if again:
        _sweep(final)


def finished_names(folder: Path) -> set[str]:
    """Under which names complete folders of ours were made in this one, also where a name is gone."""
    versions = (folder / VERSIONS).glob("*@*")
    return {
        path.name.partition("@")[0]
        for path in versions
        if path.is_dir() and not path.name.endswith(PARTIAL)
    }


def _publish(staged: Path, version: Path, final: Path) -> None:
    os.rename(staged, version)
    reach("directory.named")
    link = _link_of(version)
    link.symlink_to(Path(VERSIONS) / version.name)
    reach("directory.linked")
    replaced = os.path.realpath(final)
    os.replace(link, final)
    reach("directory.visible")
    with contextlib.suppress(OSError):
        os.utime(replaced)  # the hour of its readers begins now
    sync_directory(final.parent)


def _made_first(lock: Path) -> bool:
    """Whether nobody wrote under this name before: then nothing can be left over from it.

    To look for that lists the versions of all shots, thousands of them, once more for each shot.
    """
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    return True


def _is_missing(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return error.errno == errno.ENOENT
    return False


def _link_of(version: Path) -> Path:
    return version.with_name(f".{version.name}.link")


@contextlib.contextmanager
def _turn(path: Path) -> Iterator[None]:
    """One writer at a time between looking at what is visible and replacing it."""
    # Not made here: where it is missing, this is not the store any more that the work began in.
    descriptor = os.open(path, os.O_RDWR)
    try:
        # A file system without locks loses no data: its writers replace each other's equal folders.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(final: Path) -> None:
    """Remove versions replaced an hour ago, and what dead writers left."""
    current = os.path.basename(os.path.realpath(final))
    versions, name = final.parent / VERSIONS, glob.escape(final.name)
    # With a dot: links on their way, and manifests.
    for path in (*versions.glob(f"{name}@*"), *versions.glob(f".{name}@*")):
        writer, _, last = path.name.rpartition("@")
        _, _, ending = last.partition(".")
        if path.name.removesuffix(SUFFIX) == current:
            continue
        with contextlib.suppress(OSError, ValueError):
            age = time.time() - path.lstat().st_mtime
            if ending:
                stale = abandoned(writer.rpartition("@")[2], age)
                if path.name.endswith(SUFFIX):
                    stale &= not path.with_name(path.name.removesuffix(SUFFIX)).exists()
            else:
                stale = age > STALE_SECONDS
            if stale:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
    path.with_name(path.name + SUFFIX).unlink(missing_ok=True)
