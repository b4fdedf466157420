"""Augmentation: random geometry and tone of the input images, in one warp (Section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from facecap_core.learning.config import AugmentationConfig


@dataclass(frozen=True)
class Draws:
    """What is done to each image of a batch: all tensors [image].

    Translations in parts of the picture's width, angle in radians, zoom and contrast as factors,
    brightness in levels of 0 to 255.
    """

    translation_x: torch.Tensor
    translation_y: torch.Tensor
    angle: torch.Tensor
    zoom: torch.Tensor
    brightness: torch.Tensor
    contrast: torch.Tensor


def draw(
    images: int, config: AugmentationConfig, strength: float, generator: torch.Generator
) -> Draws:
    """Uniform draws of `strength` (0 to 1) times the configured magnitudes, from a CPU generator."""
    unit = (torch.rand(6, images, generator=generator) * 2 - 1) * strength
    return Draws(
        translation_x=unit[0] * config.translation,
        translation_y=unit[1] * config.translation,
        angle=unit[2] * (config.rotation_degrees * torch.pi / 180),
        zoom=(unit[3] * config.zoom).exp(),
        brightness=unit[4] * (config.brightness * 255),
        contrast=(unit[5] * config.contrast).exp(),
    )


def augment(luma: torch.Tensor, draws: Draws, mean_level: float) -> torch.Tensor:
    """Warp and tone uint8 images [image, y, x] on their device; float32 levels of the same shape.

    One bilinear resampling for translation, rotation and zoom together; beyond the picture its edge
    is repeated. Contrast acts about `mean_level`, the mean over the training set.
    """
    count, height, width = luma.shape
    moved = {name: value.to(luma.device) for name, value in vars(draws).items()}
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
    warped = torch.nn.functional.grid_sample(
        luma[:, None].float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )[:, 0]
    tone = moved["contrast"][:, None, None]
    shift = moved["brightness"][:, None, None]
    return (warped - mean_level) * tone + (mean_level + shift)
