"""What breaks first when five hundred machines work? A simulation on costs that are measured here.

    python -m benchmarks.simulation [--quick] [--nodes 500] [--tasks 12] [--rate 60]
                                    [--filer 100000] [--latency 0.5] [--gigabytes 20]

Measured in the real code: file calls and bytes of a shot that is ingested, file calls of a task that runs and
of one that ends, processor time of the driver, tasks that a Ray head on this machine takes. Assumed, and to
be given as options: nodes, tasks on each, frames/s of a task (1200x1600 H.264 at 20 Mbit/s), calls/s that the
filer answers, milliseconds until it does, GB/s. No call is taken to be answered by a client's cache.
Printed for shots of several lengths: how many nodes each part would keep busy, and which is the first.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.arguments import arguments
from benchmarks.file_calls import counted
from benchmarks.many_shots import make
from benchmarks.record import figure
from facecap_core.productions.production import load_production
from facecap_core.stores.group_writer import FRAMES_PER_CHUNK
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.metrics import DriverMetrics
from jobs.notes import Notes
from jobs.placement import placement
from jobs.planning import plan_ingest
from jobs.records import Lot, Options, ShotRecord, Submission
from jobs.request import IngestRequest
from jobs.stage import WATCH_SECONDS, Stage
from jobs.tasks import TaskCall, work
from jobs.worker import LOOK_SECONDS, TELL_SECONDS

SHOT_FRAMES = (150, 300, 900, 3600, 36000)
READ_BYTES = 20e6 / 8 / 30  # of footage, a frame
BESIDE = 500
"""Shots in the ledger beside those that are measured."""


@dataclass(frozen=True)
class Costs:
    """What was measured; calls are those to the file system."""

    shot_calls: float
    chunk_calls: float
    frame_bytes: float
    running_calls: float  # a second, of one task
    end_calls: float  # in the driver, of one shot
    watch_calls: float  # in the driver, for each task at work, each time
    end_seconds: float  # of the driver's processor, one shot
    tasks_a_second: float


def worker_costs(base: Path) -> tuple[float, float, float]:
    """File calls of one shot, of each further chunk, and bytes a frame in the store."""
    calls = []
    for chunks in (1, 11):
        folder = make(base / f"show{chunks}", 2, chunks * FRAMES_PER_CHUNK)
        production = load_production(folder)
        request = plan_ingest(production, actor=None, shots=list(production.shots), camera=None)
        ledger = Ledger.create(production.paths.jobs, request)
        for name in request.shots:  # the first makes folders and imports
            call = TaskCall(
                folder=str(ledger.folder),
                production=str(production.settings_path),
                name=name,
                stage="ingest",
                lot=Lot(threads=1),
            )
            with counted() as found:
                record = work(call)
            assert record["state"] == "solved"
        calls.append(found.total())
    store = folder / "store" / "frames" / request.shots[-1]
    written = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    chunk = (calls[1] - calls[0]) / 10
    return calls[0] - chunk, chunk, written / (11 * FRAMES_PER_CHUNK)


def ledger_of(base: Path, shots: int) -> Ledger:
    """A ledger of that many shots, of which nothing was done yet."""
    names = tuple(f"s{number:05d}" for number in range(shots))
    return Ledger.create(base, IngestRequest(settings={}, actors=("a",), shots=names))


def running_calls(base: Path) -> float:
    """File calls a second of a task at work: it tells its progress, and looks whether it is wanted."""
    ledger = ledger_of(base / "running", BESIDE)
    record = ShotRecord(name="s00000", stage="ingest", state="running")
    ledger.write(record)
    with counted() as told:
        ledger.write(record)
    with counted() as looked:
        ledger.cancel_requested()
        ledger.skip_requested(record.name)
    return told.total() / TELL_SECONDS + looked.total() / LOOK_SECONDS


def watch_calls(base: Path) -> float:
    """File calls of the driver's look at its tasks, a task; all have told something new since the last."""
    ledger = ledger_of(base / "watch", BESIDE)
    notes = Notes(ledger)
    records = {name: ledger.shot(name) for name in ledger.request().shots}
    for look in range(2):
        for record in records.values():
            ledger.write(record.model_copy(update={"state": "running", "attempt": look}))
        with counted() as found:
            notes.look(records)
    return found.total() / len(records)


def idle(call: TaskCall) -> dict[str, Any]:
    """A task that is done at once."""
    return ShotRecord(name=call.name, stage="ingest", state="solved", frames=1).model_dump(
        mode="json"
    )


def driver_costs(base: Path, shots: int) -> tuple[float, float, float]:
    """File calls and processor seconds of the real driver's loop for one shot, and tasks/s."""
    import ray

    ray.init(
        num_cpus=len(os.sched_getaffinity(0)),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        for count in (50, shots):  # the first starts the workers
            ledger = ledger_of(base / f"driver{count}", count)
            log = Log(ledger.driver_log_path)
            stage = Stage(
                ledger=ledger,
                name="ingest",
                place=placement("ingest", Options(), [{"CPU": 1.0}]),
                submission=Submission(
                    attempt=1,
                    submission_id="",
                    production=str(base),
                    address="",
                    dashboard="",
                    submitted=time.time(),
                    host="",
                ),
                say=lambda *texts, log=log: log.lines(texts),
                stopped=ledger.cancel_requested,
                patient=lambda: True,
                metrics=DriverMetrics(ledger.job, "ingest"),
                work=idle,
            )
            records = [ledger.shot(name) for name in ledger.request().shots]
            began, processor = time.perf_counter(), time.thread_time()
            with counted("/jobs/", str(ledger.folder)) as found:
                stage.run(records)
            seconds, processor = time.perf_counter() - began, time.thread_time() - processor
    finally:
        ray.shutdown()
    return found[str(ledger.folder)] / shots, processor / shots, shots / seconds


def measure(base: Path, shots: int) -> Costs:
    """All costs, printed."""
    shot, chunk, frame = worker_costs(base)
    ends, processor, tasks = driver_costs(base, shots)
    costs = Costs(
        shot, chunk, frame, running_calls(base), ends, watch_calls(base), processor, tasks
    )
    print(f"a shot: {shot:.0f} file calls and {chunk:.1f} a chunk of {FRAMES_PER_CHUNK} frames")
    print(f"its store: {frame / 1e3:.1f} kB a frame")
    print(f"a task at work: {costs.running_calls:.1f} file calls a second")
    print(f"the driver: {ends:.2f} file calls and {processor * 1e3:.2f} ms of processor a shot,")
    print(f"  {costs.watch_calls:.2f} file calls a task at work every {WATCH_SECONDS:g} s")
    print(f"a Ray head on this machine, whose workers share its cores: {tasks:.0f} tasks/s")
    figure("file calls a shot", [shot], unit="calls")
    figure("file calls a chunk", [chunk], unit="calls")
    figure("file calls of a task at work", [costs.running_calls], unit="calls/s")
    figure("driver's file calls a shot", [ends], unit="calls")
    figure("driver's file calls a watch and task", [costs.watch_calls], unit="calls")
    figure("driver's processor time a shot", [processor * 1e3], unit="ms")
    figure("tasks/s of a head, driver's loop included", [tasks], unit="tasks/s")
    return costs


def nodes_at_most(costs: Costs, frames: int, given: argparse.Namespace) -> dict[str, float]:
    """How many nodes each part would keep busy, at shots of this length."""
    shots = given.tasks * given.rate / frames  # a second and node
    calls = shots * (costs.shot_calls + costs.chunk_calls * frames / FRAMES_PER_CHUNK)
    calls += given.tasks * costs.running_calls
    latency = given.latency / 1e3
    driver = shots * (costs.end_seconds + costs.end_calls * latency)
    driver += given.tasks * costs.watch_calls * latency / WATCH_SECONDS
    moved = given.tasks * given.rate * (costs.frame_bytes + READ_BYTES)
    return {
        "filer, GB/s": given.gigabytes * 1e9 / moved,
        "filer, calls": given.filer / calls,
        "driver": 1 / driver,
        "Ray head": costs.tasks_a_second / shots,
    }


def simulate(costs: Costs, given: argparse.Namespace) -> None:
    """The table of limits."""
    print(
        f"\nassumed: {given.nodes} nodes of {given.tasks} tasks at {given.rate:g} frames/s; a filer of"
        f" {given.filer:g} calls/s, {given.latency:g} ms each, {given.gigabytes:g} GB/s"
    )
    names = list(nodes_at_most(costs, SHOT_FRAMES[0], given))
    print("\n| frames a shot | shots/s | " + " | ".join(names) + " | first |")
    print("|---:|---:|" + "---:|" * len(names) + "---|")
    for frames in SHOT_FRAMES:
        most = nodes_at_most(costs, frames, given)
        first = min(most, key=lambda name: most[name])
        total = given.nodes * given.tasks * given.rate / frames
        cells = [f"**{n:.0f}**" if n < given.nodes else f"{n:.0f}" for n in most.values()]
        print(f"| {frames} | {total:.0f} | " + " | ".join(cells) + f" | {first} |")
        own = min(value for name, value in most.items() if "GB/s" not in name)
        figure(f"nodes kept busy by our own parts, {frames} frames a shot", [own], unit="nodes")
    print("\nnodes that each part keeps busy; bold: fewer than assumed")


def main() -> None:
    """Measure, compute, print."""
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="500 tasks instead of 4000")
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=12, help="on each node")
    parser.add_argument("--rate", type=float, default=60.0, help="frames/s of a task")
    parser.add_argument("--filer", type=float, default=1e5, help="calls/s")
    parser.add_argument("--latency", type=float, default=0.5, help="ms a call")
    parser.add_argument("--gigabytes", type=float, default=20.0, help="GB/s of the filer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="simulation-") as name:
        costs = measure(Path(name), 500 if given.quick else 4000)
    simulate(costs, given)


if __name__ == "__main__":
    main()
