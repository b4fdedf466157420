"""Whole file: a binary file that appears under its name complete, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.whole_path import whole_path

BLOCK_BYTES = 16 * 2**20


class Positions(Protocol):
    """A numpy or Zarr array [frame, vertex, xyz]: it is read a few frames at a time."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, frames: slice, /) -> object: ...


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, named `path` only when the block ends well; folders are made as needed."""
    with whole_path(path) as temporary, open(temporary, "wb") as file:
        yield file


def float_blocks(positions: Positions, path: Path) -> Iterator[NDArray[np.float32]]:
    """The frames as float32 [frame, vertex, xyz], some at a time.

    Raises `PointCacheError` for another shape, for no frames or vertices, and for values that are not finite.
    """
    shape = tuple(positions.shape)
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise PointCacheError(
            f"positions have shape {shape}", remedy="give (frame, vertex, 3)", file=path
        )
    frames = max(1, BLOCK_BYTES // (12 * shape[1]))
    for start in range(0, shape[0], frames):
        with np.errstate(over="ignore"):
            block = np.asarray(positions[start : start + frames]).astype(np.float32, copy=False)
        bad = np.flatnonzero(~np.isfinite(block).all(axis=2))
        if bad.size:
            frame, vertex = divmod(int(bad[0]), shape[1])
            raise PointCacheError(
                f"frame {start + frame}, vertex {vertex}: position is not finite",
                remedy="no reader would accept it; mend the positions",
                file=path,
            )
        yield block
