"""Network ways: how one may run a trained network on pictures in memory, ours beside what a user would take.

All get uint8 pictures [frame, view=1, y=320, x=240] and give float32 positions [frame, vertex, xyz] in main
memory, and all shrink the pictures by the same function, so that they differ in the network alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from facecap_core.learning.area_mean import area_mean
from facecap_core.learning.engine import Engine, Pictures
from facecap_core.learning.lanes import Lanes
from facecap_core.learning.networks import AnyNetwork, build_network, to_device
from facecap_core.learning.prepared_layers import half_type
from facecap_core.learning.presets import resolve
from facecap_core.learning.whitening import Whitening

Way = Callable[[np.ndarray], np.ndarray]
Clock = Callable[[], float]
VERTICES = 5000


@dataclass
class Solved:
    """A network with what it needs beside its weights."""

    network: AnyNetwork
    size: tuple[int, int]  # width, height of its input
    whitening: Whitening
    device: torch.device

    @property
    def gflop(self) -> float:
        """Of one picture; a multiply-add is two."""
        total = 0.0

        def count(layer: Any, _: Any, output: torch.Tensor) -> None:
            nonlocal total
            places = output[0, 0].numel() if output.ndim == 4 else 1
            total += 2e-9 * layer.weight.numel() * places

        layers = [m for m in self.network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        hooks = [layer.register_forward_hook(count) for layer in layers]
        with torch.inference_mode():
            self.network(torch.zeros(1, 1, *self.size[::-1], device=self.device))
        for hook in hooks:
            hook.remove()
        return total

    def engine(self, half: torch.dtype | None = None) -> Engine:
        """Ours."""
        given = Pictures(self.size, (0,), (self.whitening,))
        return Engine(self.network, given, self.device, half=half)


def untrained(preset: str, device: torch.device) -> Solved:
    """A preset's network with weights as training starts from them; what they are does not matter to speed."""
    config = resolve(preset).network
    torch.manual_seed(0)
    network = build_network(config, 3 * VERTICES, 1)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    network.eval().requires_grad_(False)
    to_device(network, device)
    return Solved(network, config.input_size, Whitening(100.0, 40.0), device)


def ways(solved: Solved, threads: int, half: torch.dtype | None) -> dict[str, Way]:
    """Each way that can be had here, ours first; says which cannot."""
    found: dict[str, Way] = {}
    found["ours"] = _ours(solved, None)
    if half is not None:
        found[f"ours, {half_name(half)}"] = _ours(solved, half)
    found["eager PyTorch"] = _eager(solved, half if solved.device.type == "cuda" else None)
    if shutil.which("c++") or shutil.which("g++") or solved.device.type == "cuda":
        found["torch.compile"] = _compiled(solved, half if solved.device.type == "cuda" else None)
    else:
        print("torch.compile: no C++ compiler here")
    for name, package, make in (
        ("ONNX Runtime", "onnxruntime", _onnxruntime),
        ("OpenVINO", "openvino", _openvino),
    ):
        if solved.device.type != "cpu":
            continue
        if importlib.util.find_spec(package) is None or importlib.util.find_spec("onnx") is None:
            print(f"{name}: {package} and onnx are not both installed")
            continue
        found[name] = make(solved, threads)
    return found


def half_name(half: torch.dtype) -> str:
    """Its short name."""
    return {torch.bfloat16: "bf16", torch.float16: "fp16"}[half]


def matrix_rate(device: torch.device, half: torch.dtype | None, clock: Clock) -> float:
    """GFLOP/s of one large product of matrices, measured once."""
    size, dtype = (1024, torch.float32) if device.type == "cpu" else (8192, half or torch.float32)
    # Noise: on numbers that are all alike a GPU draws less power, and is faster than on any work.
    a = torch.randn(size, size, device=device, dtype=dtype)
    torch.mm(a, a)
    repeats = 4 if device.type == "cpu" else 20
    _wait(device)
    began = clock()
    for _ in range(repeats):
        torch.mm(a, a)
    _wait(device)
    return repeats * 2e-9 * size**3 / (clock() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _ours(solved: Solved, half: torch.dtype | None) -> Way:
    engine = solved.engine(half)
    if solved.device.type != "cuda":
        return lambda luma: engine.start(luma)()
    lanes, flying = Lanes(engine), []

    def run(luma: np.ndarray) -> np.ndarray:
        # The result of the batch before: one is solved while this one is on its way.
        flying.append(lanes.start(luma))
        return (flying.pop(0) if len(flying) > 1 else flying[0])()

    return run


class _Whole(nn.Module):
    """Levels to coordinates; what the other programs are given."""

    def __init__(self, solved: Solved) -> None:
        super().__init__()
        self.network, self.whitening = solved.network, solved.whitening
        self.eval()  # exporting sets the mode of what is exported: dropout would come back

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        coordinates: torch.Tensor = self.network(
            (levels.float() - self.whitening.mean) / self.whitening.deviation
        )
        return coordinates


def _small(solved: Solved, luma: np.ndarray) -> torch.Tensor:
    return area_mean(torch.from_numpy(luma[:, 0]), solved.size)[:, None]


def _eager(solved: Solved, half: torch.dtype | None) -> Way:
    return _by_torch(solved, _Whole(solved), half)


def _compiled(solved: Solved, half: torch.dtype | None) -> Way:
    mode = "max-autotune" if solved.device.type == "cuda" else None
    return _by_torch(solved, torch.compile(_Whole(solved), mode=mode), half)


def _by_torch(solved: Solved, whole: Callable[..., torch.Tensor], half: torch.dtype | None) -> Way:
    @torch.inference_mode()
    def run(luma: np.ndarray) -> np.ndarray:
        levels = _small(solved, luma).to(solved.device)
        with torch.autocast(solved.device.type, dtype=half, enabled=half is not None):
            coordinates = whole(levels)
        return coordinates.cpu().numpy().reshape(len(luma), -1, 3)

    return run


def _exported(solved: Solved) -> bytes:
    held = io.BytesIO()
    example = torch.zeros(2, 1, *solved.size[::-1], dtype=torch.uint8)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Whole(solved),
            (example,),
            held,
            input_names=["levels"],
            output_names=["coordinates"],
            dynamic_axes={"levels": {0: "frame"}, "coordinates": {0: "frame"}},
            dynamo=False,
        )
    return held.getvalue()


def _onnxruntime(solved: Solved, threads: int) -> Way:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        _exported(solved), options, providers=["CPUExecutionProvider"]
    )

    def run(luma: np.ndarray) -> np.ndarray:
        levels = _small(solved, luma).numpy()
        coordinates: np.ndarray = session.run(None, {"levels": levels})[0]
        return coordinates.reshape(len(luma), -1, 3)

    return run


def _openvino(solved: Solved, threads: int) -> Way:
    import openvino

    core = openvino.Core()
    model = core.read_model(io.BytesIO(_exported(solved)))
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    requests: dict[int, Any] = {}  # fixed shapes, for which it plans its memory

    def run(luma: np.ndarray) -> np.ndarray:
        levels = _small(solved, luma).numpy()
        if len(luma) not in requests:
            model.reshape(list(levels.shape))
            compiled = core.compile_model(model, "CPU", settings)
            requests[len(luma)] = compiled.create_infer_request()
        answer = requests[len(luma)].infer({0: levels}, share_inputs=True, share_outputs=True)
        coordinates: np.ndarray = answer[0]
        return coordinates.reshape(len(luma), -1, 3)

    return run


__all__ = ["Clock", "Solved", "Way", "half_name", "half_type", "matrix_rate", "untrained", "ways"]
