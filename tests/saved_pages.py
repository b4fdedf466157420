"""Saved pages of reviews: a production whose shots they show, and what they say and hold."""

from __future__ import annotations

import itertools
import json
import re
import struct
import zlib

import numpy as np
from solved_shots import result, solve
from tiny_production import make_production
from typer.testing import CliRunner

from facecap_core.pointcaches.pc2 import write_pc2
from farm.app import app

FRAMES = 66  # more than a scene


def make_shown(folder):
    """Three solved shots: one with a target beside, one that jumps, one with timecode."""
    make_production(folder, bulk=3, frames=FRAMES)
    solve(folder, "bulk_0", FRAMES)
    solve(folder, "bulk_2", FRAMES, start_timecode="23:59:59:10")
    jumping = result(FRAMES)
    jumping[50] += 5
    confidence = np.linspace(1, 0.6, FRAMES)
    solve(folder, "bulk_1", FRAMES, jumping, confidence=confidence, start_frame=1001)
    write_pc2(folder / "truth" / "bulk_0.pc2", result(FRAMES) + np.float32([0.3, 0, 0]))
    return folder


def unpacked(data, vertices, target):
    """What review_page.js makes of a scene, from the words of packed_scene.py: meshes, pictures, step."""
    n, length = struct.unpack_from("<II", data)
    lengths = struct.unpack_from(f"<{n}I", data, 8)
    *lowest, step = struct.unpack_from("<4f", data, 8 + 4 * n)
    at = 24 + 4 * n
    planes = np.frombuffer(zlib.decompress(data[at : at + length]), np.uint8).reshape(2, -1)
    code = planes[0].astype(np.int64) | planes[1].astype(np.int64) << 8
    told = ((code >> 1) ^ -(code & 1)).reshape(-1, vertices, 3)
    assert len(told) == 1 + n * (2 if target else 1)
    results = np.cumsum(told[: n + 1], axis=0) % 65536
    meshes = np.concatenate(
        [results, (results[1:] + told[n + 1 :]) % 65536 if target else results[:0]]
    )
    ends = at + length + np.cumsum([0, *lengths])
    pictures = [data[a:b] for a, b in itertools.pairwise(ends)]
    assert ends[-1] == len(data)
    return np.array(lowest) + step * meshes, pictures, step


def told_of(page):
    return json.loads(re.search(r'id="told">(.*?)</script>', page, re.DOTALL)[1])


def save(production, path, *more, shot="bulk_0"):
    arguments = ["review", shot, "--save", str(path), "-P", str(production), *more]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)
