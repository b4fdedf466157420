"""A solved shot that an artist corrects: its vertices, the files that come back, the command that takes them in."""

from __future__ import annotations

import itertools
import json

import numpy as np
from tracked_production import rest_positions
from typer.testing import CliRunner

from facecap_core.exports.animation import Animation
from facecap_core.exports.formats import FORMATS
from facecap_core.productions.production import load_production
from facecap_core.solved_shot import open_solved
from facecap_core.stores.group_writer import new_group
from facecap_core.template import read_template
from farm.app import app

SHOT, FRAMES = "learn_a", 150  # more than two chunks
COUNTER = itertools.count()


def solved_positions():
    time = np.arange(FRAMES)[:, None, None] / 9
    moved = rest_positions() + 3 * np.sin(time + np.arange(rest_positions().shape[0])[:, None] / 20)
    return moved.astype(np.float32)


def solve(folder, positions, *, footage="as filmed", model="m1"):
    found = load_production(folder)
    with new_group(found.paths.vertices("ada", SHOT)) as group:
        group.positions(positions.shape[1]).append(positions)
        group.figure("confidence").append(np.full(len(positions), np.nan, np.float32))
        group.set_attributes(
            {
                "model": model,
                "model_fingerprint": f"{model} weights",
                "footage_fingerprint": footage,
                "fps": "30",
                "units": "mm",
                "start_frame": 0,
                "topology_sha256": read_template(folder / "template.obj").topology_sha256,
            }
        )


def righted(first, last, seed=0):
    """The frames first to last as an artist would have them: a millimetre or two beside the solve."""
    noise = np.random.default_rng(seed).normal(scale=1.5, size=(last - first + 1, *rest_shape()))
    return (solved_positions()[first : last + 1] + noise).astype(np.float32)


def rest_shape():
    return rest_positions().shape


def run(folder, *arguments):
    return CliRunner().invoke(
        app, ["correct", *map(str, arguments), "--production", str(folder), "--json"]
    )


def taken(folder, *arguments):
    done = run(folder, *arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def now(folder, **options):
    return open_solved(load_production(folder), SHOT, **options).read(0, FRAMES)


def deliver(folder, name, positions, **changes):
    """The positions as a file of some program."""
    suffix = {"obj": ""}.get(name, FORMATS[name].suffix)
    path = folder / f"delivered{next(COUNTER)}{suffix}"
    found = load_production(folder)
    facts = {
        "name": "face",
        "frames": len(positions),
        "fps": found.fps,
        "template": read_template(folder / "template.obj"),
        "read": lambda start, stop: positions[start:stop],
        "source_units": "mm",
        "units": "mm",
    }
    FORMATS[name].write(path, Animation(**{**facts, **changes}))
    return path
