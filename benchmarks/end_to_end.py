"""End to end: how near does a shot, from video to vertex store, come to the slowest of its stages alone?

    python -m benchmarks.end_to_end [--quick] [--presets cpu paper] [--threads 1] [VIDEO]

One worker on one machine, no cluster. Stages alone: decoding (`Footage` batches with nothing done), the network
(the same pictures in memory), writing (the positions into a store). Two limits, both printed: the slowest stage
alone, which threads that overlap can reach where each has a core; and all stages' processor time over
the cores that there are, below which no overlap helps. The ratio is against the larger of the two.

By the clock it needs a quiet machine. On a busy one processor time tells the same of the program: the slowest stage
alone to the busiest thread of the shot, which is how long a shot takes where every thread has a core of its own.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.arguments import arguments
from benchmarks.network_ways import VERTICES, untrained
from benchmarks.record import figure
from benchmarks.synthetic_footage import SIZE, synthesise
from facecap_core.footage.footage import Footage
from facecap_core.inference import infer_shot
from facecap_core.learning.model import load_model, save_model
from facecap_core.learning.presets import resolve
from facecap_core.pictures_ahead import BATCH_FRAMES
from facecap_core.stores.group_writer import new_group

CROP = (120, 160, 960, 1280)
FPS = Fraction(30)
FRAMES = {"quick": {"cpu": 240, "paper": 48}, "full": {"cpu": 600, "paper": 120}}
ROUNDS = {"quick": 3, "full": 7}


class Timed(NamedTuple):
    """Seconds that one run of a stage took."""

    clock: float
    processors: float  # of all threads
    thread: float  # of processor, of its busiest thread


class Bench:
    """A clip, a model, and the stages of solving one with the other."""

    def __init__(self, folder: Path, clip: Path, preset: str, threads: int) -> None:
        self.folder, self.clip, self.threads = folder, clip, threads
        self.model_directory = _saved(folder / f"model-{preset}", preset)
        self.model = load_model(self.model_directory)
        self.batches = [batch.luma[:, None] for batch in self._footage().batches(BATCH_FRAMES)]
        self.frames = sum(map(len, self.batches))
        engine = self.model.solver(self.batches[0])
        self.solved = [engine.start(luma)() for luma in self.batches]
        self._number = 0

    def decode(self) -> None:
        """Pictures, nothing done with them."""
        for _ in self._footage().batches(BATCH_FRAMES):
            pass

    def network(self) -> None:
        """Pictures in memory to positions in memory."""
        torch.set_num_threads(self.threads)
        engine = self.model.solver(self.batches[0])
        waiting = []
        for luma in self.batches:
            waiting.append(engine.start(luma))
            if len(waiting) > 2:
                waiting.pop(0)()
        for result in waiting:
            result()

    def write(self) -> None:
        """Positions in memory to a store."""
        with new_group(self._new(), {}) as group:
            positions = group.positions(VERTICES)
            for solved in self.solved:
                positions.append(solved)

    def shot(self) -> None:
        """All of it, as a worker does it."""
        infer_shot(
            self.model_directory,
            {"center": self.clip},
            fps=FPS,
            destination=self._new(),
            threads=self.threads,
        )

    def _footage(self) -> Footage:
        return Footage(self.clip, crop=CROP, fps=FPS, picture_size=SIZE)

    def _new(self) -> Path:
        self._number += 1
        return self.folder / "vertices" / f"{self.model_directory.name}-{self._number}.zarr"


def _saved(folder: Path, preset: str) -> Path:
    solved = untrained(preset, torch.device("cpu"))
    facts = {
        "actor": "ada",
        "model": preset,
        "units": "cm",
        "cameras": ["center"],
        "crop": {"center": list(CROP)},
        "picture_size": {"center": list(SIZE)},
        "topology_sha256": "",
        "vertex_count": VERTICES,
        "config": resolve(preset).model_dump(mode="json"),
        "whitening": {"center": {"mean": 100.0, "deviation": 40.0}},
    }
    save_model(folder, solved.network.state_dict(), facts, [])
    return folder


def timed(stage: Callable[[], None]) -> Timed:
    """What one run of it takes."""
    threads: list[float] = []
    run = threading.Thread.run

    def clocked(self: threading.Thread) -> None:
        try:
            run(self)
        finally:
            threads.append(time.thread_time())

    threading.Thread.run = clocked  # type: ignore[method-assign]
    try:
        began, worked, here = time.perf_counter(), time.process_time(), time.thread_time()
        stage()
        threads.append(time.thread_time() - here)
    finally:
        threading.Thread.run = run  # type: ignore[method-assign]
    return Timed(time.perf_counter() - began, time.process_time() - worked, max(threads))


def measure(bench: Bench, preset: str, rounds: int) -> None:
    """Print the stages, the shot and the ratios of one preset's network."""
    stages = {
        "decode": bench.decode,
        "network": bench.network,
        "write": bench.write,
        "shot": bench.shot,
    }
    for stage in stages.values():
        stage()
    found: dict[str, list[Timed]] = {name: [] for name in stages}
    for _ in range(rounds):
        for name, stage in stages.items():
            found[name].append(timed(stage))
    cores = len(os.sched_getaffinity(0))
    slowest, limited, busiest, spent = [], [], [], []
    for *alone, shot in zip(*found.values(), strict=True):
        longest = max(stage.clock for stage in alone)
        work = sum(stage.processors for stage in alone)
        slowest.append(longest / shot.clock)
        limited.append(max(longest, work / cores) / shot.clock)
        busiest.append(max(stage.thread for stage in alone) / shot.thread)
        spent.append(work / shot.processors)
    print(
        f"\npreset {preset}, {bench.frames} frames of {SIZE[0]}x{SIZE[1]}, {bench.threads} thread(s) of"
        f" the network, one of decoding, {cores} cores, device {bench.model.device}, {rounds} rounds"
    )
    for name, values in found.items():
        clock, worked, thread = (
            1e3 * statistics.median(column) / bench.frames for column in zip(*values, strict=True)
        )
        print(
            f"  {name:8} {1e3 / clock:9.1f} frames/s  {clock:8.3f} ms/frame, {worked:.3f} of processors,"
            f" {thread:.3f} of its busiest thread"
        )
    label = f"{preset}, {bench.threads} thread{'s' * (bench.threads > 1)}"
    for what, values in (
        ("shot : slowest stage alone", slowest),
        ("shot : limit of stages and cores", limited),
        ("busiest thread, stage : shot", busiest),
        ("processor time, stages : shot", spent),
    ):
        aim = None if "slowest" in what else 0.95
        print(f"  {what:34} {figure(f'{label}: {what}', values, at_least=aim):.3f}")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("video", nargs="?", type=Path, help=f"another clip of {SIZE[0]}x{SIZE[1]}")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="shorter clips, fewer rounds")
    sizes.add_argument("--full", action="store_true", help="the default")
    parser.add_argument("--presets", nargs="+", default=["cpu", "paper"], choices=["cpu", "paper"])
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    options = parser.parse_args()
    size = "quick" if options.quick else "full"
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for preset in options.presets:
            clip = options.video or folder / f"{preset}.mp4"
            if options.video is None:
                synthesise(clip, FRAMES[size][preset])
            measure(Bench(folder, clip, preset, options.threads), preset, ROUNDS[size])


if __name__ == "__main__":
    main()
