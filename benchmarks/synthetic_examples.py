"""Synthetic examples: pictures of moving spots with the meshes that they decide, for benchmarks without footage."""

from __future__ import annotations

import torch

from facecap_core.learning.examples import Examples

SPOTS = 12
FRAMES_AT_ONCE = 64


def synthetic_examples(
    frames: int,
    size: tuple[int, int],
    *,
    vertices: int = 5000,
    take: int = 0,
    device: str = "cpu",
) -> Examples:
    """A take of one made-up actor: other takes (`take`) show other motion of the same face.

    Each of a dozen spots moves and changes its size as an expression of its own does, the whole head
    sways, and the sensor is noisy. Meshes follow the expressions, squares and products included, with
    deviations that fall as those of tracked faces do; how the head sways is not in them.
    """
    width, height = size
    face = torch.Generator().manual_seed(0)
    places = torch.rand(SPOTS, 2, generator=face) * 0.8 - 0.4
    ways = torch.randn(SPOTS, 2, generator=face) * 0.04
    levels = torch.rand(SPOTS, generator=face) * 140 - 60
    powers = SPOTS + SPOTS * SPOTS
    falling = 0.9 ** torch.arange(powers) * torch.randn(3 * vertices, powers, generator=face)
    mean = torch.randn(3 * vertices, generator=face) * 5

    motion = torch.Generator().manual_seed(take + 1)
    beat = torch.rand(2, SPOTS + 3, generator=motion) * 0.2 + 0.02
    phase = torch.rand(2, SPOTS + 3, generator=motion) * 6.3
    time = torch.arange(frames)[:, None]
    waves = torch.sin(time * beat[0] + phase[0]) * torch.sin(time * beat[1] + phase[1])
    expressions, sway = waves[:, :SPOTS], waves[:, SPOTS:]

    products = (expressions[:, :, None] * expressions[:, None]).flatten(1)
    weights = torch.cat([expressions, 0.2 * products], 1)
    positions = torch.addmm(mean.to(device), weights.to(device), 0.1 * falling.T.to(device))

    luma = torch.empty(frames, 1, height, width, dtype=torch.uint8, device=device)
    y = torch.linspace(-0.5 * height / width, 0.5 * height / width, height, device=device)
    x = torch.linspace(-0.5, 0.5, width, device=device)
    noise = torch.Generator(device).manual_seed(take)
    for start in range(0, frames, FRAMES_AT_ONCE):
        part = slice(start, start + FRAMES_AT_ONCE)
        centres = places + ways * expressions[part, :, None] + 0.03 * sway[part, None, :2]
        spread = (0.05 * (1.3 + expressions[part] + 0.05 * sway[part, 2:])).to(device)
        across = (x - centres[:, :, :1].to(device)) / spread[:, :, None]
        down = (y - centres[:, :, 1:].to(device)) / spread[:, :, None]
        # A Gaussian is the product of one along each axis: a product of matrices draws all spots.
        spots = (torch.exp(-down.square()) * levels.to(device)[:, None]).transpose(1, 2)
        shown = 100 + spots @ torch.exp(-across.square())
        shown += 3 * torch.randn(shown.shape, generator=noise, device=device)
        luma[part, 0] = shown.clamp(0, 255).to(torch.uint8)
    return Examples(luma, positions, ((f"take{take}", frames),))
