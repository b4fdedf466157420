"""Solved shots of the tiny production, written by hand: no model is needed to have vertices."""

from __future__ import annotations

import numpy as np
from typer.testing import CliRunner

from facecap_core.productions.production import load_production
from facecap_core.stores.group_writer import new_group
from facecap_core.template import read_template
from farm.app import app

REST = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)


def result(frames):
    """float32 [frame, vertex, xyz]."""
    time = np.arange(frames)[:, None, None]
    return (REST + 0.2 * np.sin(time / 5)).astype(np.float32)


def solve(folder, shot, frames, positions=None, *, model="m1", confidence=None, fps="30", **facts):
    """Write the vertices of a shot; confidence [frame] where there is one."""
    with new_group(load_production(folder).paths.vertices("ada", shot)) as group:
        group.positions(4).append(result(frames) if positions is None else positions)
        for name in ("confidence", "predicted_rmse_mm", "novelty"):
            known = np.full(frames, np.nan) if confidence is None else confidence
            figure = 0.5 / known if name == "predicted_rmse_mm" else known
            group.figure(name).append(np.asarray(figure, np.float32))
        group.set_attributes(
            {
                "model": model,
                "fps": fps,
                "units": "cm",
                "topology_sha256": read_template(folder / "template.obj").topology_sha256,
                "camera": "center",
                **facts,
            }
        )


def review(folder, *arguments):
    """`farm review` of the production, its answer as JSON."""
    return CliRunner().invoke(app, ["review", *arguments, "--production", str(folder), "--json"])
