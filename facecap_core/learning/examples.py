"""Examples: the pictures and meshes that a network learns from, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Examples:
    """Images and meshes of some shots, one after another.

    `luma` uint8 [frame, view, y, x]; `positions` float32 [frame, 3 * vertex] in cm; `shots` (name, frames).
    """

    luma: torch.Tensor
    positions: torch.Tensor
    shots: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.luma)

    @property
    def views(self) -> int:
        return self.luma.shape[1]

    def to(self, device: torch.device) -> Examples:
        return Examples(self.luma.to(device), self.positions.to(device), self.shots)
