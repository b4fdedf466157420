"""Does memory stay flat as shots grow? Peak resident memory of ingest and inference, short and long shot.

    python -m benchmarks.memory [--quick]

Synthesises the footage, trains the `cpu` network for a few steps on noise (its weights do not matter here), and
runs each piece of work in a process of its own. Prints megabytes and the ratio long : short.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.arguments import arguments
from benchmarks.record import figure, ratio

CROP = (120, 160, 960, 1280)
SIZE = (1200, 1600)


def make_video(path: Path, frames: int) -> None:
    """A coarse pattern that moves sideways, of `SIZE`."""
    import av

    rng = np.random.default_rng(0)
    base = (
        rng.integers(60, 180, (SIZE[1] // 16, SIZE[0] // 16), dtype=np.uint8)
        .repeat(16, 0)
        .repeat(16, 1)
    )
    luma = np.ascontiguousarray(base)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(luma, 3 * (i % 50), axis=1), format="gray")
            for packet in stream.encode(frame.reformat(format="yuv420p")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def make_model(folder: Path) -> None:
    """A model of preset `cpu` that has learned noise, at `folder/model`."""
    import torch

    from facecap_core.learning.presets import resolve
    from facecap_core.learning.training import train
    from facecap_core.learning.trainingset import Examples

    config = resolve("cpu", ["schedule.epochs=1"])
    width, height = config.network.input_size
    luma = torch.randint(0, 256, (32, height, width), dtype=torch.uint8)
    facts = {
        "actor": "a",
        "model": "m",
        "units": "cm",
        "fps": "30",
        "cameras": ["center"],
        "crop": {"center": list(CROP)},
        "picture_size": {"center": list(SIZE)},
        "topology_sha256": "none",
    }
    train(
        Examples(luma[:, None], torch.randn(32, 15000), (("s", 32),)),
        None,
        config,
        animated=np.arange(5000),
        facts=facts,
        model_directory=folder / "model",
        state_directory=folder / "state",
        device="cpu",
    )


def work(kind: str, folder: Path, frames: int) -> None:
    """Runs in a process of its own; prints its peak memory in MB."""
    video, out = folder / f"{frames}.mp4", folder / f"{kind}{frames}.zarr"
    if kind == "ingest":
        from facecap_core.ingest import ingest_frames

        ingest_frames(video, crop=CROP, fps=Fraction(30), destination=out)
    else:
        from facecap_core.inference import infer_shot

        infer_shot(
            folder / "model",
            {"center": video},
            fps=Fraction(30),
            destination=out,
            device="cpu",
            threads=1,
        )
    # Not ru_maxrss, which a new program inherits from the process that started it.
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def peak(kind: str, folder: str, frames: int) -> float:
    """Peak memory of one piece of work in MB."""
    written = Path(folder, f"{kind}{frames}.zarr")
    shutil.rmtree(written.resolve(), ignore_errors=True)
    written.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.memory", "--work", kind, folder, str(frames)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(ran.stdout.split()[-1])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="300 and 1200 frames instead of 6000")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], Path(options.work[1]), int(options.work[2]))
        return
    short, long, repeats = (300, 1200, 1) if options.quick else (300, 6000, 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder)
        for frames in (short, long):
            make_video(folder / f"{frames}.mp4", frames)
        print(
            f"{'':10} {short:>6} frames {long:>6} frames   ratio   (peak MB, median of {repeats})"
        )
        for kind in ("ingest", "infer"):
            # Which buffers of which thread happen to be alive together varies from run to run.
            peaks = [[peak(kind, name, frames) for _ in range(repeats)] for frames in (short, long)]
            medians = [statistics.median(found) for found in peaks]
            print(f"{kind:10} {medians[0]:13.0f} {medians[1]:13.0f} {medians[1] / medians[0]:7.3f}")
            figure(f"{kind}, {long} frames", peaks[1], unit="MB")
            ratio(f"{kind}, {long} : {short} frames", peaks[1], peaks[0], at_most=1.1)


if __name__ == "__main__":
    main()
