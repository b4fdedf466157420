"""Is the cost of a frame the same with one worker or all, ten shots or a thousand, short shots or long?

    python -m benchmarks.scale [--quick]

Real heads, real jobs of `farm submit ingest`. Tiny shots show what a shot costs beside its work, in workers
and in the driver; shots of 1200x1600 show what further workers bring. Memory is the peak of a process.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.arguments import arguments
from benchmarks.many_shots import Farm, Job, ingest, make
from benchmarks.record import figure, ratio

TINY = 5  # frames
LARGE = (1200, 1600)


def status_seconds(farm: Farm, folder: Path) -> float:
    """How long `farm status` takes."""
    began = time.perf_counter()
    farm.run(folder, "status")
    return time.perf_counter() - began


def over_shots(farm: Farm, base: Path, counts: list[int], cores: int) -> None:
    """Tiny shots, from few to many: what each costs."""
    print(f"\nshots of {TINY} frames of 240x320, {cores} workers")
    print(
        "  shots  seconds  worker ms/shot  driver ms/shot  driver MB  worker MB  submit s  status s"
    )
    jobs: list[Job] = []
    for count in counts:
        folder = make(base / f"shots{count}", count, TINY)
        job = ingest(farm, folder)
        jobs.append(job)
        busy = cores * job.seconds / count * 1e3
        print(
            f"{count:7} {job.seconds:8.1f} {busy:15.1f}"
            f" {job.processor_seconds / count * 1e3:23.1f} {job.driver_seconds / count * 1e3:15.2f}"
            f" {job.driver_mb:10.0f} {job.worker_mb:10.0f} {job.submit_seconds:9.2f}"
            f" {status_seconds(farm, folder):9.2f}",
            flush=True,
        )
    few, many = jobs[-2], jobs[-1]
    before, after = counts[-2], counts[-1]
    # A job's start costs the same for any number: only what further shots add is theirs.
    added = after - before
    driver = (many.driver_seconds - few.driver_seconds) / added
    figure("driver's processor time, each further shot", [driver * 1e3], unit="ms")
    all_of_them = (many.processor_seconds - few.processor_seconds) / added
    figure("all processor time, each further shot", [all_of_them * 1e3], unit="ms")
    ratio(
        f"processor time a shot, {after} : {before} shots",
        [many.processor_seconds / after],
        [few.processor_seconds / before],
        at_most=1.05,
    )
    ratio(f"time a shot, {after} : {before} shots", [many.seconds / after], [few.seconds / before])
    ratio(f"driver's memory, {after} : {before} shots", [many.driver_mb], [few.driver_mb])
    ratio(f"worker's memory, {after} : {before} shots", [many.worker_mb], [few.worker_mb])


def decoding(video: Path, processes: int) -> float:
    """Frames/s of so many processes that only decode, at once: what the machine allows."""
    program = (
        "import sys, time, av\n"
        "began = time.monotonic()\n"
        "frames = 0\n"
        "while time.monotonic() - began < 4:\n"
        "    with av.open(sys.argv[1]) as container:\n"
        "        container.streams.video[0].codec_context.thread_count = 1\n"
        "        frames += sum(1 for _ in container.decode(video=0))\n"
        "print(frames / (time.monotonic() - began))\n"
    )
    command = [sys.executable, "-c", program, str(video)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    return sum(float(process.communicate()[0]) for process in running)


def over_workers(farm: Farm, base: Path, cores: int, shots: int, frames: int, rounds: int) -> None:
    """The same shots with 1, 2, ... workers at once."""
    folder = make(base / "workers", shots, frames, LARGE)
    print(f"\n{shots} shots of {frames} frames of 1200x1600, median of {rounds}")
    rates: dict[int, list[float]] = {workers: [] for workers in range(1, cores + 1)}
    costs: dict[int, list[float]] = {workers: [] for workers in rates}
    ingest(farm, folder)  # once, so that neither pays for workers that start
    for _ in range(rounds):
        for workers in rates:
            job = ingest(farm, folder, "--max-parallel", str(workers))
            rates[workers].append(shots * frames / job.seconds)
            costs[workers].append(job.processor_seconds / shots / frames * 1e3)
    for workers, found in rates.items():
        linear = statistics.median(
            a / workers / one for a, one in zip(found, rates[1], strict=True)
        )
        print(
            f"{workers:3} workers {statistics.median(found):8.0f} frames/s, {linear:.3f} of linear,"
            f" {statistics.median(costs[workers]):.1f} ms of processor a frame, the job's start included"
        )
    if cores > 1:
        video = folder / "made.mp4"
        bare = {n: [decoding(video, n) for _ in range(rounds)] for n in (1, cores)}
        ratio(
            f"the machine: {cores} processes that decode : {cores} times one",
            bare[cores],
            [cores * rate for rate in bare[1]],
        )
        ratio(
            f"frames/s of {cores} workers : {cores} times one",
            rates[cores],
            [cores * rate for rate in rates[1]],
            at_least=0.95,
        )
        ratio(
            f"processor time a frame, {cores} workers : one",
            costs[cores],
            costs[1],
            at_most=1.05,
        )


def over_length(farm: Farm, base: Path, short: int, long: int) -> None:
    """One shot, short and long: a worker's memory."""
    peaks = []
    for frames in (short, long):
        job = ingest(farm, make(base / f"length{frames}", 1, frames))
        peaks.append((job.worker_mb, job.driver_mb))
        print(
            f"one shot of {frames:6} frames: worker {job.worker_mb:.0f} MB, driver {job.driver_mb:.0f} MB"
        )
    for place, who in enumerate(("worker", "driver")):
        ratio(
            f"{who}'s memory, {long} : {short} frames",
            [peaks[1][place]],
            [peaks[0][place]],
            at_most=1.1,
        )


def main() -> None:
    """Measure, print."""
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 100 shots, shorter ones")
    parser.add_argument("--only", choices=("shots", "workers", "length"), help="one part alone")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        base = Path(name)
        farm = Farm(base / "home")
        with farm.head(cores):
            if options.only in (None, "shots"):
                over_shots(farm, base, [10, 100] if options.quick else [10, 100, 1000], cores)
            if options.only in (None, "workers"):
                shots, frames, rounds = (8, 30, 3) if options.quick else (24, 300, 3)
                over_workers(farm, base, cores, shots, frames, rounds)
            if options.only in (None, "length"):
                over_length(farm, base, 300, 1200 if options.quick else 6000)


if __name__ == "__main__":
    sys.exit(main())
