"""What does other work on the machine do to training? Threads that spin or sleep while they wait, quiet and beside busy processes.

    python -m benchmarks.contention [--quick]

Frames/s of preset `cpu` on all processors, each way in a process of its own and in turns: as libgomp waits by
itself (it spins for about three milliseconds), as `farm` has it (jobs/patience.py), asleep at once, and with
one thread. Then the same beside as many busy processes as there are processors.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.arguments import arguments
from benchmarks.record import figure, ratio
from jobs.patience import SPINS

OURS, SPINNING, ASLEEP, ALONE = "ours", "libgomp's own", "asleep at once", "one thread"
PLACES = ("quiet", "busy")
STEPS = """
import sys, time
import numpy as np, torch
from benchmarks.synthetic_examples import synthetic_examples
from facecap_core.learning.presets import resolve
from facecap_core.learning.run import Run
torch.set_num_threads(1)
config = resolve("cpu")
examples = synthetic_examples(256, config.network.input_size, vertices=5000)
torch.set_num_threads(int(sys.argv[1]))
run = Run(examples, None, config, np.arange(5000), torch.device("cpu"))
for step in range(2):
    run.step(step)
began, steps = time.perf_counter(), 0
while time.perf_counter() - began < float(sys.argv[2]):
    run.step(2 + steps)
    steps += 1
print(steps * config.batch / (time.perf_counter() - began))
"""


def ways(cores: int) -> dict[str, tuple[int, dict[str, str]]]:
    """Threads and environment of each way to wait."""
    return {
        OURS: (cores, {"GOMP_SPINCOUNT": SPINS}),
        SPINNING: (cores, {}),
        ASLEEP: (cores, {"OMP_WAIT_POLICY": "PASSIVE"}),
        ALONE: (1, {}),
    }


def frames_per_second(threads: int, said: dict[str, str], seconds: float) -> float:
    """Of training, in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-c", STEPS, str(threads), str(seconds)]
    ran = subprocess.run(
        command, env={**kept, **said}, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(ran.stdout)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """While so many processes compute something."""
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def main() -> None:
    """Measure, print."""
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 3 s instead of 5 of 10 s")
    quick = parser.parse_args().quick
    rounds, seconds, cores = (
        (2, 3.0, os.cpu_count() or 1) if quick else (5, 10.0, os.cpu_count() or 1)
    )
    found: dict[tuple[str, str], list[float]] = {}
    began = time.monotonic()
    for _ in range(rounds):
        for place in PLACES:
            with busy(cores if place == "busy" else 0):
                for way, (threads, said) in ways(cores).items():
                    speed = frames_per_second(threads, said, seconds)
                    found.setdefault((place, way), []).append(speed)
    print(f"preset cpu, {cores} processors, {rounds} rounds, {time.monotonic() - began:.0f} s")
    for (place, way), speeds in found.items():
        print(f"  {place:6} {way:16} {statistics.median(speeds):8.1f} frames/s")
    for place in PLACES:
        figure(f"{place}: ours", found[place, OURS], unit="frames/s")
        ratio(f"{place}: ours : libgomp's own", found[place, OURS], found[place, SPINNING])


if __name__ == "__main__":
    main()
