"""GPU training: the questions of benchmarks/gpu.py about training, with what each means of its speed is worth."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.record import figure, ratio
from benchmarks.synthetic_examples import synthetic_examples
from benchmarks.training import (
    gflop_a_frame,
    layers_of,
    matrix_gflops,
    new_run,
    paced,
    steps_of,
    wait,
)
from benchmarks.training import measure as measure_training
from facecap_core.learning import convolution, network, recording, training
from facecap_core.learning import run as run_module
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.examples import Examples
from facecap_core.learning.presets import resolve

PAPER_FRAMES, PAPER_EPOCHS = 15_000, 200
H200_TRAINING, H200_SECONDS = 16_700.0, 180.0  # frames/s, and the paper's training whole
ANY_KERNELS, TRIED_KERNELS = "not deterministic", "kernels chosen by trial"
TINY = [
    "network.input_size=[30,40]",
    "network.channels=[8,12]",
    "network.refine=[true,false]",
    "network.components=8",
    "batch=8",
]


@dataclass(frozen=True)
class Bench:
    """What every question is asked of."""

    device: torch.device
    quick: bool
    ends: float  # of time.monotonic()

    @property
    def left(self) -> float:
        """Seconds."""
        return self.ends - time.monotonic()

    @property
    def vertices(self) -> int:
        return 60 if self.quick else 5000

    @property
    def is_h200(self) -> bool:
        return self.device.type == "cuda" and "H200" in torch.cuda.get_device_name(self.device)

    def config(self, preset: str, *overrides: str) -> TrainConfig:
        return resolve(preset, [*(TINY if self.quick else []), *overrides])

    def examples(self, frames: int, config: TrainConfig, take: int = 0) -> Examples:
        size, where = config.network.input_size, self.device.type
        return synthetic_examples(frames, size, vertices=self.vertices, take=take, device=where)


def ceilings(bench: Bench) -> None:
    """What the device can do at all, and the roofline of the paper's training."""
    cuda = bench.device.type == "cuda"
    block = torch.randn((1 << 31) // 4 if cuda else 1 << 20, device=bench.device)
    target = torch.empty_like(block)
    rates = [1e-3 * matrix_gflops(bench.device) for _ in range(1 if bench.quick else 5)]
    tflops = figure("matrix rate", rates, unit="TFLOP/s")
    copy = []
    for _ in range(8):
        began = time.perf_counter()
        target.copy_(block)
        wait(bench.device)
        copy.append(time.perf_counter() - began)
    bandwidth = figure("copy", [2e-12 * 4 * len(block) / s for s in copy[3:]], unit="TB/s")
    config = bench.config("paper")
    run = new_run(bench.examples(2 * config.batch, config), config, bench.device)
    gflop = gflop_a_frame(run)
    moved = _bytes_a_frame(run)
    print(
        f"  paper's training: {gflop:.2f} GFLOP and at least {moved / 1e6:.1f} MB a frame;"
        f" {1e3 * tflops / gflop:,.0f} frames/s by arithmetic,"
        f" {1e12 * bandwidth / moved:,.0f} by memory,"
        f" {1 / (1e-3 * gflop / tflops + 1e-12 * moved / bandwidth):,.0f} where neither hides the other"
    )


def _bytes_a_frame(run: Any) -> float:
    """What a training step reads and writes at least, of its layers' outputs and of its weights.

    Each output in two bytes is written once and read twice on the way forward and back; its gradient is
    written by one kernel, masked by ReLU (read, output read, written), read by the two products.
    """
    sizes = [outputs for _, outputs in layers_of(run)[:-2]]  # but of the linear layers
    outputs = 2 * sum(sizes) * (3 + 6)
    weights = sum(p.numel() for p in run.network.parameters()) * 40 / run.config.batch
    return outputs + weights


def agreement(bench: Bench) -> None:
    """Whether what makes it fast leaves its results alone: the same steps in several ways."""
    config = bench.config("paper", "network.dropout=0")
    steps = 12
    losses = {}
    for name in (
        "as it is",
        "again",
        "not recorded",
        "channels as they are",
        "without fused ReLU",
        "fp32",
    ):
        with without(name):
            run = new_run(bench.examples(4 * config.batch, config), config, bench.device)
            losses[name] = np.array([float(run.step(step)) for step in range(steps)])
    for name, found in losses.items():
        apart = np.abs(found / losses["as it is"] - 1).max()
        print(f"  {name:24} last loss {found[-1]:.6f}, at most {apart:.2e} from ours")
        if not np.isfinite(found).all() or apart > 0.1:
            raise SystemExit(f"{name}: other losses than ours")


@contextmanager
def without(name: str) -> Iterator[None]:
    """Training with one of its means taken away, or another one tried."""
    cudnn = torch.backends.cudnn
    kept = cudnn.deterministic, cudnn.benchmark
    changes: dict[str, Callable[[], Any]] = {
        "not recorded": lambda: patch.object(recording, "WARM_UP", 1 << 60),
        "channels as they are": lambda: patch.object(convolution, "CHANNELS_AT_ONCE", 1),
        "without fused ReLU": lambda: patch.object(convolution, "cudnn_fuses", lambda *_: False),
        "layers one by one": lambda: patch.object(
            network, "convolved", lambda layers, x: layers(x)
        ),
        "fp32": lambda: patch.object(
            run_module, "autocast", lambda device: torch.autocast(device.type, enabled=False)
        ),
    }
    cudnn.deterministic = name not in (ANY_KERNELS, TRIED_KERNELS)
    cudnn.benchmark = name == TRIED_KERNELS
    try:
        if name in changes:
            with changes[name]():
                yield
        else:
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = kept


def training_rate(bench: Bench) -> None:
    """Frames/s of the paper's training, beside the plain loop and the limit; each means taken away once."""
    config = bench.config("paper")
    size, frames = ("quick", 4 * config.batch) if bench.quick else ("full", 2048)
    threads = 1 if bench.quick else os.cpu_count() or 1
    with patch.multiple("benchmarks.training", **_sizes(bench)):
        rate = measure_training(config, threads, bench.device, size, frames)
    aims: dict[str, Any] = {"at_least": H200_TRAINING} if bench.is_h200 else {}
    figure("paper: training, frames/s", [rate], unit="frames/s", **aims)
    aims = {"at_most": H200_SECONDS} if bench.is_h200 else {}
    whole = PAPER_FRAMES * PAPER_EPOCHS / rate
    figure("paper: 15,000 frames x 200 epochs, by that rate", [whole], unit="s", **aims)
    names = ["nothing", ANY_KERNELS, TRIED_KERNELS, "not recorded"]
    names += ["channels as they are", "without fused ReLU", "layers one by one", "fp32"]
    examples = bench.examples(frames, config)
    for name in names:
        with without(name):
            run = new_run(examples, config, bench.device)
            found = paced(steps_of(run), bench.device, config.batch)(0.02 if bench.quick else 2.0)
        print(f"  {name:26} {found:10,.0f} frames/s  {found / rate:5.2f}", flush=True)
        del run
        torch.cuda.empty_cache()


def _sizes(bench: Bench) -> dict[str, Any]:
    """How long benchmarks/training.py measures here."""
    if bench.quick:
        return {"VERTICES": 60, "ROUNDS": {"quick": 1}, "SECONDS": {"quick": 0.02}}
    return {"ROUNDS": {"full": 5}, "SECONDS": {"full": 2.0}}


def profile(bench: Bench) -> None:
    """Which kernels a step of the paper's training waits for."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    config = bench.config("paper")
    run = new_run(bench.examples(4 * config.batch, config), config, bench.device)
    step = steps_of(run)
    with without("nothing"):
        for _ in range(6):
            step()
        wait(bench.device)
        cuda = bench.device.type == "cuda"
        kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if cuda else [])
        with profiled(activities=kinds) as recorded:
            for _ in range(5):
                step()
            wait(bench.device)
    by = "self_device_time_total" if cuda else "self_cpu_time_total"
    table = recorded.key_averages().table(
        sort_by=by, row_limit=6 if bench.quick else 30, max_name_column_width=70
    )
    print("\n".join(line[:150] for line in table.splitlines()))


def convergence(bench: Bench) -> None:
    """Whether `fast` comes to the error of `paper` in a tenth of its time, on a made-up actor's takes."""
    frames, epochs = (48, 1) if bench.quick else (3000, 60)
    seconds, errors = {}, {}
    for preset in ("paper", "fast"):
        config = bench.config(preset)
        part = epochs / PAPER_EPOCHS
        changed = [f"schedule.epochs={config.schedule.epochs * part:g}"]
        if preset == "paper":
            changed.append(f"schedule.rampdown_epochs={30 * part:g}")
        config = bench.config(preset, *changed)
        result = _trained(bench, config, frames)
        seconds[preset], errors[preset] = result.seconds, result.validation_rmse_mm
        seen = frames * config.schedule.epochs
        print(
            f"  {preset:6} {seen:10,.0f} frames seen in {result.seconds:7.1f} s:"
            f" {result.validation_rmse_mm:.4f} mm on a take that it has not seen",
            flush=True,
        )
    ratio("fast : paper, error", [errors["fast"]], [errors["paper"]], at_most=1.0)
    ratio("fast : paper, time", [seconds["fast"]], [seconds["paper"]], at_most=0.1)


def whole(bench: Bench) -> None:
    """The paper's training whole: 15,000 frames, 200 epochs, checkpoints and validation included."""
    frames, epochs = (48, 1) if bench.quick else (PAPER_FRAMES, PAPER_EPOCHS)
    config = bench.config("paper", f"schedule.epochs={epochs}")
    result = _trained(bench, config, frames)
    aims: dict[str, Any] = {"at_most": H200_SECONDS} if bench.is_h200 else {}
    figure("paper: training whole", [result.seconds], unit="s", **aims)
    print(f"  validation {result.validation_rmse_mm:.4f} mm")


def _trained(bench: Bench, config: TrainConfig, frames: int) -> training.TrainResult:
    with tempfile.TemporaryDirectory() as folder:
        return training.train(
            bench.examples(frames, config),
            bench.examples(max(config.batch, frames // 10), config, take=1),
            config,
            animated=np.arange(bench.vertices),
            facts={"actor": "a", "model": "m", "units": "cm", "cameras": ["center"]},
            model_directory=Path(folder, "model"),
            state_directory=Path(folder, "state"),
            device=str(bench.device),
        )
