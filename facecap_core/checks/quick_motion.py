"""Quick motion: what moves fast in a shot, made ready to be foretold from one course to another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SLOW = 7  # frames: longer swings are taken out
PARTS = 5  # of a shot, each predicted from the others
APART = 8  # frames left out beside the predicted part: neighbours are alike


def quick(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Courses [frame, number] without what is slower than `SLOW` frames."""
    half = min(SLOW, len(values)) // 2
    sums = np.cumsum(np.pad(values.astype(np.float64), ((half + 1, half), (0, 0)), "edge"), axis=0)
    return values - (sums[2 * half + 1 :] - sums[: -2 * half - 1]) / (2 * half + 1)


def principal(
    values: NDArray[np.float64], limit: int, most: int | None = None
) -> NDArray[np.float64]:
    """The first principal components of courses [frame, number], as courses [frame, component].

    limit, most: at most so many components; None: no second limit.
    """
    values = values - values.mean(0)
    wide = values.shape[1] > len(values)
    size, vectors = np.linalg.eigh(values @ values.T if wide else values.T @ values)
    count = max(1, min(limit, len(size), most or limit))
    vectors = vectors[:, : -count - 1 : -1]
    return vectors * np.sqrt(np.maximum(size[: -count - 1 : -1], 0)) if wide else values @ vectors


def parts(count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The frames of each part, and those of the others, of so many in a row: int64 [n] each."""
    frames = np.arange(count)
    for asked in np.array_split(frames, PARTS):
        yield asked, frames[(frames < asked[0] - APART) | (frames > asked[-1] + APART)]
