"""Whitening: one bias and one scale for all images, fixed at training time (Section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Whitening:
    """Mean and standard deviation over all pixels of all training images of a camera, in levels of 0 to 255.

    `per_image` uses each image's own instead: the paper warns that a shirt then changes the face.
    """

    mean: float
    deviation: float
    per_image: bool = False

    def __call__(self, luma: torch.Tensor) -> torch.Tensor:
        """Levels [image, y, x] (uint8 or float) to float32 of zero mean and unit variance."""
        levels = luma.float()
        if not self.per_image:
            return (levels - self.mean) / self.deviation
        variance, mean = torch.var_mean(levels, dim=(-2, -1), correction=0, keepdim=True)
        return (levels - mean) / variance.sqrt().clamp(min=1.0)


def choose_whitening(kind: str, luma: torch.Tensor) -> Whitening:
    """The whitening that `TrainConfig.whitening` names, for one camera's images uint8 [frame, y, x]."""
    if kind == "none":
        return Whitening(0.0, 255.0)
    found = compute_whitening(luma)
    return Whitening(found.mean, found.deviation, per_image=kind == "image")


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
