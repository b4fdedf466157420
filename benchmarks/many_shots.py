"""Many shots: a production of any number of equal shots, with a head of its own, for benchmarks of the farm."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from farm.head import LocalHead

SETTINGS = """\
name = "many"
fps = "30"
units = "cm"
store = "store"
[actors.a]
template = "template.obj"
[actors.a.cameras.center]
crop = [0, 0, {}, {}]
"""
LOOK_SECONDS = 0.1
ACCOUNT_SECONDS = 1.0  # between two looks at all processes, which take 10 ms


def write_video(path: Path, frames: int, size: tuple[int, int] = (240, 320)) -> None:
    """A pattern that moves, H.264."""
    rng = np.random.default_rng(0)
    rows, columns = size[1] // 16, size[0] // 16
    coarse = rng.integers(60, 180, (rows, columns), dtype=np.uint8)
    luma = np.ascontiguousarray(coarse.repeat(16, 0).repeat(16, 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(frames):
            moved = np.roll(luma, 3 * (index % 50), axis=1)
            picture = av.VideoFrame.from_ndarray(moved, format="gray")
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode())


def make(folder: Path, count: int, frames: int, size: tuple[int, int] = (240, 320)) -> Path:
    """Bulk shots s00000, ... over one encoded file, each a name of its own."""
    (folder / "footage").mkdir(parents=True)
    (folder / "production.toml").write_text(SETTINGS.format(*size))
    (folder / "template.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n")
    write_video(folder / "made.mp4", frames, size)
    rows = ["shot,actor,category,split,cache,center"]
    for number in range(count):
        os.link(folder / "made.mp4", folder / "footage" / f"{number:05d}.mp4")
        rows.append(f"s{number:05d},a,,,,footage/{number:05d}.mp4")
    (folder / "shots.csv").write_text("\n".join(rows) + "\n")
    (folder / "all.txt").write_text("s*\n")
    return folder


def forget(folder: Path) -> None:
    """Take away what was computed, so that the same command does it again."""
    for name in ("jobs", "frames", "vertices"):
        shutil.rmtree(folder / "store" / name, ignore_errors=True)


@dataclass(frozen=True)
class Farm:
    """Runs `farm` with a state folder of its own."""

    home: Path

    def run(self, folder: Path, *arguments: str) -> str:
        """Its stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "farm.app", *arguments],
            cwd=folder,
            env={**os.environ, "FARM_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def processor_seconds(self, *, ended: bool = False) -> dict[int, float]:
        """Of the head, its workers and drivers, by process; `ended`: with what their children took that ended."""
        state = LocalHead(self.home).state()
        assert state is not None
        head = psutil.Process(state.process.pid)
        found = {}
        for process in (head, *head.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                found[process.pid] = sum(process.cpu_times()[: 4 if ended else 2])
        return found

    @contextlib.contextmanager
    def head(self, cpus: int) -> Iterator[None]:
        """A local head while the block runs."""
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self.run(self.home, "up", "--cpus", str(cpus))
            yield
        finally:
            self.run(self.home, "down")


@dataclass(frozen=True)
class Job:
    """What one job cost."""

    status: dict[str, Any]
    submit_seconds: float
    processor_seconds: float  # of all processes
    driver_seconds: float  # of processor
    driver_mb: float  # peak

    @property
    def seconds(self) -> float:
        """From the first shot's start to the last one's end."""
        shots = self.status["shots"]
        return max(s["ended"] for s in shots) - min(s["started"] for s in shots)

    @property
    def worker_mb(self) -> float:
        """The largest worker's peak."""
        return max(shot["peak_memory_gb"] for shot in self.status["shots"]) * 1e3


def ingest(farm: Farm, folder: Path, *options: str) -> Job:
    """Submit all shots, and watch the driver until it ends."""
    forget(folder)
    before, began = farm.processor_seconds(), time.perf_counter()
    spent = dict(before)  # as last seen: what a process that ended took is in nobody's account
    job = farm.run(folder, "submit", "ingest", "--shots", "all.txt", *options).split()[-1]
    submitted = time.perf_counter() - began
    ledger = folder / "store" / "jobs" / job
    seconds = peak = looked = 0.0
    while True:
        if time.perf_counter() - looked > ACCOUNT_SECONDS:
            spent |= farm.processor_seconds()
            looked = time.perf_counter()
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            driver = json.loads((ledger / "driver.json").read_text())
            if driver["state"] != "running":
                break
            process = psutil.Process(driver["process"]["pid"])
            with process.oneshot():
                seconds = sum(process.cpu_times()[:2])
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        time.sleep(LOOK_SECONDS)
    status = json.loads(farm.run(folder, "status", job, "--json"))
    if status["state"] != "done":
        raise SystemExit(f"{job} {status['state']}: {status['counts']}")
    spent |= farm.processor_seconds()
    taken = sum(spent.values()) - sum(before.values())
    return Job(status, submitted, taken, seconds, peak)
