"""Whole path: a file or folder that a library writes by name, which appears complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facecap_core.files import store_error, sync_directory, sync_tree
from facecap_core.stores.owners import abandoned, owner

PART = ".part"
# None of these comes from what is read meanwhile.
OUT_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """A path of the same name in a hidden folder beside it; moved to `path` when the block ends well.

    Folders are made as needed; a file or folder that is there is replaced. What writers of the same path left
    behind who were killed is removed.

    Raises:
        StoreError: nothing can be written there, or there is no room for it. OSError: it cannot be written for
            another reason.
    """
    folder = path.with_name(f"{_beginning(path)}{owner()}@{uuid.uuid4().hex[:8]}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        folder.mkdir()
    except OSError as error:
        raise store_error(error, path) from error
    try:
        made = folder / path.name
        yield made
        sync_tree(folder)
        _replace(path, made, before=folder / ".before")
        sync_directory(path.parent)
    except OSError as error:
        if error.errno in OUT_OF_ROOM:
            raise store_error(error, path) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(path: Path, made: Path, *, before: Path) -> None:
    """Put `made` in the place of `path`; by way of `before` where one of them is a folder."""
    if not os.path.lexists(path) or not (path.is_dir() or made.is_dir()):
        os.replace(made, path)
        return
    os.replace(path, before)
    try:
        os.replace(made, path)
    except BaseException:
        os.replace(before, path)
        raise


def _beginning(path: Path) -> str:
    return f".{path.name[:100]}@"


def _sweep(path: Path) -> None:
    """Remove what writers of the path left who have ended."""
    for left in path.parent.glob(f"{glob.escape(_beginning(path))}*{PART}"):
        _, writer, _ = left.name.rsplit("@", 2)
        with contextlib.suppress(OSError):
            if abandoned(writer, time.time() - left.lstat().st_mtime):
                shutil.rmtree(left, ignore_errors=True)
