"""Decode: what Footage costs beside decoding alone, and beside the way one would write it first.

    python -m benchmarks.decode [--quick] [VIDEO ...]

Without a video it synthesises a 1200×1600 H.264 clip as a face camera records it. All ways run in
turns in one process with one decoding thread, and their processor times are compared, because
another program on the machine lengthens the wall-clock time and hardly the processor's.
"""

from __future__ import annotations

import argparse
import functools
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.synthetic_footage import synthesise
from facecap_core.footage.footage import Footage, probe


def decode_alone(path: Path) -> int:
    """PyAV, nothing done with the pictures."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def whole_picture(path: Path) -> int:
    """What one would write: the whole picture to gray, cropped, resized by FFmpeg's area filter."""
    x, y, width, height = crop_of(path)
    count = 0
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            gray = frame.reformat(format="gray").to_ndarray()[y : y + height, x : x + width]
            cropped = av.VideoFrame.from_ndarray(np.ascontiguousarray(gray), "gray")
            cropped.reformat(width=240, height=320, interpolation="AREA").to_ndarray()
            count += 1
    return count


def ours(path: Path) -> int:
    """`Footage` with all its checks."""
    footage = Footage(path, crop=crop_of(path), fps=fps_of(path))
    return sum(len(batch.luma) for batch in footage.batches(64))


@functools.cache
def fps_of(path: Path) -> Fraction:
    """The declared frame rate."""
    return probe(path).fps or Fraction(30)


@functools.cache
def crop_of(path: Path) -> tuple[int, int, int, int]:
    """The middle 80 % of the picture."""
    width, height = probe(path).picture_size
    return width // 10, height // 10, width * 4 // 5, height * 4 // 5


WAYS: dict[str, Callable[[Path], int]] = {
    "ours": ours,
    "decoding alone": decode_alone,
    "whole picture to gray, then resized": whole_picture,
}


def measure(path: Path, rounds: int) -> None:
    """Print frames per processor second and the ratio of each way to decoding alone."""
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for way in WAYS.values():  # once, so that no way pays for a cold file
        way(path)
    for _ in range(rounds):
        for name, way in WAYS.items():
            start = time.process_time()
            frames = way(path)
            rates[name].append(frames / (time.process_time() - start))
    print(f"{path.name}: {frames} frames, {rounds} rounds, one thread")
    for name, values in rates.items():
        # Neighbours in time share the state of the machine, so the ratio is taken round by round.
        ratio = statistics.median(
            v / alone for v, alone in zip(values, rates["decoding alone"], strict=True)
        )
        print(f"  {name:36} {max(values):7.1f} frames/s   {ratio:5.2f} of decoding alone")


def peak_memory_mb(path: Path, repeats: int) -> float:
    """Peak memory of a fresh process that reads the footage `repeats` times over."""
    code = (
        "import sys; from pathlib import Path; from benchmarks.decode import ours, peak;"
        "[ours(Path(sys.argv[1])) for _ in range(int(sys.argv[2]))]; print(peak())"
    )
    command = [sys.executable, "-c", code, str(path), str(repeats)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak() -> float:
    """This process's peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Synthesise, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos", nargs="*", type=Path, help="measure these instead")
    parser.add_argument("--quick", action="store_true", help="60 frames, 3 rounds")
    arguments = parser.parse_args()
    frames, rounds = (60, 3) if arguments.quick else (240, 7)
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.videos:
            clip, long_clip = Path(folder) / "clip.mp4", Path(folder) / "long.mp4"
            synthesise(clip, frames)
            print(f"{8e-6 * clip.stat().st_size / (frames / 30):.0f} Mbit/s")
            synthesise(long_clip, 5 * frames)
        for path in arguments.videos or [clip]:
            measure(path, rounds)
        if not arguments.videos:
            short, long = (peak_memory_mb(path, 1) for path in (clip, long_clip))
            print(
                f"  peak memory: {short:.0f} MB for {frames} frames, {long:.0f} MB for five times"
            )


if __name__ == "__main__":
    main()
