"""Plain loop: the training that an engineer writes in an afternoon, which ours is measured against.

A Dataset of single frames in memory, each augmented on its own on the CPU; a DataLoader with workers; float32
throughout, one operation at a time, Adam. The same network, loss, batch and augmentation as the preset's.
What it leaves out (schedules, averaged weights, checkpoints, validation) would only make it slower.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from facecap_core.learning.config import AugmentationConfig, NetworkConfig, TrainConfig
from facecap_core.learning.examples import Examples


class Frames(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Single frames: an augmented, whitened picture [1, y, x] and its mesh [3 * vertex]."""

    def __init__(self, examples: Examples, config: AugmentationConfig) -> None:
        self.luma, self.positions, self.config = examples.luma[:, 0], examples.positions, config
        some = self.luma[::16].float()
        self.mean, self.deviation = float(some.mean()), float(some.std())

    def __len__(self) -> int:
        return len(self.luma)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        picture = self.luma[index].float()
        height, width = picture.shape
        config, aspect = self.config, height / width
        x, y, turn, zoom, light, contrast = (torch.rand(6) * 2 - 1).tolist()
        angle = math.radians(turn * config.rotation_degrees)
        cos, sin = (f(angle) / math.exp(zoom * config.zoom) for f in (math.cos, math.sin))
        theta = torch.tensor(
            [
                [cos, sin * aspect, -2 * x * config.translation],
                [-sin / aspect, cos, -2 * y * config.translation / aspect],
            ]
        )
        grid = nn.functional.affine_grid(theta[None], [1, 1, height, width], align_corners=False)
        picture = nn.functional.grid_sample(
            picture[None, None], grid, padding_mode="border", align_corners=False
        )[0]
        scale = math.exp(contrast * config.contrast) / self.deviation
        shift = light * config.brightness * 255 / self.deviation
        return (picture - self.mean) * scale + shift, self.positions[index]


def plain_network(config: NetworkConfig, outputs: int) -> nn.Sequential:
    """The convolutional network of a configuration."""
    layers: list[nn.Module] = []
    (width, height), before = config.input_size, 1
    kernel, stride = config.stem
    for channels, refine in zip(config.channels, config.refine, strict=True):
        padding = (kernel - stride + 1) // 2
        layers += [nn.Conv2d(before, channels, kernel, stride, padding), nn.ReLU(inplace=True)]
        if refine:
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
        width, height, before = -(-width // stride), -(-height // stride), channels
        kernel, stride = 3, 2
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Dropout(config.dropout),
        nn.Linear(before * width * height, config.components),
        nn.Linear(config.components, outputs),
    )


def plain_steps(
    examples: Examples, config: TrainConfig, *, device: str = "cpu", workers: int = 1
) -> Iterator[float]:
    """Train for ever, one batch per iteration; gives the loss of each, in cm².

    Args:
        examples: on the CPU, from where the workers take them.
        workers: processes that augment while this one trains; 0: this one augments too.
    """
    loader = DataLoader(
        Frames(examples, config.augmentation),
        batch_size=config.batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device != "cpu",
    )
    network = plain_network(config.network, examples.positions.shape[1]).to(device)
    with torch.no_grad():
        network[-1].bias.copy_(examples.positions.mean(0))
    optimizer = torch.optim.Adam(network.parameters(), lr=config.schedule.learning_rate)
    network.train()
    while True:
        for pictures, meshes in loader:
            pictures = pictures.to(device, non_blocking=True)
            meshes = meshes.to(device, non_blocking=True)
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(network(pictures), meshes)
            loss.backward()
            optimizer.step()
            yield loss.item()
