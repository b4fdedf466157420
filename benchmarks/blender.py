"""Does Blender see the vertices of the store? A solved shot exported to every format, and all its frames opened there

    python -m benchmarks.blender PRODUCTION SHOT [--blender blender]

`--blender` is Blender, or a Python that has the package bpy. Of each format: the frames that were compared, how far
the farthest coordinate lies from the vertex store's as a part of the largest one (Blender is z up, and counts USD in
metres; a float32 is exact to 6e-8), the range of frames, and how far the figures of each frame are off where it
knows them. Debian's Blender has neither Alembic nor USD.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arguments import arguments
from benchmarks.machine import machine, sentence
from facecap_core.exports.export import FIGURES, ExportOptions, export_shot
from facecap_core.exports.formats import FORMATS
from facecap_core.productions.production import load_production
from facecap_core.solved_shot import SolvedShot, open_solved

SCRIPT = Path(__file__).parent.parent / "tests" / "blender_points.py"
START = 1001


def opened(
    blender: str, file: Path, solved: SolvedShot
) -> tuple[np.ndarray, dict[str, Any]] | None:
    """What Blender makes of the file, float32 [frame, vertex, xyz]; None: it does not read the format."""
    with tempfile.TemporaryDirectory() as made:
        told = Path(made) / "told.json"
        rate = f"{solved.fps.numerator}/{solved.fps.denominator}"
        words = [file, solved.actor.template, told, rate, *range(START, START + solved.frames)]
        flags = (
            [] if "python" in Path(blender).name else ["-b", "--factory-startup", "-noaudio", "-P"]
        )
        command = [blender, *flags, str(SCRIPT), "--", *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        if not told.exists():
            return None
        points = np.fromfile(f"{told}.points", np.float32).reshape(solved.frames, -1, 3)
        return points, json.loads(told.read_text())


def main() -> None:
    """Print a line a format."""
    parser = arguments(__doc__)
    parser.add_argument("production", type=Path)
    parser.add_argument("shot")
    parser.add_argument("--blender", default="blender")
    given = parser.parse_args()
    print(sentence(machine()))
    production = load_production(given.production)
    solved = open_solved(production, given.shot)
    wanted = solved.read(0, solved.frames)
    x, y, z = np.moveaxis(wanted, 2, 0)
    upright = np.stack([x, -z, y], axis=2)
    with tempfile.TemporaryDirectory() as made:
        options = ExportOptions(formats=tuple(FORMATS), start_frame=START)
        export_shot(production, given.shot, Path(made), options)
        for name, format_ in FORMATS.items():
            file = Path(made) / f"{given.shot}{format_.suffix}"
            if name == "npy":
                print(f"npy: bit for bit the store's: {np.array_equal(np.load(file), wanted)}")
                continue
            seen = opened(given.blender, file, solved)
            if seen is None:
                print(f"{name}: this Blender does not read it")
                continue
            points, facts = seen
            scale = production.mm_per_unit / 1000 if name == "usd" else 1.0
            away = np.abs(points - scale * upright).max() / (scale * np.abs(upright).max())
            print(
                f"{name}: {len(points)} frames of {points.shape[1]} vertices, farthest {away:.1e};"
                f" frames {facts['first']} to {facts['last']}"
            )
            for figure in FIGURES:
                if figure in facts["figures"]:
                    off = np.abs(facts["figures"][figure] - getattr(solved, figure)).max()
                    print(f"  {figure}, {len(facts['figures'][figure])} values, farthest {off:.1e}")


if __name__ == "__main__":
    main()
