"""Picture signals: what the deep checks keep of a camera's pictures, so little that a long shot fits in memory.

Pictures are decoded once, a quarter of the crop's size beyond it on each side: what a crop cuts off can only be
seen outside of it. What is kept is a coarse grid of cells.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecap_core.footage.footage import Footage

BEYOND = 0.25  # of the crop's size
CELL = 8  # pixels of the decoded 240x320
ROWS, COLUMNS = 40, 30
STRETCH = 512  # frames in a row
BLACK_LEVEL, BLACK_CONTRAST = 6.0, 3.0  # below both, a picture is black
MOST_KEPT = 4096  # frames; of a longer shot, stretches evenly over it


@dataclass(frozen=True)
class PictureSignals:
    """One camera's pictures of a shot, with some of the surroundings of the crop.

    `inside` [row, column] says which cells have their middle in the crop, `crop` where its left, top, right
    and lower edges are in cells. `change` is, from one frame to the next, the mean difference of the cell
    that differs most, in levels of 255.
    """

    inside: NDArray[np.bool_]
    crop: tuple[float, float, float, float]
    level: NDArray[np.float32]  # [frame], mean within the crop, 0 to 255
    contrast: NDArray[np.float32]  # [frame], deviation of cells within the crop
    change: NDArray[np.float32]  # [frame - 1]
    stretches: list[NDArray[np.float16]]  # of [frame, row, column]: levels
    starts: list[int]  # the first frame of each stretch
    mean: NDArray[np.float32]  # [row, column], of those that are not black

    @property
    def frames(self) -> int:
        return len(self.level)

    @property
    def is_black(self) -> NDArray[np.bool_]:
        """bool [frame]."""
        return (self.level < BLACK_LEVEL) & (self.contrast < BLACK_CONTRAST)


def is_kept(frame: int, frames: int) -> bool:
    """Whether a frame belongs to the stretches of which more than a few figures are kept."""
    return frame // STRETCH % -(-frames // MOST_KEPT) == 0


def surroundings(
    crop: tuple[int, int, int, int], picture_size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The crop with what is beyond it, as far as the picture goes: x, y, width, height."""
    x, y, width, height = crop
    across, down = round(BEYOND * width), round(BEYOND * height)
    left, top = max(0, x - across), max(0, y - down)
    right = min(picture_size[0], x + width + across)
    lower = min(picture_size[1], y + height + down)
    return left, top, right - left, lower - top


def read_pictures(
    path: Path,
    *,
    crop: tuple[int, int, int, int],
    picture_size: tuple[int, int],
    fps: Fraction,
    frames: int,
    threads: int = 1,
    on_frame: Callable[[], None] = lambda: None,
) -> PictureSignals:
    """Decode all pictures.

    Args:
        frames: how many there are, as counted.
        on_frame: called after each one; may raise to end it.

    Raises:
        FootageError: by its named kinds.
    """
    around = surroundings(crop, picture_size)
    edges = _edges(crop, around)
    inside = _inside(edges)
    cells = inside.ravel()
    levels, contrasts, changes = [], [], []
    stretches: list[list[NDArray[np.float16]]] = []
    starts: list[int] = []
    total, lit = np.zeros((ROWS, COLUMNS)), 0
    before: NDArray[np.uint8] | None = None
    kept_before = False
    with closing(iter(Footage(path, crop=around, fps=fps, threads=threads))) as pictures:
        for number, picture in enumerate(pictures):
            luma = picture.luma
            small = _cells(luma)
            face = small.ravel()[cells]
            levels.append(face.mean())
            contrasts.append(face.std())
            if levels[-1] >= BLACK_LEVEL or contrasts[-1] >= BLACK_CONTRAST:
                total += small
                lit += 1
            if before is not None:
                changes.append(_cells(np.maximum(luma, before) - np.minimum(luma, before)).max())
            before = luma
            kept = is_kept(number, frames)
            if kept and not kept_before:
                stretches.append([])
                starts.append(number)
            if kept:
                stretches[-1].append(small.astype(np.float16))
            kept_before = kept
            on_frame()
    return PictureSignals(
        inside,
        edges,
        np.array(levels, np.float32),
        np.array(contrasts, np.float32),
        np.array(changes, np.float32),
        [np.stack(stretch) for stretch in stretches],
        starts,
        (total / max(1, lit)).astype(np.float32),
    )


def _cells(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of cells [row, column]."""
    rows = luma.reshape(ROWS, CELL, COLUMNS * CELL).sum(1, dtype=np.uint16)
    sums = rows.reshape(ROWS, COLUMNS, CELL).sum(2, dtype=np.uint16)
    return sums.astype(np.float32) / np.float32(CELL * CELL)


def _edges(
    crop: tuple[int, int, int, int], around: tuple[int, int, int, int]
) -> tuple[float, float, float, float]:
    across, down = COLUMNS / around[2], ROWS / around[3]
    left, top = (crop[0] - around[0]) * across, (crop[1] - around[1]) * down
    return left, top, left + crop[2] * across, top + crop[3] * down


def _inside(edges: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    left, top, right, lower = edges
    across, down = np.arange(COLUMNS) + 0.5, np.arange(ROWS) + 0.5
    return ((down > top) & (down < lower))[:, None] & ((across > left) & (across < right))
