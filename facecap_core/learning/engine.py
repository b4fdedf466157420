"""Engine: a network made ready to solve many pictures on one device, as fast as that allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from facecap_core.learning.area_mean import area_mean
from facecap_core.learning.fully_connected import FullyConnected
from facecap_core.learning.networks import AnyNetwork
from facecap_core.learning.novelty import FeatureSpace, Signals
from facecap_core.learning.prepared_layers import Trunk, onednn_fuses, prepared_linear
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
            Trunk(trunk, whitening, pictures.size, device, half)
            for trunk, whitening in zip(trunks, pictures.whitening, strict=True)
        ]
        self._linear = [prepared_linear(first, device), prepared_linear(network.output, device)]

    def features(self, small: torch.Tensor) -> list[torch.Tensor]:
        return [trunk(small[:, view]) for view, trunk in enumerate(self._trunks)]

    def coordinates(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        joined = features[0] if len(features) == 1 else torch.cat(list(features), dim=1)
        for layer in self._linear:
            joined = layer(joined)
        return joined


def _library(device: torch.device, dtype: torch.dtype) -> str:
    if device.type == "cuda":
        return "cuDNN"
    return "oneDNN" if device.type == "cpu" and onednn_fuses(dtype) else "torch"


def _exact(device: torch.device, half: torch.dtype | None) -> AbstractContextManager[None]:
    """float32 means float32, where a GPU would take TensorFloat-32 of ten bits."""
    if device.type != "cuda" or half is not None:
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
