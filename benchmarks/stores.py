"""How should arrays be laid out? Chunks of n frames, plain or in shards, with and without compression.

    python -m benchmarks.stores [--quick]

Writes and reads 512 frames of luma (decoded-looking noise) and of 5000 vertices, and prints seconds,
files and megabytes for each layout, in one run.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from benchmarks.arguments import arguments
from benchmarks.record import ratio

OURS, PLAIN = "64-frame chunks, zstd-1 + checksum", "64-frame chunks, crc32c only"


def layouts() -> dict[str, dict]:
    """What is compared: frames a chunk, frames a shard, codecs."""
    checked = ZstdCodec(level=1, checksum=True)
    found = {
        f"{frames}-frame chunks, zstd-1 + checksum": {"frames": frames, "compressors": checked}
        for frames in (1, 16, 64, 256)
    }
    found["64-frame chunks, crc32c only"] = {
        "frames": 64,
        "compressors": None,
        "serial": Crc32cCodec(),
    }
    found["64-frame chunks, blosc bitshuffle + crc32c"] = {
        "frames": 64,
        "compressors": [BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"), Crc32cCodec()],
    }
    found["16-frame chunks in 256-frame shards, zstd-1 + checksum"] = {
        "frames": 16,
        "shard": 256,
        "compressors": checked,
    }
    return found


def measure(rows: np.ndarray, layout: dict, folder: Path) -> tuple[float, float, int, float]:
    """Seconds to write and to read rows [frame, …] in this layout; number of files, and MB."""
    shutil.rmtree(folder, ignore_errors=True)
    chunk, shard = layout["frames"], layout.get("shard")
    compressors = layout["compressors"] or [layout["serial"]]
    started = time.perf_counter()
    array = zarr.create_array(
        store=str(folder),
        shape=rows.shape,
        chunks=(chunk, *rows.shape[1:]),
        shards=(shard, *rows.shape[1:]) if shard else None,
        dtype=rows.dtype,
        compressors=compressors,
    )
    step = shard or chunk
    for start in range(0, len(rows), step):
        array[start : start + step] = rows[start : start + step]
    written = time.perf_counter() - started
    started = time.perf_counter()
    again = zarr.open_array(str(folder), mode="r")[:]
    read = time.perf_counter() - started
    assert np.array_equal(again, rows)
    files = [file for file in folder.rglob("*") if file.is_file()]
    return written, read, len(files), sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="128 frames, one repeat")
    options = parser.parse_args()
    frames, repeats = (128, 1) if options.quick else (512, 3)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:320, :240]
    face = 120 + 60 * np.sin(x / 31) * np.cos(y / 43)
    luma = np.stack([face + rng.normal(0, 1.5, face.shape) + i % 7 for i in range(frames)])
    shapes = rng.normal(size=(30, 15000)).astype(np.float32)
    rest = rng.normal(size=15000).astype(np.float32) * 8
    weights = np.sin(np.arange(frames)[:, None] / np.linspace(5, 40, 30)).astype(np.float32) * 0.1
    data = {
        "luma": luma.clip(0, 255).astype(np.uint8),
        "positions": (rest + weights @ shapes).reshape(frames, 5000, 3).astype(np.float32),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in data.items():
            print(f"\n{name}: {rows.nbytes / 1e6:.0f} MB, {frames} frames, median of {repeats}")
            print(f"{'layout':58} {'write s':>8} {'read s':>8} {'files':>6} {'MB':>7}")
            found = {title: [] for title in layouts()}
            for _ in range(repeats):
                for title, layout in layouts().items():
                    found[title].append(measure(rows, layout, Path(folder, name)))
            for title, runs in found.items():
                written, read = (statistics.median(run[i] for run in runs) for i in (0, 1))
                print(f"{title:58} {written:8.3f} {read:8.3f} {runs[0][2]:6d} {runs[0][3]:7.1f}")
            for what, column in (("write", 0), ("read", 1)):
                ours, plain = ([run[column] for run in found[title]] for title in (OURS, PLAIN))
                ratio(f"{name}, {what}: ours : uncompressed", ours, plain)


if __name__ == "__main__":
    main()
