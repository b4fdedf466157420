"""Spoilt pictures: pictures with faults, from which calibration learns how large errors announce themselves.

Without them a calibration has seen nothing but usual frames, and says of a hand before the face that it is a little
worse than usual. The faults are none in particular: what is learned from one kind holds for others
(benchmarks/confidence.py plants other ones).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facecap_core.learning.augment import Draws, augment, draw
from facecap_core.learning.config import AugmentationConfig

WARPS = AugmentationConfig(
    translation=0.15, rotation_degrees=12.0, zoom=0.15, brightness=0.15, contrast=0.4
)
"""Several times what training sees."""
LEAST_PATCH, MOST_PATCH = 0.1, 0.5  # of the picture's width and height
MOST_SMEAR = 0.2  # of the picture's width
SMEAR_STEPS = 13
MOST_SHADE = 0.9  # of the light, at the darker edge


def spoilt(luma: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """uint8 pictures [picture, y, x] with faults of four kinds, each as many pictures again: another place and
    exposure, a piece of another picture over them, one side in the dark, and smeared.

    The same seed gives the same faults.
    """
    generator = torch.Generator().manual_seed(seed)
    return [
        augmented(luma, WARPS, generator),
        _covered(luma, generator),
        _shaded(luma, generator),
        _smeared(luma, generator),
    ]


def spoilt_views(luma: torch.Tensor, views: Sequence[int], seed: int) -> list[torch.Tensor]:
    """uint8 pictures [picture, view, y, x] with such faults, once for each kind; each camera has its own, as its own
    exposure."""
    kinds = zip(
        *(spoilt(luma[:, place], seed + view) for place, view in enumerate(views)), strict=True
    )
    return [torch.stack(kind, dim=1) for kind in kinds]


def augmented(
    luma: torch.Tensor, how: AugmentationConfig, generator: torch.Generator
) -> torch.Tensor:
    """uint8 pictures [picture, y, x] as augmentation shows them in training."""
    drawn = draw(len(luma), how, 1.0, generator)
    levels = augment(luma, drawn, float(luma.float().mean()))
    return levels.round().clamp(0, 255).to(torch.uint8)


def _covered(luma: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    count, height, width = luma.shape
    found = luma.clone()
    sizes = LEAST_PATCH + (MOST_PATCH - LEAST_PATCH) * torch.rand(count, 2, generator=generator)
    places = torch.rand(count, 4, generator=generator)
    others = torch.randint(0, count, (count,), generator=generator).tolist()
    for picture, other in enumerate(others):
        high = max(1, int(sizes[picture, 0] * height))
        wide = max(1, int(sizes[picture, 1] * width))
        free = torch.tensor([height - high, width - wide, height - high, width - wide])
        down, right, other_down, other_right = (places[picture] * (free + 1)).int().tolist()
        found[picture, down : down + high, right : right + wide] = luma[
            other, other_down : other_down + high, other_right : other_right + wide
        ]
    return found


def _shaded(luma: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    count, height, width = luma.shape
    angle = 2 * torch.pi * torch.rand(count, 1, 1, generator=generator)
    depth = MOST_SHADE * torch.rand(count, 1, 1, generator=generator)
    down = torch.linspace(-1, 1, height)[:, None]
    across = torch.linspace(-1, 1, width)
    place = (1 + angle.cos() * across + angle.sin() * down).clamp(0, 2) / 2
    shade = (1 - depth * place).to(luma.device)
    return (luma.float() * shade).round().to(torch.uint8)


def _smeared(luma: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Along a line of any direction, as by motion."""
    count = len(luma)
    angle = torch.pi * torch.rand(count, generator=generator)
    length = MOST_SMEAR * torch.rand(count, generator=generator)
    none, one = torch.zeros(count), torch.ones(count)
    total = torch.zeros(luma.shape, device=luma.device)
    for step in torch.linspace(-0.5, 0.5, SMEAR_STEPS).tolist():
        moved = Draws(
            translation_x=step * length * angle.cos(),
            translation_y=step * length * angle.sin(),
            angle=none,
            zoom=one,
            brightness=none,
            contrast=one,
        )
        total += augment(luma, moved, 0.0)
    return (total / SMEAR_STEPS).round().clamp(0, 255).to(torch.uint8)
