"""Engine: a network made ready to solve many pictures on one device, as fast as that allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from facecap_core.learning.area_mean import area_mean
from facecap_core.learning.convolution import cudnn_fuses
from facecap_core.learning.fully_connected import FullyConnected
from facecap_core.learning.networks import AnyNetwork
from facecap_core.learning.novelty import FeatureSpace, Signals
from facecap_core.learning.several_views import SeveralViews
from facecap_core.learning.whitening import Whitening


class Result:
    """What was solved, as soon as it is there: calling it waits for positions float32 [frame, vertex, xyz]."""

    def __init__(
        self,
        coordinates: torch.Tensor,
        apart: torch.Tensor | None,
        wait: Callable[[], object] = lambda: None,
    ) -> None:
        self._coordinates, self._apart, self._wait = coordinates, apart, wait

    def __call__(self) -> np.ndarray:
        self._wait()
        return self._coordinates.numpy().reshape(len(self._coordinates), -1, 3)

    def signals(self) -> np.ndarray | None:
        """What tells of errors, float32 [frame, signal], see `novelty.Signals`; None: the engine does not know
        the pictures of training."""
        self._wait()
        return None if self._apart is None else self._apart.numpy()


# Of the largest layer. Less is more calls; above 32 MiB glibc maps every tensor afresh, page by page.
ACTIVATION_BYTES = 10 << 20
CUDNN_CHANNELS = 8  # half-precision kernels of full speed take channels in multiples of this


@dataclass(frozen=True)
class Pictures:
    """What a network is fed: the cameras by their number in the model, and how each is whitened."""

    size: tuple[int, int]  # width, height that the network takes
    views: tuple[int, ...]
    whitening: tuple[Whitening, ...]


class Engine:
    """uint8 pictures to positions. `half` is a 16-bit type for the convolutions, None float32.

    Linear layers stay in float32: positions of 10 cm in 16 bits would be off by up to 0.4 mm.
    """

    def __init__(
        self,
        network: AnyNetwork,
        pictures: Pictures,
        device: torch.device,
        *,
        half: torch.dtype | None = None,
        scale: float = 1.0,
        spaces: Sequence[FeatureSpace] = (),
    ) -> None:
        self.device, self.half = device, half
        self._pictures, self._scale = pictures, scale
        self._signals = Signals(spaces) if spaces else None
        with torch.inference_mode():
            if isinstance(network, FullyConnected):
                self._network: _Plain | _Fused = _Plain(network, pictures)
                library = "torch"
            else:
                self._network = _Fused(network, pictures, device, half)
                library = _library(device, half or torch.float32)
        precision = {torch.float16: "fp16", torch.bfloat16: "bf16", None: "fp32"}[half]
        self.name = f"{library} {precision}"

    def __call__(self, luma: torch.Tensor) -> torch.Tensor:
        """uint8 [frame, view, y, x] on the device to coordinates float32 [frame, 3 * vertex] there."""
        return self.coordinates(self.features(luma))

    def features(self, luma: torch.Tensor) -> list[torch.Tensor]:
        """uint8 [frame, view, y, x] on the device to what the last linear layers see of each view, float32
        [frame, feature] there."""
        with torch.inference_mode(), _exact(self.device, self.half):
            small = area_mean(luma.flatten(0, 1), self._pictures.size)
            return self._network.features(small.unflatten(0, luma.shape[:2]))

    def coordinates(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features of each view to coordinates float32 [frame, 3 * vertex]."""
        with torch.inference_mode(), _exact(self.device, self.half):
            coordinates = self._network.coordinates(features)
            return coordinates if self._scale == 1.0 else coordinates.mul_(self._scale)

    def solve(self, luma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Coordinates, and where feature spaces are known, signals float32 [frame, signal]."""
        features = self.features(luma)
        if self._signals is None:
            return self.coordinates(features), None
        with torch.inference_mode():
            apart = self._signals(features)
        return self.coordinates(features), apart

    def start(self, luma: np.ndarray) -> Result:
        """Solve uint8 pictures [frame, view, y, x]; see `Lanes.start`, which does not wait for it."""
        coordinates, apart = self.solve(torch.from_numpy(luma).to(self.device))
        return Result(coordinates.cpu(), None if apart is None else apart.cpu())


class _Plain:
    """A network as it is."""

    def __init__(self, network: FullyConnected, pictures: Pictures) -> None:
        self._network, self._whitening = network, pictures.whitening[0]

    def features(self, small: torch.Tensor) -> list[torch.Tensor]:
        return [self._network.hidden(self._whitening(small[:, 0])[:, None])]

    def coordinates(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        return self._network.output(self._network.fc3(features[0]))


class _Fused:
    """A network's convolutions, each in one operation with its ReLU, and its linear layers."""

    def __init__(
        self,
        network: Any,
        pictures: Pictures,
        device: torch.device,
        half: torch.dtype | None,
    ) -> None:
        trunks, first = [network.features], network.fc
        if isinstance(network, SeveralViews):
            trunks = [network.features[view] for view in pictures.views]
            first = network.fc["-".join(map(str, pictures.views))]
        self._trunks = [
            _Trunk(trunk, whitening, pictures.size, device, half)
            for trunk, whitening in zip(trunks, pictures.whitening, strict=True)
        ]
        self._linear = [_linear(first, device), _linear(network.output, device)]

    def features(self, small: torch.Tensor) -> list[torch.Tensor]:
        return [trunk(small[:, view]) for view, trunk in enumerate(self._trunks)]

    def coordinates(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        joined = features[0] if len(features) == 1 else torch.cat(list(features), dim=1)
        for layer in self._linear:
            joined = layer(joined)
        return joined


class _Trunk:
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
        width, height = size
        self._whitening, self._channels = whitening, convolutions[-1].out_channels
        self._layers: list[_Layer] = []
        largest, spare = 1, 0
        for place, layer in enumerate(convolutions):
            # On a GPU nothing is gained by a first layer in float32; of bfloat16's error it is two thirds.
            first_in_float = place == 0 and half == torch.bfloat16
            kept = None if first_in_float else half
            made = _Layer(layer, (width, height), device, kept or torch.float32, spare)
            spare = made.spare
            self._layers.append(made)
            width, height = -(-width // layer.stride[0]), -(-height // layer.stride[0])
            largest = max(largest, 4 * layer.out_channels * width * height)
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


def _linear(layer: nn.Linear, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    if device.type != "cpu" or not onednn_fuses(torch.float32):
        return layer
    packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight, 16)
    run = torch.ops.mkldnn._linear_pointwise
    return lambda values: run(values, packed, layer.bias, "none", [], "")


def _library(device: torch.device, dtype: torch.dtype) -> str:
    if device.type == "cuda":
        return "cuDNN"
    return "oneDNN" if device.type == "cpu" and onednn_fuses(dtype) else "torch"


def _exact(device: torch.device, half: torch.dtype | None) -> AbstractContextManager[None]:
    """float32 means float32, where a GPU would take TensorFloat-32 of ten bits."""
    if device.type != "cuda" or half is not None:
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


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
