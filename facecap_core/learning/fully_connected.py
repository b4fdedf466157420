"""Fully connected network: from PCA coefficients of the image to vertex coordinates (Appendix B)."""

from __future__ import annotations

import torch
from torch import nn

from facecap_core.learning.basis import Basis
from facecap_core.learning.config import NetworkConfig
from facecap_core.learning.image_basis import ImageBasis
from facecap_core.learning.network import start_layers, start_output


class FullyConnected(nn.Module):
    """Whitened images [image, 1, y, x] to vertex coordinates [image, 3 * vertex].

    Their coefficients in the image basis, which is not learned; ReLU, dropout, tanh, dropout, and a
    linear layer to the coefficients of the mesh; a linear layer to the coordinates. Its images have to
    be stabilised: the position of the head in them is not something that it learns to look past.
    """

    image_mean: torch.Tensor
    image_components: torch.Tensor

    def __init__(self, config: NetworkConfig, outputs: int) -> None:
        super().__init__()
        pixels, inputs = config.input_size[0] * config.input_size[1], config.image_components
        self.register_buffer("image_mean", torch.zeros(pixels))
        self.register_buffer("image_components", torch.zeros(inputs, pixels))
        self.fc1 = nn.Linear(inputs, config.hidden[0])
        self.drop1 = nn.Dropout(config.dropout)
        self.fc2 = nn.Linear(config.hidden[0], config.hidden[1])
        self.drop2 = nn.Dropout(config.dropout)
        self.fc3 = nn.Linear(config.hidden[1], config.components)
        self.output = nn.Linear(config.components, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return self.output(self.fc3(self.drop2(self.hidden(images))))

    def hidden(self, images: torch.Tensor) -> torch.Tensor:
        """What the layer to the coefficients of the mesh sees, float32 [image, hidden]."""
        # bfloat16 has 8 bits: it would round small expressions away beside the light and the pose.
        with torch.autocast(images.device.type, enabled=False):
            centred = images.float().flatten(1) - self.image_mean
            coefficients = centred @ self.image_components.T
            hidden = self.drop1(torch.relu(self.fc1(coefficients)))
            return torch.tanh(self.fc2(hidden))

    def set_inputs(self, image_basis: ImageBasis) -> None:
        """Take the image basis, with rows of zeros where it has fewer components than there are inputs.

        He initialisation supposes inputs whose squares are 1 on average, so the components are divided
        by the root mean square of their deviations. One factor for all: a factor for each would raise
        the noise of the last components to the size of the first, which are the expressions.
        """
        found, wanted = len(image_basis.components), len(self.image_components)
        size = image_basis.deviation.square().sum() / wanted
        with torch.no_grad():
            self.image_mean.copy_(image_basis.mean)
            self.image_components.zero_()
            self.image_components[:found] = image_basis.components / size.sqrt().clamp(min=1e-12)

    def initialise(self, config: NetworkConfig, basis: Basis, seed: int) -> None:
        """He initialisation; the output layer from the basis, its bias the mean mesh (Section 3.1)."""
        generator = torch.Generator().manual_seed(seed)
        start_layers([self.fc1, self.fc2, self.fc3], generator)
        with torch.no_grad():
            self.fc1.weight *= 2**0.5  # a ReLU follows, which halves the square (He et al. 2015)
        start_output(self.output, config, basis, generator)

    def inner_weights(self) -> list[torch.Tensor]:
        """Weights of the layers between the first one and the output layer."""
        return [self.fc2.weight, self.fc3.weight]
