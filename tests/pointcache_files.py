"""Point cache files: made byte by byte, without the code under test, for the tests."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.template import Template


def some_positions(frames: int = 6, vertices: int = 5) -> NDArray[np.float32]:
    rng = np.random.default_rng(frames * 1000 + vertices)
    return rng.normal(scale=12, size=(frames, vertices, 3)).astype(np.float32)


def pc2_bytes(positions: NDArray, *, rate: float = 1.0, start: float = 0.0) -> bytes:
    frames, points, _ = positions.shape
    header = struct.pack("<12siiffi", b"POINTCACHE2\0", 1, points, start, rate, frames)
    return header + struct.pack(f"<{positions.size}f", *positions.ravel().tolist())


def mdd_bytes(positions: NDArray, times: list[float]) -> bytes:
    points = positions.shape[1]
    header = struct.pack(f">ii{len(times)}f", len(times), points, *times)
    return header + struct.pack(f">{positions.size}f", *positions.ravel().tolist())


def write_cache(path: Path, positions: NDArray[np.float32]) -> Path:
    """The positions in the format that the name says, without the code under test. Gives the path to open."""
    if path.suffix == ".pc2":
        path.write_bytes(pc2_bytes(positions))
    elif path.suffix == ".mdd":
        path.write_bytes(mdd_bytes(positions, [frame / 30 for frame in range(len(positions))]))
    elif path.suffix == ".npy":
        np.save(path, positions)
    else:
        return write_sequence(path.parent / path.stem, positions)
    return path


def write_sequence(
    folder: Path, positions: NDArray[np.float32], *, first: int = 0, faces: str = ""
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(positions, start=first):
        lines = ["v {:.9g} {:.9g} {:.9g}\n".format(*row) for row in frame.tolist()]
        (folder / f"face.{number:04d}.obj").write_text("".join(lines) + faces)
    return folder / "face.%04d.obj"


def refusal(path: Path, vertex_count: int = 5, topology: Template | None = None) -> PointCacheError:
    """The error of opening the cache and reading it whole."""
    with (
        pytest.raises(PointCacheError) as caught,
        open_point_cache(path, vertex_count=vertex_count, topology=topology) as cache,
    ):
        list(cache.batches(4))
    assert caught.value.fault.file
    assert caught.value.fault.remedy
    return caught.value
