"""Whole path: a file or folder that a library writes by name, which appears complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """A path of the same name in a hidden folder beside it; moved to `path` when the block ends well.

    Folders are made as needed; a file or folder that is there is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent))
    try:
        made = folder / path.name
        yield made
        if path.is_dir() and not path.is_symlink():
            os.replace(path, folder / "replaced")
        os.replace(made, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
