"""Packed scene: some frames of a reviewed shot as bytes that a browser unpacks, a few tens of kB a frame."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from contextlib import closing

import numpy as np

from facecap_core.reports.figures import jpeg
from facecap_core.reviews.reviewed_shot import ReviewedShot, Scene

SIZE = 16
"""Frames of a scene: few, so that the first picture after a jump comes soon."""
STEPS = 65535
"""Positions are rounded to this part of the scene's extent: 3 micrometres of a face."""


def packed_scenes(
    shot: ReviewedShot, threads: int = 1, *, first: int = 0
) -> Generator[bytes, None, None]:
    """The shot's scenes from number `first` on, SIZE frames each, packed, in flat memory.

    Raises:
        FootageError, StoreError, PointCacheError: what is shown cannot be read.
    """
    start = first * SIZE
    before = shot.solved.read(start - 1, start) if start else None
    with closing(shot.scenes(threads, first=start, size=SIZE)) as scenes:
        for scene in scenes:
            yield packed(scene, scene.result[:1] if before is None else before)
            before = scene.result[-1:]


def packed(scene: Scene, before: np.ndarray) -> bytes:
    """One scene; `before` is the result of the frame before it, float32 [1, vertex, xyz].

    Little endian: uint32 frames n, uint32 length of the packed meshes, uint32 length of each JPEG [n], float32
    lowest x, y, z and step; then the meshes, then the JPEGs. The meshes are zlib's of the low bytes and then the
    high bytes of uint16 [mesh, vertex, xyz], each a zigzag code of a difference modulo 65536: the result
    before, then each result from the one before it, then each target, where there is one, from its result.
    """
    results = np.concatenate([before, scene.result])
    meshes = results if scene.target is None else np.concatenate([results, scene.target])
    lowest = meshes.min((0, 1))
    step = max(float((meshes - lowest).max()), 1e-30) / STEPS
    whole = np.round((meshes - lowest) / step).astype(np.uint16)
    n = len(scene.luma)
    told = whole.copy()
    told[1 : n + 1] -= whole[:n]
    told[n + 1 :] -= whole[1 : n + 1][: len(told) - n - 1]
    # Small differences of either sign have a high byte of 0, of which zlib makes next to nothing.
    code = (told << 1) ^ (-(told >> 15).astype(np.uint16))
    planes = np.ascontiguousarray(code.reshape(-1).astype("<u2").view(np.uint8).reshape(-1, 2).T)
    mesh = zlib.compress(planes.tobytes(), 1)
    pictures = [jpeg(picture) for picture in scene.luma]
    head = struct.pack(
        f"<II{n}I4f", n, len(mesh), *(len(picture) for picture in pictures), *lowest, step
    )
    return head + mesh + b"".join(pictures)
