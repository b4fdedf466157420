"""How long does a person wait? For the command line, for a submission, for the first shot to be decoded.

    python -m benchmarks.startup [--quick]

Seconds, the median of several runs: `farm --help` beside `python -c pass` and an import of Typer; then, with a
head that is up and without one, from the command until it returns and until the first of four tiny shots is
under way (its worker has imported all that decodes it) and ended. Each run submits a job that is new to the store.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.arguments import arguments
from benchmarks.many_shots import Farm, forget, make
from benchmarks.record import figure, ratio

COMMANDS = {
    "farm --help": [sys.executable, "-m", "farm.app", "--help"],
    "farm submit infer --help": [sys.executable, "-m", "farm.app", "submit", "infer", "--help"],
    "import typer (the limit)": [sys.executable, "-c", "import typer"],
    "python -c pass": [sys.executable, "-c", "pass"],
}
BARE = """
import ray
ray.init(logging_level="ERROR", log_to_driver=False)
ray.get(ray.remote(lambda: 0).remote())
print("done", flush=True)
"""
RETURNED, BEGUN, ENDED = "farm submit returns", "first shot is begun", "first shot is ended"
LOOK_SECONDS = 0.02
LONGEST_SECONDS = 120.0


def command_line(runs: int) -> None:
    """`farm --help` and its limit."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.perf_counter() - began)
    limit = times["import typer (the limit)"]
    for name, seconds in times.items():
        median = statistics.median(seconds)
        times_limit = median / statistics.median(limit)
        print(f"{name:28} {median:6.3f} s   {times_limit:5.2f} x the limit   (n={runs})")
    figure("farm --help", times["farm --help"], unit="s")
    ratio("farm --help : import typer", times["farm --help"], limit)


def submission(farm: Farm, folder: Path) -> dict[str, float]:
    """Seconds from the command to what a person waits for."""
    forget(folder)
    began = time.time()
    job = farm.run(folder, "submit", "ingest", "--shots", "all.txt").split()[-1]
    found = {RETURNED: time.time() - began}
    shots = folder / "store" / "jobs" / job / "shots"
    while time.time() - began < LONGEST_SECONDS:
        records = [json.loads(path.read_text()) for path in shots.glob("[!.]*.json")]
        ends = [record["ended"] for record in records if record["ended"]]
        if ends:
            found[BEGUN] = min(r["started"] for r in records if r["started"]) - began
            found[ENDED] = min(ends) - began
            return found
        time.sleep(LOOK_SECONDS)
    raise SystemExit(f"{job}: no shot was done in {LONGEST_SECONDS:.0f} s")


def bare_ray() -> float:
    """Seconds until a cluster of Ray's own has done one empty task: the limit of a cold start."""
    began = time.perf_counter()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    command = [sys.executable, "-c", BARE]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        if not any(line == "done\n" for line in process.stdout):
            raise SystemExit("Ray does not start")
        return time.perf_counter() - began


def submissions(base: Path, runs: int) -> None:
    """With a head and without one, in turns."""
    folder = make(base / "show", 4, 10)
    farm = Farm(base / "home")
    up: dict[str, list[float]] = {RETURNED: [], BEGUN: [], ENDED: []}
    cold: dict[str, list[float]] = {name: [] for name in up}
    bare, processors = [], []
    for _ in range(runs):
        bare.append(bare_ray())
        try:
            for place in (cold, up):
                for name, seconds in submission(farm, folder).items():
                    place[name].append(seconds)
                if place is cold:
                    processors.append(sum(farm.processor_seconds(ended=True).values()))
        finally:
            farm.run(folder, "down")
    for title, place in (("a head is up", up), ("no head yet", cold)):
        for name, seconds in place.items():
            print(f"{title + ', ' + name:34} {statistics.median(seconds):6.2f} s   (n={runs})")
    print(f"{'ray.init() with one empty task':34} {statistics.median(bare):6.2f} s   (n={runs})")
    figure(f"a head is up: {RETURNED}", up[RETURNED], unit="s", at_most=2.0)
    figure(f"a head is up: {BEGUN}", up[BEGUN], unit="s")
    figure(f"no head yet: {RETURNED}", cold[RETURNED], unit="s")
    figure(f"no head yet: {BEGUN}", cold[BEGUN], unit="s", at_most=10.0)
    # What a busy machine cannot lengthen; no start is shorter than this over the cores.
    figure(f"no head yet: processor time until {ENDED}", processors, unit="s")
    ratio(f"no head yet: {BEGUN} : ray.init() with one empty task", cold[BEGUN], bare)


def main() -> None:
    """Measure, print."""
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="3 runs instead of 15, 1 instead of 5")
    quick = parser.parse_args().quick
    command_line(3 if quick else 15)
    with tempfile.TemporaryDirectory(prefix="startup-") as name:
        submissions(Path(name), 1 if quick else 5)


if __name__ == "__main__":
    main()
