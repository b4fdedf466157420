"""What does the farm cost beside the bare work? Hundreds of short shots, farmed out and in plain loops

    python -m benchmarks.overhead [--quick] [--shots 500] [--frames 30] [--repeats 1]

The bare work: one process a core, each solving its share of the shots in a loop, without Ray, ledger or
retries; start-up counted in both, a running head in neither. Efficiency is bare time : farm time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

from benchmarks.arguments import arguments
from benchmarks.memory import CROP, make_model, make_video
from benchmarks.record import ratio
from benchmarks.synthetic_footage import synthesise

SETTINGS = """\
name = "overhead"
fps = "30"
units = "cm"
store = "store"
[actors.a]
template = "template.obj"
[actors.a.cameras.center]
crop = [{}, {}, {}, {}]
"""


def make_production(folder: Path, count: int, frames: int, *, light: bool) -> None:
    """Shots over four encoded files, and a model of the `cpu` network with 5000 vertices."""
    (folder / "footage").mkdir(parents=True)
    (folder / "production.toml").write_text(SETTINGS.format(*CROP))
    (folder / "template.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n")
    made = [folder / f"{number}.mp4" for number in range(4)]
    for path in made:
        (make_video if light else synthesise)(path, frames)
    rows = ["shot,actor,category,split,cache,center"]
    for number in range(count):
        os.link(made[number % 4], folder / "footage" / f"{number:04d}.mp4")
        rows.append(f"s{number:04d},a,,,,footage/{number:04d}.mp4")
    (folder / "shots.csv").write_text("\n".join(rows) + "\n")
    make_model(folder)
    models = folder / "store" / "models" / "a"
    models.mkdir(parents=True)
    shutil.copytree(folder / "model", models / "m")


def bare_share(folder: Path, share: int, shares: int) -> None:
    """One process's part of the bare work."""
    from facecap_core.inference import infer_shot

    for path in sorted((folder / "footage").iterdir())[share::shares]:
        infer_shot(
            folder / "store" / "models" / "a" / "m",
            {"center": path},
            fps=Fraction(30),
            destination=folder / "bare" / f"{path.stem}.zarr",
            device="cpu",
            threads=1,
        )


def bare(folder: Path, cores: int) -> float:
    """Seconds of the bare work on all cores."""
    shutil.rmtree(folder / "bare", ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.overhead", "--share", str(folder)]
    began = time.perf_counter()
    shares = [subprocess.Popen([*command, str(n), str(cores)]) for n in range(cores)]
    if any(share.wait() for share in shares):
        raise SystemExit("the bare work failed")
    return time.perf_counter() - began


def farmed(folder: Path) -> float:
    """Seconds of the same as a job."""
    for name in ("vertices", "jobs"):
        shutil.rmtree(folder / "store" / name, ignore_errors=True)
    command = [sys.executable, "-m", "farm.app", "submit", "infer", "--wait", "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    status = json.loads(done.stdout)
    at_work = sum(shot["seconds"] for shot in status["shots"])
    print(f"  shots {status['counts']['solved']}, their seconds in the ledger {at_work:.1f}")
    return seconds


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="40 light shots")
    parser.add_argument("--shots", type=int, default=500)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--light", action="store_true", help="a still pattern instead of 20 Mbit/s with noise"
    )
    parser.add_argument("--share", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.share:
        bare_share(Path(options.share[0]), int(options.share[1]), int(options.share[2]))
        return
    if options.quick:
        options.shots, options.light = 40, True
    cores = len(os.sched_getaffinity(0))
    folder = Path(tempfile.mkdtemp(prefix="overhead-"))
    os.environ["FARM_HOME"] = str(folder / "home")
    command = [sys.executable, "-m", "farm.app"]
    plain, farm = [], []
    try:
        make_production(folder / "show", options.shots, options.frames, light=options.light)
        subprocess.run([*command, "up", "--cpus", str(cores)], check=True)
        for _ in range(options.repeats):
            plain.append(bare(folder / "show", cores))
            farm.append(farmed(folder / "show"))
            print(f"bare {plain[-1]:.1f} s : farm {farm[-1]:.1f} s", flush=True)
        efficiency = ratio("bare work : farm, time", plain, farm)
        print(
            f"{options.shots} shots of {options.frames} frames, {cores} cores:"
            f" efficiency {efficiency:.3f} (median of {len(farm)})"
        )
    finally:
        subprocess.run([*command, "down"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
