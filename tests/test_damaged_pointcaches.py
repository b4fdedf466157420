"""Damaged point caches: whatever the bytes are, there is a point cache or a PointCacheError, never another end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pointcache_files import some_positions, write_cache
from test_scene_pointcaches import write_scene

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.reader import open_point_cache

FLAT = ["a.pc2", "a.mdd", "a.npy"]
SCENES = ["a.usdc", "a.usda", "a.abc"]
WORDS = [b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\0\0\0\xff\0\0\0\0"]


def damaged(whole: bytes, number: int) -> Iterator[bytes]:
    """`number` files made from one: cut short, single bytes changed, words of extremes, and noise."""
    chance = random.Random(1)
    for index in range(number):
        data = bytearray(whole)
        # Half of the damage lies in the first hundred bytes, where the headers are.
        reach = chance.choice([100, len(data)])
        kind = index % 4
        if kind == 0:
            del data[chance.randrange(len(data)) :]
        elif kind == 1:
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(min(reach, len(data)))] = chance.randrange(256)
        elif kind == 2:
            place = chance.randrange(min(reach, len(data)) - 8)
            data[place : place + 8] = chance.choice(WORDS)
        else:
            start = chance.choice([0, 4, 8, 12, 16])
            data = data[:start] + chance.randbytes(chance.randrange(1, 200))
        yield bytes(data)


def is_refused(path: Path) -> bool:
    """Whether the file was refused in due form; the other way is that all of it could be read."""
    try:
        with open_point_cache(path, vertex_count=5) as cache:
            for block in cache.batches(4):
                assert block.shape[1:] == (5, 3)
                assert np.isfinite(block).all()
        fault = None
    except PointCacheError as error:
        fault = error.fault
    if fault is None:
        return False
    assert fault.message
    assert fault.remedy
    return True


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FLAT)
def test_damaged_headers_and_numbers(tmp_path: Path, name: str) -> None:
    path = write_cache(tmp_path / name, some_positions(6, 5))
    refused = 0
    for data in damaged(path.read_bytes(), 1200):
        path.write_bytes(data)
        refused += is_refused(path)
    assert 600 < refused < 1200


@pytest.mark.filterwarnings("error")
def test_damaged_sequences(tmp_path: Path) -> None:
    pattern = write_cache(tmp_path / "face.obj", some_positions(3, 5))
    path = sorted(pattern.parent.iterdir())[1]
    text = path.read_bytes() + b"vt 0 0\nf 1/1 2/1 3/1\nf -1 -2 -3\n"
    refused = 0
    for data in damaged(text, 400):
        for frame in sorted(pattern.parent.iterdir()):
            frame.write_bytes(data if frame == path else text)
        refused += is_refused(pattern)
    assert 200 < refused < 400


@pytest.mark.parametrize("name", SCENES)
def test_damaged_scenes(tmp_path: Path, name: str) -> None:
    path = write_scene(tmp_path / name, {"face": some_positions(6, 5)})
    refused = 0
    for data in damaged(path.read_bytes(), 8):
        path.write_bytes(data)
        refused += is_refused(path)
    assert refused >= 4
