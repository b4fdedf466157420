"""Does a job come through when machines keep dying? Hundreds of shots while workers and nodes are killed

    python benchmarks/chaos.py --shots 300 --kills 100

Starts a Ray cluster of its own on loopback addresses (a head, two machines that decode, one with a logical
GPU that solves), makes real H.264 shots and a tiny model, solves the shots undisturbed, then again while a
random worker (one time in eight a whole node, which comes back) is killed every few seconds, up to the
number of kills; jobs follow each other until it is reached. Prints kills, tries, time lost, and holds the invariant.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from raylets import Raylets
from tiny_production import make_production, write_shots, write_video

from benchmarks.arguments import arguments
from facecap_core.productions.production import load_production
from jobs.job_list import find_job
from jobs.verification import verify_job

MODEL = ["--preset", "demo", "--epochs", "2", "--set", "network.components=3"]
MODEL += ["--set", "network.channels=[8,8]", "--set", "network.refine=[false,false]"]
NODES = {"cpu1": {"cpus": 1}, "cpu2": {"cpus": 1}, "gpu": {"cpus": 2, "gpus": 1}}


class Killer:
    """Ends a random worker or node every few seconds, and brings nodes back."""

    def __init__(self, raylets: Raylets, every_seconds: float, kills: int, seed: int) -> None:
        self.kills: Counter[str] = Counter()
        self._most = kills
        self._raylets, self._every, self._random = raylets, every_seconds, random.Random(seed)
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        try:
            self._kill_on()
        except BaseException as error:
            self.error = error

    def _kill_on(self) -> None:
        while not self._stop.wait(self._random.expovariate(1 / self._every)):
            if sum(self.kills.values()) >= self._most:
                return
            if self._random.random() < 1 / 8:
                name = self._random.choice(list(NODES))
                self._raylets.kill(name)
                self._raylets.add(name, **NODES[name])
                self.kills["node"] += 1
                continue
            workers = self._raylets.workers()
            if workers:
                victim = self._random.choice(workers)
                with contextlib.suppress(psutil.Error):
                    kind = victim.cmdline()[0].removeprefix("ray::")
                    victim.kill()
                    self.kills[kind] += 1


def farm(folder: Path, raylets: Raylets, *arguments: str) -> dict[str, Any]:
    """Run a `farm` command that prints JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "farm.app", *arguments, "--json"],
        cwd=folder,
        env={**os.environ, **raylets.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def solve(folder: Path, raylets: Raylets) -> tuple[dict[str, Any], float]:
    """Solve all bulk shots anew; the job's status and the seconds it took."""
    shutil.rmtree(folder / "store" / "vertices", ignore_errors=True)
    for job in (folder / "store" / "jobs").glob("infer-*"):
        shutil.rmtree(job)
    began = time.perf_counter()
    status = farm(folder, raylets, "submit", "infer", "--shots", "bulk.txt", "--wait")
    return status, time.perf_counter() - began


def hold(folder: Path, status: dict[str, Any]) -> list[str]:
    """What breaks the invariant: every shot in one state, every store whole, nothing twice or left over."""
    faults = []
    counts = status["counts"]
    ends = sum(counts[state] for state in ("solved", "failed", "cancelled", "skipped"))
    if ends + status["missing"] != len(status["shots"]):
        faults.append(f"{counts} and {status['missing']} missing of {len(status['shots'])}")
    production = load_production(folder)
    ledger = find_job(production.store / "jobs", status["job"])
    for verified in verify_job(production, ledger):
        faults += [str(damage) for damage in verified.damages]
    visible = list((production.store / "vertices" / "ada").glob("*.zarr"))
    if len(visible) != counts["solved"]:
        faults.append(f"{len(visible)} stores of {counts['solved']} solved shots")
    return faults


def shots(folder: Path, count: int, frames: int) -> None:
    """Bulk shots over a few encoded files, each shot a file of its own."""
    made = [write_video(folder / "made" / f"{n}.mp4", frames, seed=n) for n in range(8)]
    rows = [line.split(",") for line in (folder / "shots.csv").read_text().split()[1:]]
    for number in range(count):
        name = f"bulk_{number:04d}"
        path = folder / "footage" / f"{name}.mp4"
        os.link(made[number % len(made)], path)
        rows.append((name, "ada", "", "", "", f"footage/{name}.mp4"))
    write_shots(folder, rows)
    (folder / "bulk.txt").write_text("bulk_*\n")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--shots", type=int, default=300)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument(
        "--every", type=float, default=4.0, help="seconds between kills, on average"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="chaos-"))
    raylets = Raylets(work / "raylets")
    try:
        folder = make_production(work / "production", train=1, validation=1, frames=60)
        shots(folder, options.shots, options.frames)
        raylets.up()
        for name, size in NODES.items():
            raylets.add(name, **size)
        farm(folder, raylets, "submit", "train", *MODEL, "--wait")
        status, undisturbed = solve(folder, raylets)
        print(f"{options.shots} shots of {options.frames} frames, undisturbed: {undisturbed:.0f} s")
        faults = hold(folder, status)
        total: Counter[str] = Counter()
        seconds, jobs, lost, failed = 0.0, 0, 0, 0
        with Killer(raylets, options.every, options.kills, options.seed) as killer:
            while sum(killer.kills.values()) < options.kills and killer.error is None:
                status, took = solve(folder, raylets)
                seconds, jobs = seconds + took, jobs + 1
                lost += sum(shot["attempt"] - 1 for shot in status["shots"])
                failed += status["counts"]["failed"]
                total += Counter(status["counts"])
                faults += hold(folder, status)
                print(f"job {jobs}: {took:.0f} s, {dict(killer.kills)} so far", flush=True)
        kills = sum(killer.kills.values())
        print(f"kills: {kills} ({', '.join(f'{n} {k}' for k, n in killer.kills.items())})")
        print(f"shots: {total['solved']} solved, {failed} failed of {jobs * options.shots}")
        print(f"tries begun again: {lost}")
        slower = seconds / (jobs * undisturbed)
        print(
            f"time: {slower:.2f} of an undisturbed run, {(seconds - jobs * undisturbed) / kills:.1f} s a kill"
        )
        print("invariant: " + ("holds" if not faults else "; ".join(faults)))
    finally:
        raylets.down()
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
