"""Packed scenes: a browser unpacks the meshes and pictures that were packed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from saved_pages import unpacked
from solved_shots import solve
from tiny_production import make_production

from facecap_core.productions.production import load_production
from facecap_core.reviews.packed_scene import SIZE, packed, packed_scenes
from facecap_core.reviews.reviewed_shot import Scene, open_reviewed


@pytest.mark.parametrize("target", [True, False])
def test_a_packed_scene_holds_its_frames(target):
    rng = np.random.default_rng(3)
    n, vertices = 7, 11
    before, meshes = rng.normal(5, 2, (1, vertices, 3)), rng.normal(5, 2, (2, n, vertices, 3))
    before, meshes = before.astype(np.float32), meshes.astype(np.float32)
    across = np.arange(240, dtype=np.uint8)
    luma = np.stack([np.tile(across + frame, (320, 1)) for frame in range(0, 10 * n, 10)])
    data = packed(Scene(0, luma.astype(np.uint8), meshes[0], meshes[1] if target else None), before)
    found, pictures, step = unpacked(data, vertices, target)
    meant = np.concatenate([before, meshes[0], *([meshes[1]] if target else [])])
    assert np.abs(found - meant).max() <= 0.51 * step + 1e-5
    assert step <= 1.01 * np.ptp(meant) / 65535
    for picture, row in zip(pictures, luma, strict=True):
        shown = np.asarray(Image.open(io.BytesIO(picture)).convert("L"), np.int64)
        assert np.abs(shown - row)[:, 5:-70].max() < 12


def test_scenes_begin_anywhere(tmp_path):
    frames = 2 * SIZE + 2
    folder = make_production(tmp_path / "show", bulk=1, frames=frames)
    solve(folder, "bulk_0", frames)
    shot = open_reviewed(load_production(folder), "bulk_0")
    whole = list(packed_scenes(shot))
    for first in range(1, len(whole)):
        assert list(packed_scenes(shot, first=first)) == whole[first:]
