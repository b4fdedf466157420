"""Blender: exported files opened in it, headless, where it is installed (or named by $BLENDER)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from facecap_core.exports.animation import Animation
from facecap_core.exports.formats import FORMATS
from facecap_core.template import read_template

BLENDER = os.environ.get("BLENDER") or shutil.which("blender")
pytestmark = pytest.mark.skipif(BLENDER is None, reason="Blender is not installed")

FPS = Fraction(24000, 1001)
FRAMES = 40
GRID = 8


@pytest.fixture(scope="module")
def animation(tmp_path_factory):
    """A sheet of quads with texture coordinates, moving, in centimetres."""
    y, x = np.mgrid[:GRID, :GRID]
    rest = np.stack([x, GRID - y, np.sin(x)], axis=2).reshape(-1, 3).astype(np.float32)
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*row) for row in rest.tolist()]
    lines += [
        f"vt {a / GRID:.6f} {b / GRID:.6f}" for a, b in zip(x.ravel(), y.ravel(), strict=True)
    ]
    for row in range(GRID - 1):
        for column in range(GRID - 1):
            corner = row * GRID + column + 1
            ring = (corner, corner + GRID, corner + GRID + 1, corner + 1)
            lines.append("f " + " ".join(f"{vertex}/{vertex}" for vertex in ring))
    path = tmp_path_factory.mktemp("blender") / "template.obj"
    path.write_text("\n".join(lines) + "\n")
    noise = np.random.default_rng(5).normal(size=(FRAMES, len(rest), 3))
    positions = (rest + noise).astype(np.float32)
    return Animation(
        name="sheet",
        frames=FRAMES,
        fps=FPS,
        template=read_template(path),
        read=lambda start, stop: positions[start:stop],
        source_units="cm",
        units="cm",
        start_frame=1001,
        figures={"confidence": np.linspace(0, 1, FRAMES, dtype=np.float32)},
    )


@pytest.mark.parametrize("name", ["abc", "usd", "pc2", "mdd", "obj"])
def test_blender_sees_the_same_points(animation, tmp_path, name):
    file, told = tmp_path / f"sheet{FORMATS[name].suffix}", tmp_path / "told.json"
    FORMATS[name].write(file, animation)
    frames = [1001, 1002, 1020, 1000 + FRAMES]
    options = (
        [] if "python" in Path(BLENDER).name else ["-b", "--factory-startup", "-noaudio", "-P"]
    )
    script = Path(__file__).with_name("blender_points.py")
    words = [file, animation.template.path, told, FPS, *frames]
    command = [BLENDER, *options, str(script), "--", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    if not told.exists():  # Debian's
        assert name in ("abc", "usd"), "points alone are read by every Blender"
        return
    facts = json.loads(told.read_text())
    found = np.fromfile(f"{told}.points", np.float32).reshape(len(frames), -1, 3)
    x, y, z = np.moveaxis(animation[0:FRAMES][[frame - 1001 for frame in frames]], 2, 0)
    scale = 0.01 if name == "usd" else 1.0  # only USD says how long a unit is
    wanted = scale * np.stack([x, -z, y], axis=2)  # Blender is z up
    # Where a rotation matrix of float32 did it, its rounding.
    assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max()
    assert len(facts["polygons"]) == (GRID - 1) ** 2
    rings = [set(polygon) for polygon in facts["polygons"]]
    sizes = np.cumsum(animation.template.face_sizes)[:-1]
    assert rings == [
        set(ring.tolist()) for ring in np.split(animation.template.face_vertices, sizes)
    ]
    assert len(facts["uvs"]) == 1
    if name == "usd":
        # One value for all points, another in each frame.
        confidence = animation.figures["confidence"][[frame - 1001 for frame in frames]]
        assert facts["figures"] == {"confidence": confidence.tolist()}
    if name in ("abc", "usd"):
        assert (facts["first"], facts["last"]) == (1001, 1000 + FRAMES)
