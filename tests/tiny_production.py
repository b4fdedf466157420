"""A tiny production of real H.264 shots with point caches, made in a second for tests of the farm."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import numpy as np

from facecap_core.pointcaches.pc2 import write_pc2

SIZE = (48, 64)
VERTICES = 4
SETTINGS = """\
name = "tiny"
fps = "30"
units = "cm"
store = "store"
[actors.ada]
template = "template.obj"
[actors.ada.cameras.center]
crop = [0, 0, 48, 64]
"""
TEMPLATE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n"
COLUMNS = ("shot", "actor", "category", "split", "cache", "center")


def write_video(path, frames, *, size=SIZE, seed=0, rate=30, contrast=1.0):
    """Encode `frames` pictures of a moving pattern; of no contrast, of the same grey."""
    rng = np.random.default_rng(seed)
    base = rng.integers(40, 200, (size[1], size[0], 3), dtype=np.uint8)
    base = (120 + contrast * (base - 120.0)).round().astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for i in range(frames):
            picture = np.roll(base, i % size[0], axis=1)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_cache(path, frames, seed=0):
    """Write a PC2 of a few vertices that move smoothly."""
    time = np.arange(frames)[:, None, None] / 10 + seed
    rest = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pc2(path, (rest + 0.1 * np.sin(time + np.arange(12).reshape(4, 3))).astype(np.float32))
    return path


def make_production(
    folder: Path, *, train: int = 0, validation: int = 0, bulk: int = 0, frames: int = 30
) -> Path:
    """A production with shots train_0, ..., validation_0, ..., bulk_0, ...; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "production.toml").write_text(SETTINGS)
    (folder / "template.obj").write_text(TEMPLATE)
    rows = []
    seed = 0
    for kind, count in (("train", train), ("validation", validation), ("bulk", bulk)):
        for number in range(count):
            name, seed = f"{kind}_{number}", seed + 1
            write_video(folder / "footage" / f"{name}.mp4", frames, seed=seed)
            cache = ""
            if kind != "bulk":
                cache = f"caches/{name}.pc2"
                write_cache(folder / cache, frames, seed)
            split = "" if kind == "bulk" else kind
            rows.append((name, "ada", "rom", split, cache, f"footage/{name}.mp4"))
    write_shots(folder, rows)
    return folder


def write_shots(folder, rows):
    """Write shots.csv."""
    with open(folder / "shots.csv", "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
