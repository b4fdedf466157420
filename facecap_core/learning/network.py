"""Network: the convolutional network of Section 3.1."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from facecap_core.learning.basis import Basis
from facecap_core.learning.config import NetworkConfig
from facecap_core.learning.convolution import convolved


class Network(nn.Module):
    """Whitened images [image, 1, y, x] to vertex coordinates [image, 3 * vertex].

    Two 3x3 convolutions per stage, the first of stride 2, each with ReLU; dropout; a linear layer to
    the coefficients; a linear layer to the coordinates.
    """

    def __init__(self, config: NetworkConfig, outputs: int) -> None:
        super().__init__()
        self.features, flat = convolutions(config)
        self.drop = nn.Dropout(config.dropout)
        self.fc = nn.Linear(flat, config.components)
        self.output = nn.Linear(config.components, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.drop(convolved(self.features, images).flatten(1))
        # Positions of +-10 cm in bfloat16 would be off by 0.4 mm, so the linear layers stay in float32.
        with torch.autocast(features.device.type, enabled=False):
            return self.output(self.fc(features.float()))

    def initialise(self, config: NetworkConfig, basis: Basis, seed: int) -> None:
        """He initialisation; the output layer from the basis, its bias the mean mesh (Section 3.1)."""
        generator = torch.Generator().manual_seed(seed)
        start_layers([*self.features, self.fc], generator)
        start_output(self.output, config, basis, generator)

    def inner_weights(self) -> list[torch.Tensor]:
        """Weights of the layers between the first one and the output layer."""
        matrices = [p for p in (*self.features.parameters(), self.fc.weight) if p.ndim > 1]
        return matrices[1:]


def convolutions(config: NetworkConfig) -> tuple[nn.Sequential, int]:
    """The convolutional layers for one picture, and how many features come out of them."""
    layers: list[nn.Module] = []
    size, before = config.input_size, 1
    kernel, stride = config.stem
    for channels, refine in zip(config.channels, config.refine, strict=True):
        strided = nn.Conv2d(before, channels, kernel, stride, (kernel - stride + 1) // 2)
        layers += [strided, nn.ReLU(inplace=True)]
        size = output_size(strided, size)
        if refine:
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
        before, kernel, stride = channels, 3, 2
    return nn.Sequential(*layers), before * size[0] * size[1]


def output_size(layer: nn.Conv2d, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of what a square convolution makes of pictures of this width and height."""
    spare = 2 * int(layer.padding[0]) - layer.kernel_size[0]
    width, height = ((side + spare) // layer.stride[0] + 1 for side in size)
    return width, height


def start_layers(layers: Iterable[nn.Module], generator: torch.Generator) -> None:
    """He initialisation of convolutions followed by ReLU and of linear layers without, in their order."""
    with torch.no_grad():
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                _normal(layer.weight, (2.0 / layer.weight[0].numel()) ** 0.5, generator)
            elif isinstance(layer, nn.Linear):
                # What it puts out has the mean square of what it takes in: no ReLU follows, which would halve it.
                _normal(layer.weight, (1.0 / layer.in_features) ** 0.5, generator)
            else:
                continue
            assert layer.bias is not None
            layer.bias.zero_()


def start_output(
    output: nn.Linear, config: NetworkConfig, basis: Basis, generator: torch.Generator
) -> None:
    """The output layer from the basis, its bias the mean mesh (Section 3.1)."""
    rows = basis.components
    if config.output_start == "random":  # of the same size, without knowledge of the actor's shapes
        rows = torch.randn(rows.shape, generator=generator)
        rows = rows / rows.norm(dim=1, keepdim=True)
    if config.basis_scale == "deviation":
        rows = rows * basis.deviation[:, None]
    with torch.no_grad():
        output.weight.copy_(rows.T)
        output.bias.copy_(basis.mean)
    output.requires_grad_(config.train_output)


def _normal(weight: torch.Tensor, deviation: float, generator: torch.Generator) -> None:
    # Drawn on the CPU, so that a seed means the same weights on every device.
    weight.copy_(torch.randn(weight.shape, generator=generator) * deviation)


def shrink(luma: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """uint8 images [image, y, x] averaged down to `size` (width, height), a whole fraction of theirs."""
    factor = luma.shape[-1] // size[0]
    if factor == 1:
        return luma
    blocks = []
    for block in luma.split(128):
        small = nn.functional.avg_pool2d(block[:, None].float(), factor)
        blocks.append(small[:, 0].round().to(torch.uint8))
    return torch.cat(blocks)
