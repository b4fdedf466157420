"""Whitening: one bias and one scale for all images, fixed at training time (Section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Whitening:
    """Mean and standard deviation over all pixels of all training images, in levels of 0 to 255."""

    mean: float
    deviation: float

    def __call__(self, luma: torch.Tensor) -> torch.Tensor:
        """Levels (uint8 or float) to float32 of zero mean and unit variance over the training set."""
        return (luma.float() - self.mean) / self.deviation


def compute_whitening(luma: torch.Tensor) -> Whitening:
    """Exact statistics of uint8 images [frame, y, x], from a histogram of the levels."""
    counts = torch.zeros(256, dtype=torch.int64)
    for block in luma.split(256):
        counts += torch.bincount(block.reshape(-1).to(torch.int32), minlength=256).cpu()
    levels = torch.arange(256, dtype=torch.float64)
    weights = counts.double() / counts.sum()
    mean = (levels * weights).sum()
    variance = ((levels - mean) ** 2 * weights).sum()
    return Whitening(float(mean), max(float(variance.sqrt()), 1.0))
