"""Is ingest as fast as decoding? Video to frame store beside PyAV alone and the ffmpeg command; one long take on all cores.

    python -m benchmarks.ingest [--quick] [--codec NAME] [--long | VIDEO ...]

Synthesises 1200×1600 clips as face cameras record them. All ways run in turns with one decoding thread;
processor times are compared, for another program on the machine lengthens them hardly, and wall-clock
times beside them. Then one take is read by as many threads as there are cores: split at key pictures,
and with threads inside the codec. `ffmpeg` is the one of PATH, or of the package imageio-ffmpeg.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.arguments import arguments
from benchmarks.record import figure, ratio
from benchmarks.synthetic_footage import ENCODINGS, lengthen, synthesise
from facecap_core.footage.footage import Footage
from facecap_core.footage.picture import PictureFilter
from facecap_core.footage.source import probe
from facecap_core.footage.video_container import open_video
from facecap_core.ingest import ingest_frames

CORES = len(os.sched_getaffinity(0))
Way = Callable[[Path], int]
_STORES = tempfile.TemporaryDirectory(prefix="ingest-")
"""Removed at the end: to remove a store is no part of making one."""


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


def footage(path: Path, threads: int = 1) -> int:
    """`Footage` with all its checks."""
    pictures = Footage(path, crop=crop_of(path), fps=fps_of(path), threads=threads)
    return sum(len(batch.luma) for batch in pictures.batches(64))


def ingest(path: Path, threads: int = 1) -> int:
    """A frame store: compressed, with checksums and a manifest, on the disk."""
    store = Path(tempfile.mkdtemp(dir=_STORES.name)) / "shot.zarr"
    return ingest_frames(
        path, crop=crop_of(path), fps=fps_of(path), destination=store, threads=threads
    ).frames


def codec_threads(path: Path, threads: int = CORES) -> int:
    """Threads inside the codec, without a store; crop and filter follow in the thread that reads."""
    with open_video(path, threads) as video:
        first = next(pictures := video.pictures()).picture
        picture_filter = PictureFilter(crop_of(path), first, codec=video.codec)
        picture_filter(first)
        return 1 + sum(1 for picture, _ in pictures if picture_filter(picture).size)


def ffmpeg_command(path: Path, tool: str) -> int:
    """The ffmpeg command: decode, crop, area filter, gray, thrown away."""
    x, y, width, height = crop_of(path)
    filters = f"crop={width}:{height}:{x}:{y},scale=240:320:flags=area,format=gray"
    command = [tool, "-v", "error", "-nostdin", "-threads", "1", "-i", str(path), "-filter_threads"]
    command += ["1", "-vf", filters, "-threads", "1", "-f", "null", "-"]
    subprocess.run(command, check=True)
    return frames_of(path)


def find_ffmpeg() -> str | None:
    """The command's path."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


@functools.cache
def frames_of(path: Path) -> int:
    return decode_alone(path)


@functools.cache
def fps_of(path: Path) -> Fraction:
    """The declared frame rate."""
    return probe(path).fps or Fraction(30)


@functools.cache
def crop_of(path: Path) -> tuple[int, int, int, int]:
    """The middle 80 % of the picture."""
    width, height = probe(path).picture_size
    return width // 10, height // 10, width * 4 // 5, height * 4 // 5


def processor_seconds() -> float:
    """This process's and its ended children's."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def rates(
    ways: Mapping[str, Way], path: Path, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Frames per processor second and per second of each way, a value a round."""
    by_processor: dict[str, list[float]] = {name: [] for name in ways}
    by_wall: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():  # once, so that no way pays for a cold file
        way(path)
    for number, (name, way) in itertools.product(range(rounds), ways.items()):
        processor, wall = processor_seconds(), time.perf_counter()
        frames = way(path)
        by_wall[name].append(frames / (time.perf_counter() - wall))
        by_processor[name].append(frames / (processor_seconds() - processor))
        assert frames == frames_of(path), f"{name}, round {number}: {frames} frames"
    return by_processor, by_wall


def measure_clip(name: str, path: Path, rounds: int) -> None:
    """One thread: ours beside the others."""
    tool = find_ffmpeg()
    ways: dict[str, Way] = {
        "decoding alone": decode_alone,
        "Footage": footage,
        "ingest": ingest,
        "whole picture, then resized": whole_picture,
    }
    if tool:
        ways["ffmpeg"] = functools.partial(ffmpeg_command, tool=tool)
    else:
        print("no ffmpeg command: neither in PATH nor as imageio-ffmpeg")
    processor, wall = rates(ways, path, rounds)
    alone = processor["decoding alone"]
    print(f"{name}: {frames_of(path)} frames, {rounds} rounds, one thread")
    for way, values in processor.items():
        print(
            f"  {way:28} {max(values):7.1f} frames a processor second, {max(wall[way]):7.1f} a second"
        )
    ratio(f"ingest, {name}, Footage : decoding alone, processor", processor["Footage"], alone)
    aim = 0.97
    ratio(
        f"ingest, {name}, store : decoding alone, processor",
        processor["ingest"],
        alone,
        at_least=aim,
    )
    ratio(f"ingest, {name}, store : decoding alone, wall", wall["ingest"], wall["decoding alone"])
    if tool:
        ratio(
            f"ingest, {name}, store : ffmpeg, processor",
            processor["ingest"],
            processor["ffmpeg"],
            at_least=1,
        )
        ratio(f"ingest, {name}, store : ffmpeg, wall", wall["ingest"], wall["ffmpeg"])


def measure_take(name: str, path: Path, rounds: int) -> None:
    """One long take on all cores."""
    ways: dict[str, Way] = {
        "one thread": footage,
        "codec": codec_threads,
        "split": functools.partial(footage, threads=CORES),
    }
    _, wall = rates(ways, path, rounds)
    print(f"{name}, one take: {frames_of(path)} frames, {rounds} rounds, {CORES} threads")
    for way, values in wall.items():
        figure(f"take, {name}, {way}", values, unit="frames/s")
    ratio(f"take, {name}, split : one thread, wall", wall["split"], wall["one thread"])
    ratio(f"take, {name}, split : codec threads, wall", wall["split"], wall["codec"])


def main() -> None:
    """Synthesise, measure, print."""
    parser = arguments(__doc__)
    parser.add_argument("videos", nargs="*", type=Path, help="measure these instead")
    parser.add_argument("--quick", action="store_true", help="H.264 alone, 3 rounds, shorter takes")
    parser.add_argument("--codec", choices=ENCODINGS, help="this one alone")
    parser.add_argument("--long", action="store_true", help="take the videos for long takes")
    options = parser.parse_args()
    frames, rounds, repeats = (60, 3, 4) if options.quick else (120, 7, 6)
    repeats_of_clip = 240 // frames  # eight seconds: a short shot
    if options.videos:
        for path in options.videos:
            (measure_take if options.long else measure_clip)(path.stem, path, rounds)
        return
    quick_codecs = ["H.264"] if options.quick else list(ENCODINGS)
    with tempfile.TemporaryDirectory() as folder:
        for codec in [options.codec] if options.codec else quick_codecs:
            encoding = ENCODINGS[codec]
            made, clip, take = (
                Path(folder) / f"{name}{encoding.suffix}" for name in ("made", "clip", "take")
            )
            synthesise(made, frames, encoding)
            print(f"{codec}: {8e-6 * made.stat().st_size / (frames / 30):.0f} Mbit/s")
            lengthen(made, clip, repeats_of_clip)
            measure_clip(codec, clip, rounds)
            lengthen(made, take, repeats)
            measure_take(codec, take, min(rounds, 3))


if __name__ == "__main__":
    main()
