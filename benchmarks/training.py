"""How many frames a second does training learn from, beside a plain loop and the machine's limit?

    python -m benchmarks.training [--quick] [--presets cpu paper] [--threads 1 2] [--device cuda]

Ours beside the loop that an engineer writes in an afternoon (benchmarks/plain_loop.py), on the same synthetic
frames in memory, with the same network, batch and augmentation. The limit: the rate of one large product
of matrices by three times the operations of the network forward. Rounds are interleaved, ratios taken
round by round. On one thread processor time counts, which other work on the machine disturbs least. Beside
frames/s, where a step's time goes.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from benchmarks.arguments import arguments
from benchmarks.plain_loop import plain_steps
from benchmarks.record import figure, ratio
from benchmarks.synthetic_examples import synthetic_examples
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.examples import Examples
from facecap_core.learning.model import precision
from facecap_core.learning.presets import resolve
from facecap_core.learning.run import Run

VERTICES = 5000
ROUNDS = {"quick": 3, "full": 7}
SECONDS = {"quick": 2.0, "full": 6.0}  # of each way in a round, about
AIM = {"cpu": 4.0, "cuda": 10.0}
BACKWARD = 2  # times the operations of the network forward


def new_run(examples: Examples, config: TrainConfig, device: torch.device) -> Run:
    """A training at its beginning, on the device, ready to take steps."""
    vertices = examples.positions.shape[1] // 3
    run = Run(examples.to(device), None, config, np.arange(vertices), device)
    run.network.train()
    return run


def layers_of(run: Run) -> list[tuple[int, int]]:
    """Of each layer: weights that meet every place of its output, and numbers that it puts out a frame."""
    found: list[tuple[int, int]] = []

    def seen(layer: Any, _inputs: Any, output: torch.Tensor) -> None:
        found.append((layer.weight[0].numel(), output[0].numel()))

    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    hooks = [m.register_forward_hook(seen) for m in run.network.modules() if isinstance(m, kinds)]
    width, height = run.config.network.input_size
    with torch.no_grad():
        run.network(torch.zeros(1, 1, height, width, device=run.device))
    for hook in hooks:
        hook.remove()
    return found


def gflop_a_frame(run: Run) -> float:
    """Of a training step; a multiply-add is two."""
    return (1 + BACKWARD) * sum(2e-9 * weights * outputs for weights, outputs in layers_of(run))


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds of the processor on one thread of it, of the wall else."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time if alone else time.perf_counter


def matrix_gflops(device: torch.device) -> float:
    """GFLOP/s of one large product of matrices of noise, in the type that convolutions are trained in."""
    size = 2048 if device.type == "cpu" else 8192
    dtype = torch.bfloat16 if precision(device) == "bf16" else torch.float32
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    clock = clock_of(device)
    repeats = 2 if device.type == "cpu" else 20
    one @ other
    wait(device)
    began = clock()
    for _ in range(repeats):
        one @ other
    wait(device)
    return repeats * 2e-9 * size**3 / (clock() - began)


def wait(device: torch.device) -> None:
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def paced(step: Callable[[], Any], device: torch.device, frames: int) -> Callable[[float], float]:
    """A function that takes steps of so many frames for so many seconds, and tells frames/s."""

    clock = clock_of(device)

    def several(count: int) -> float:
        began = clock()
        for _ in range(count):
            step()
        wait(device)
        return (clock() - began) / count

    several(6)  # choosing kernels, recording, touching memory
    seconds = several(2)

    def rate(wanted: float) -> float:
        return frames / several(max(2, round(wanted / seconds)))

    return rate


def steps_of(run: Run) -> Callable[[], Any]:
    """One step after another of a run."""
    numbers: Iterator[int] = iter(range(10**9))
    return lambda: run.step(next(numbers))


def measure(
    config: TrainConfig, threads: int, device: torch.device, size: str, frames: int = 1024
) -> float:
    """One table: a preset's training on so many threads; our frames/s."""
    torch.set_num_threads(threads)
    examples = synthetic_examples(frames, config.network.input_size, vertices=VERTICES)
    run = new_run(examples, config, device)
    gflop = gflop_a_frame(run)
    # One thread is one process on one core, for both.
    workers = threads if threads > 1 else 0
    loop = plain_steps(examples, config, device=device.type, workers=workers)
    # As train() has it, until ours is recorded; the plain loop may take any kernel.
    torch.backends.cudnn.deterministic = True
    ours = paced(steps_of(run), device, config.batch)
    torch.backends.cudnn.deterministic = False
    plain = paced(lambda: next(loop), device, config.batch)
    rates: dict[str, list[float]] = {"ours": [], "plain loop": [], "limit": []}
    for _ in range(ROUNDS[size]):
        rates["limit"].append(matrix_gflops(device) / gflop)
        rates["ours"].append(ours(SECONDS[size]))
        rates["plain loop"].append(plain(SECONDS[size]))
    loop.close()
    where = f"{threads} thread{'s' if threads > 1 else ''}" if device.type == "cpu" else "GPU"
    counted = "processor time" if clock_of(device) is time.process_time else "wall time"
    print(
        f"\npreset {config.preset}, {gflop:.3f} GFLOP a frame, {where}, batches of {config.batch},"
        f" {ROUNDS[size]} rounds, {counted}; the plain loop with {workers} workers"
    )
    for name, values in rates.items():
        part = statistics.median(v / r for v, r in zip(values, rates["limit"], strict=True))
        print(f"  {name:12} {statistics.median(values):10,.1f} frames/s  {part:5.2f} of the limit")
    label = f"{config.preset}, {where}"
    aim = AIM[device.type]
    found = figure(f"{label}: ours", rates["ours"], unit="frames/s")
    ratio(f"{label}: ours : plain loop", rates["ours"], rates["plain loop"], at_least=aim)
    ratio(f"{label}: ours : limit", rates["ours"], rates["limit"])
    return found


def parts_of_a_step(config: TrainConfig, threads: int, steps: int) -> None:
    """A table of where a step's time goes, on a CPU."""
    torch.set_num_threads(threads)
    device = torch.device("cpu")
    run = new_run(synthetic_examples(512, config.network.input_size), config, device)
    spent: dict[str, float] = {}
    now = clock_of(device)

    @contextmanager
    def clock(name: str) -> Iterator[None]:
        began = now()
        yield
        spent[name] = spent.get(name, 0.0) + now() - began

    def timed(owner: Any, method: str, name: str) -> None:
        usual = getattr(owner, method)

        def call(*arguments: Any, **options: Any) -> Any:
            with clock(name):
                return usual(*arguments, **options)

        setattr(owner, method, call)

    timed(run, "_augmented", "gather and augmentation")
    timed(run.network, "forward", "network forward")
    timed(run, "_gradients", "all of a step but its update")
    for optimizer in run.optimizers:
        timed(optimizer, "step", type(optimizer).__name__)
    for step in range(3):
        run.step(step)
    spent.clear()
    with clock("step"):
        for step in range(3, 3 + steps):
            run.step(step)
    whole = spent.pop("step")
    inner = spent.pop("all of a step but its update")
    updates = sum(spent[type(optimizer).__name__] for optimizer in run.optimizers)
    spent["loss and backward"] = inner - spent["gather and augmentation"] - spent["network forward"]
    spent["averaged weights, draws, rest"] = whole - inner - updates
    print(f"\na step of preset {config.preset}, {threads} thread(s), mean of {steps}:")
    for name, seconds in spent.items():
        print(f"  {name:30} {1e3 * seconds / steps:8.2f} ms  {seconds / whole:5.1%}")
    print(f"  {'whole':30} {1e3 * whole / steps:8.2f} ms")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="3 short rounds, preset cpu only")
    parser.add_argument("--presets", nargs="+", default=None)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    size = "quick" if options.quick else "full"
    device = torch.device(options.device)
    for preset in options.presets or (["cpu"] if options.quick else ["cpu", "paper"]):
        config = resolve(preset)
        for threads in options.threads if device.type == "cpu" else [os.cpu_count() or 1]:
            measure(config, threads, device, size, 1024 if preset == "cpu" else 256)
        if device.type == "cpu" and preset != "paper":
            parts_of_a_step(config, options.threads[0], 20)


if __name__ == "__main__":
    main()
