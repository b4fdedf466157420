"""Examples: the pictures and meshes that a network learns from, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch


@dataclass(frozen=True)
class Examples:
    """Images and meshes of some shots, one after another.

    `luma` uint8 [frame, view, y, x]; `positions` float32 [frame, 3 * vertex] in cm; `shots` (name, frames).
    Behind the frames of these shots may lie `runs` of frames that artists corrected in others, (name, frames).
    `corrected` int64 [n]: all frames whose positions are an artist's, in shots and runs.
    """

    luma: torch.Tensor
    positions: torch.Tensor
    shots: tuple[tuple[str, int], ...]
    runs: tuple[tuple[str, int], ...] = ()
    corrected: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.luma)

    @property
    def views(self) -> int:
        return self.luma.shape[1]

    def to(self, device: torch.device) -> Examples:
        return replace(self, luma=self.luma.to(device), positions=self.positions.to(device))
