"""Cache check: whether a point cache is fit to be a target, found by reading all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import Fault
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.productions.production_toml import rates_agree
from facecap_core.template import Template

BLOCK_BYTES = 8 * 2**20

# Judged by size, since a cache does not say what it shows. A face that speaks moves its vertices by a
# twentieth of the face's radius; another unit is a factor of 2.5 at least (in, cm), mostly 10 or 100.
STILL_MM = 0.001
LARGEST_SCALE = 2.0
LARGEST_DEVIATION = 0.35
LARGEST_DRIFT = 0.04
STEADIEST_PERCENTILE = 1.0


@dataclass(frozen=True)
class CacheFacts:
    """A cache that was read whole: its size, what it says of itself, and what is wrong with it."""

    format: str
    frames: int
    vertices: int
    start_frame: float | None
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


def check_cache(
    path: Path,
    template: Template,
    *,
    fps: Fraction,
    units: str,
    mm_per_unit: float,
    between_blocks: Callable[[], None],
) -> CacheFacts:
    """Read all frames in blocks of a few MiB and judge them.

    `between_blocks` is called between reads, and may raise to end the check. Raises PointCacheError for
    what the reader refuses: damage, another vertex count or topology, positions that are not finite.
    """
    faults: list[Fault] = []
    warnings: list[Fault] = []
    with open_point_cache(path, vertex_count=template.vertex_count, topology=template) as cache:
        if cache.fps is not None and not rates_agree(cache.fps, fps):
            message = f"the cache says {cache.fps} frames per second, the production {fps}"
            faults.append(Fault(message, "export it at the production's rate", str(path)))
        if cache.units is not None and cache.units != units:
            message = f"the cache is in {cache.units}, the production in {units}"
            faults.append(Fault(message, f"export it in {units}", str(path)))
        warnings += [Fault(note, "", str(path)) for note in cache.notes]
        measure = _Measure(template.positions)
        for block in cache.batches(max(1, BLOCK_BYTES // (12 * template.vertex_count))):
            measure.add(block)
            between_blocks()
        for message, remedy in measure.faults(mm_per_unit):
            faults.append(Fault(message, remedy, str(path)))
        if not faults:
            for message, remedy in measure.warnings():
                warnings.append(Fault(message, remedy, str(path)))
        return CacheFacts(
            cache.format,
            cache.frame_count,
            cache.vertex_count,
            cache.start_frame,
            tuple(faults),
            tuple(warnings),
        )


class _Measure:
    """Sums over frames: how far the mesh moves, and how like the template it is."""

    def __init__(self, rest: NDArray[np.float32]) -> None:
        self.rest = rest - rest.mean(axis=0)
        self.radius = float(np.sqrt(np.mean(np.sum(self.rest**2, axis=1))))
        self.first: NDArray[np.float32] | None = None  # [vertex, xyz]
        self.frames = 0
        self.moved = np.zeros(len(rest), np.float32)  # [vertex], farthest from the first frame
        self.mean = np.zeros_like(self.rest, np.float64)  # [vertex, xyz]

    def add(self, block: NDArray[np.float32]) -> None:
        """Take in positions [frame, vertex, xyz]."""
        if self.first is None:
            self.first = block[0].copy()
        self.frames += len(block)
        np.maximum(self.moved, np.abs(block - self.first).max(axis=(0, 2)), out=self.moved)
        self.mean += block.sum(axis=0, dtype=np.float64)

    def faults(self, mm_per_unit: float) -> list[tuple[str, str]]:
        """(message, remedy) of what no training could use."""
        if self.frames > 1 and float(self.moved.max()) * mm_per_unit < STILL_MM:
            remedy = "export the animated mesh, with its deformers on"
            return [(f"nothing moves in its {self.frames} frames", remedy)]
        return []

    def warnings(self) -> list[tuple[str, str]]:
        """(message, remedy) of what looks wrong, most telling first; the later would follow from the former."""
        mean = self.mean / max(1, self.frames)
        mean -= mean.mean(axis=0)
        radius = float(np.sqrt(np.mean(np.sum(mean**2, axis=1))))
        if not self.radius or not 1 / LARGEST_SCALE < radius / self.radius < LARGEST_SCALE:
            times = radius / self.radius if self.radius else float("inf")
            message = f"the mesh is {times:.3g} times the template's size"
            return [(message, "look at the units of both: they must be the production's")]
        deviation = float(np.sqrt(np.mean(np.sum((mean - self.rest) ** 2, axis=1)))) / self.radius
        if deviation > LARGEST_DEVIATION:
            message = f"the mean shape is unlike the template ({deviation:.0%} of its radius apart)"
            remedy = "look at the order of vertices, the up axis, and whether it is stabilised"
            return [(message, remedy)]
        # Of a stabilised face some vertices, on the forehead or at the sides, hardly ever move.
        drift = float(np.percentile(self.moved, STEADIEST_PERCENTILE)) / self.radius
        if drift > LARGEST_DRIFT:
            message = f"even the steadiest vertices travel by {drift:.0%} of the mesh's radius"
            return [(message, "remove the head's motion: targets are stabilised in head space")]
        return []
