"""Prepared layers: those of a trained network, with weights as the fastest kernels of a device read them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from facecap_core.learning.convolution import cudnn_fuses
from facecap_core.learning.network import output_size
from facecap_core.learning.whitening import Whitening

# Of the largest layer. Less is more calls; above 32 MiB glibc maps every tensor afresh, page by page.
ACTIVATION_BYTES = 10 << 20
CUDNN_CHANNELS = 8  # half-precision kernels of full speed take channels in multiples of this


class Trunk:
    """One camera's convolutions: uint8 [image, y, x] to features float32 [image, feature]."""

    def __init__(
        self,
        layers: nn.Sequential,
        whitening: Whitening,
        size: tuple[int, int],
        device: torch.device,
        half: torch.dtype | None,
    ) -> None:
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        self._whitening, self._channels = whitening, convolutions[-1].out_channels
        self._layers: list[_Layer] = []
        largest, spare = 1, 0
        for place, layer in enumerate(convolutions):
            # On a GPU nothing is gained by a first layer in float32; of bfloat16's error it is two thirds.
            first_in_float = place == 0 and half == torch.bfloat16
            kept = None if first_in_float else half
            made = _Layer(layer, size, device, kept or torch.float32, spare)
            spare = made.spare
            self._layers.append(made)
            size = output_size(layer, size)
            largest = max(largest, 4 * layer.out_channels * size[0] * size[1])
        self._images = max(1, ACTIVATION_BYTES // largest) if device.type == "cpu" else 1 << 30

    def __call__(self, luma: torch.Tensor) -> torch.Tensor:
        parts = []
        for part in luma.split(self._images):
            values = self._whitening(part)[:, None].contiguous(memory_format=torch.channels_last)
            for layer in self._layers:
                values = layer(values)
            parts.append(values[:, : self._channels].flatten(1).float())
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class _Layer:
    """One convolution with its ReLU, its weights in the order in which the kernel reads them."""

    def __init__(
        self,
        layer: nn.Conv2d,
        size: tuple[int, int],
        device: torch.device,
        dtype: torch.dtype,
        spare_before: int,
    ) -> None:
        self._dtype = dtype
        self._stride, self._padding = list(layer.stride), [int(pad) for pad in layer.padding]
        weight, self._bias = layer.weight.to(dtype), layer.bias
        assert self._bias is not None
        self._bias = self._bias.to(dtype)
        self.spare = 0
        if device.type == "cuda":
            self.spare = -layer.out_channels % CUDNN_CHANNELS
            weight = nn.functional.pad(weight, (0, 0, 0, 0, 0, spare_before, 0, self.spare))
            self._bias = nn.functional.pad(self._bias, (0, self.spare))
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._run = self._plain
        if device.type == "cuda" and cudnn_fuses(device, dtype):
            self._run = self._cudnn
        elif device.type == "cpu" and onednn_fuses(dtype):
            shape = [8, layer.in_channels, size[1], size[0]]
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight, self._padding, self._stride, [1, 1], 1, shape
            )
            self._run = self._onednn

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return self._run(values.to(self._dtype))

    def _plain(self, values: torch.Tensor) -> torch.Tensor:
        found = torch.conv2d(values, self._weight, self._bias, self._stride, self._padding)
        return found.relu_()

    def _cudnn(self, values: torch.Tensor) -> torch.Tensor:
        return torch.cudnn_convolution_relu(
            values, self._weight, self._bias, self._stride, self._padding, [1, 1], 1
        )

    def _onednn(self, values: torch.Tensor) -> torch.Tensor:
        fused = torch.ops.mkldnn._convolution_pointwise
        return fused(
            values,
            self._weight,
            self._bias,
            self._padding,
            self._stride,
            [1, 1],
            1,
            "relu",
            [],
            "",
        )


def prepared_linear(
    layer: nn.Linear, device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """A linear layer, float32 [image, feature] to float32 [image, output]."""
    if device.type != "cpu" or not onednn_fuses(torch.float32):
        return layer
    packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight, 16)
    run = torch.ops.mkldnn._linear_pointwise
    return lambda values: run(values, packed, layer.bias, "none", [], "")


def onednn_fuses(dtype: torch.dtype) -> bool:
    """Whether this processor and build of torch have oneDNN's operations with prepared weights."""
    if not torch.backends.mkldnn.is_available() or not hasattr(
        torch.ops.mkldnn, "_reorder_convolution_weight"
    ):
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False
    return dtype == torch.float32 or half_type(torch.device("cpu")) == dtype


def half_type(device: torch.device) -> torch.dtype | None:
    """The 16-bit type that the device multiplies faster than float32; None: there is none.

    On GPUs float16: as fast as bfloat16, and with whitened pictures and He's weights nothing comes near
    its range, so its three more bits are three halvings of the error.
    """
    if device.type == "cuda":
        return torch.float16
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if supported is not None and supported() else None
