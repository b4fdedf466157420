"""Augmentation: random geometry and tone of the input images, in one warp (Section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from facecap_core.learning.config import AugmentationConfig


@dataclass(frozen=True)
class Draws:
    """What is done to each image of a batch: all tensors [image].

    Translations in parts of the picture's width, angle in radians, zoom and contrast as factors,
    brightness in levels of 0 to 255. The rest is what the paper found to be of no use; None leaves it
    out: gamma is the exponent of levels from 0 to 1; perspective is how much larger than the middle
    the right edge becomes (x), and the lower edge (y), as what is nearer does; noise is its deviation
    in levels, and its pixels come from `noise_seed`.
    """

    translation_x: torch.Tensor
    translation_y: torch.Tensor
    angle: torch.Tensor
    zoom: torch.Tensor
    brightness: torch.Tensor
    contrast: torch.Tensor
    gamma: torch.Tensor | None = None
    perspective_x: torch.Tensor | None = None
    perspective_y: torch.Tensor | None = None
    noise: torch.Tensor | None = None
    noise_seed: int = 0

    def taken(self, images: torch.Tensor) -> Draws:
        """The draws of these images (indices, some of them more than once). Noise differs all the same."""
        return self.of_rows(self.rows()[:, images])

    def rows(self) -> torch.Tensor:
        """All that is drawn as one tensor [kind, image], which goes to a device in one copy."""
        return torch.stack([v for v in vars(self).values() if isinstance(v, torch.Tensor)])

    def of_rows(self, rows: torch.Tensor) -> Draws:
        """The draws of such a tensor, of the same kinds as these."""
        names = [name for name, v in vars(self).items() if isinstance(v, torch.Tensor)]
        chosen: dict[str, Any] = dict(zip(names, rows, strict=True))
        return replace(self, **chosen)


def draw(
    images: int, config: AugmentationConfig, strength: float, generator: torch.Generator
) -> Draws:
    """Uniform draws of `strength` (0 to 1) times the configured magnitudes, from a CPU generator."""
    unit = (torch.rand(6, images, generator=generator) * 2 - 1) * strength
    usual = Draws(
        translation_x=unit[0] * config.translation,
        translation_y=unit[1] * config.translation,
        angle=unit[2] * (config.rotation_degrees * torch.pi / 180),
        zoom=(unit[3] * config.zoom).exp(),
        brightness=unit[4] * (config.brightness * 255),
        contrast=(unit[5] * config.contrast).exp(),
    )
    # Without them nothing more may be drawn: the numbers after these decide runs of earlier versions.
    if not (config.gamma or config.perspective or config.noise):
        return usual
    more = (torch.rand(4, images, generator=generator) * 2 - 1) * strength
    seed = int(torch.randint(2**62, (), generator=generator))
    return replace(
        usual,
        gamma=(more[0] * config.gamma).exp() if config.gamma else None,
        perspective_x=more[1] * config.perspective if config.perspective else None,
        perspective_y=more[2] * config.perspective if config.perspective else None,
        noise=more[3].abs() * (config.noise * 255) if config.noise else None,
        noise_seed=seed,
    )


def augment(luma: torch.Tensor, draws: Draws, mean_level: float) -> torch.Tensor:
    """Warp and tone uint8 images [image, y, x] on their device; float32 levels of the same shape.

    One bilinear resampling for translation, rotation, zoom and perspective together; beyond the
    picture its edge is repeated. Contrast acts about `mean_level`, the mean over the training set.
    The same draws give the same images on the same kind of device.
    """
    count, height, width = luma.shape
    moved = {
        name: value.to(luma.device)
        for name, value in vars(draws).items()
        if isinstance(value, torch.Tensor)
    }
    cos = torch.cos(moved["angle"]) / moved["zoom"]
    sin = torch.sin(moved["angle"]) / moved["zoom"]
    aspect = height / width
    # grid_sample's coordinates run from -1 to 1 along each axis, so rotation needs the aspect ratio.
    rows = [
        torch.stack([cos, sin * aspect, -2 * moved["translation_x"]], 1),
        torch.stack([-sin / aspect, cos, -2 * moved["translation_y"] / aspect], 1),
    ]
    grid = torch.nn.functional.affine_grid(
        torch.stack(rows, 1), [count, 1, height, width], align_corners=False
    )
    if "perspective_x" in moved:
        across = moved["perspective_x"][:, None] * _centres(width, luma.device)
        down = moved["perspective_y"][:, None] * _centres(height, luma.device)
        grid = grid / (1 + across[:, None, :] + down[:, :, None])[..., None]
    warped = torch.nn.functional.grid_sample(
        luma[:, None].float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )[:, 0]
    if "gamma" in moved:  # before brightness, after which levels may be below zero
        warped = 255 * (warped / 255).pow(moved["gamma"][:, None, None])
    tone = moved["contrast"][:, None, None]
    shift = moved["brightness"][:, None, None]
    toned = (warped - mean_level) * tone + (mean_level + shift)
    if "noise" in moved:  # last, as a sensor's
        generator = torch.Generator(luma.device).manual_seed(draws.noise_seed)
        grain = torch.randn(toned.shape, generator=generator, device=luma.device)
        toned = toned + moved["noise"][:, None, None] * grain
    return toned


def _centres(size: int, device: torch.device) -> torch.Tensor:
    """Where the pixels of an axis lie in grid_sample's coordinates, from -1 to 1: [pixel]."""
    return (2 * torch.arange(size, device=device) + 1) / size - 1
