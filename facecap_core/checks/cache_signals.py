"""Cache signals: what the deep checks keep of a point cache, so little that a long shot fits in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.cache_check import BLOCK_BYTES
from facecap_core.checks.picture_signals import is_kept
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.template import Template

VERTICES = 200  # kept, at random over the mesh


@dataclass(frozen=True)
class CacheSignals:
    """A cache's motion. Distances are in mm, positions of some vertices in mm too.

    `step` is how far the farthest vertex goes from one frame to the next, `bend` how far it is in a frame
    from the middle between the frames before and after: 0 in a frame that was interpolated.
    """

    step: NDArray[np.float32]  # [frame - 1]
    bend: NDArray[np.float32]  # [frame - 2]
    stretches: list[NDArray[np.float32]]  # of [frame, vertex, xyz], the frames of PictureSignals
    frames: int

    def some(self, most: int) -> NDArray[np.float64]:
        """At most so many of the kept frames, evenly: [frame, vertex, xyz]."""
        every = np.concatenate(self.stretches)
        return every[:: max(1, -(-len(every) // most))].astype(np.float64)


def chosen_vertices(count: int) -> NDArray[np.int64]:
    """Those of a mesh that are kept: int64 [n], ascending, and the same for the same number of vertices."""
    order = np.random.default_rng(count).permutation(count)
    return np.sort(order[:VERTICES])


def read_cache(path: Path, template: Template, *, mm_per_unit: float) -> CacheSignals:
    """Read all frames in blocks of a few MiB.

    Raises PointCacheError for what the reader refuses.
    """
    chosen = chosen_vertices(template.vertex_count)
    steps, bends = [], []
    stretches: list[list[NDArray[np.float32]]] = []
    kept_before = False
    last: NDArray[np.float32] | None = None  # the two frames before the block
    with open_point_cache(path, vertex_count=template.vertex_count, topology=template) as cache:
        size = max(1, BLOCK_BYTES // (12 * template.vertex_count))
        start = 0
        for read in cache.batches(size):
            kept = [is_kept(start + index, cache.frame_count) for index in range(len(read))]
            for index in np.flatnonzero(kept):
                if not (kept[index - 1] if index else kept_before):
                    stretches.append([])
                stretches[-1].append(read[index, chosen] * np.float32(mm_per_unit))
            kept_before = kept[-1]
            block = read if last is None else np.concatenate([last, read])
            moved = np.diff(block, axis=0)
            new = slice(-len(read), None)  # the frames before the block have been counted
            steps.append(mm_per_unit * np.abs(moved).max((1, 2))[new])
            bends.append(mm_per_unit * np.abs(np.diff(moved, axis=0)).max((1, 2))[new] / 2)
            last, start = block[-2:], start + len(read)
        frames = cache.frame_count
    return CacheSignals(
        np.concatenate(steps).astype(np.float32),
        np.concatenate(bends).astype(np.float32),
        [np.stack(stretch) for stretch in stretches],
        frames,
    )
