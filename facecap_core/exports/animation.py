"""Animation: a mesh of one topology whose vertices move, in the units and axes that a file shall have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecap_core.pointcaches.whole_file import float_blocks
from facecap_core.template import Template
from facecap_core.units import MM_PER_UNIT

Read = Callable[[int, int], NDArray[np.float32]]
"""[start, stop) to positions [frame, vertex, xyz], in `source_units`."""


@dataclass(frozen=True)
class Animation:
    """What an exporter writes, read a few frames at a time."""

    name: str
    frames: int
    fps: Fraction
    template: Template
    read: Read
    source_units: str
    units: str
    up_axis: str = "y"
    start_frame: float = 0.0
    figures: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # [frame], by name
    about: str = ""  # where it comes from, for formats that can say so

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.frames, self.template.vertex_count, 3

    def __getitem__(self, frames: slice) -> NDArray[np.float32]:
        """Converted positions of some frames, float32 [frame, vertex, xyz]."""
        start, stop, _ = frames.indices(self.frames)
        return self.converted(self.read(start, stop))

    def blocks(self, path: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """First frame and converted positions [frame, vertex, xyz] of each block; `path` is named in errors.

        Raises:
            PointCacheError: a position is not finite.
        """
        start = 0
        for block in float_blocks(self, path):
            yield start, block
            start += len(block)

    def converted(self, positions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Positions [..., xyz] in the file's units and axes; the same bits where nothing changes."""
        if self.units != self.source_units:
            scale = MM_PER_UNIT[self.source_units] / MM_PER_UNIT[self.units]
            positions = (positions.astype(np.float64) * scale).astype(np.float32)
        if self.up_axis == "z":  # a quarter turn about x: what was up is up, what was front is -y
            x, y, z = np.moveaxis(positions, -1, 0)
            positions = np.stack([x, -z, y], axis=-1)
        return positions

    @property
    def meters_per_unit(self) -> float:
        return MM_PER_UNIT[self.units] / 1000
