"""A made-up actor with tracked and solved shots in the store, without footage, for tests of flags and suggestions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from facecap_core.madeup.actor import MadeUpActor
from facecap_core.madeup.motion import perform
from facecap_core.madeup.production import template_obj
from facecap_core.productions.production import load_production
from facecap_core.stores.group_writer import new_group
from facecap_core.template import read_template

SETTINGS = """
name = "made up"
fps = "30"
units = "cm"
store = "store"
[actors.nell]
template = "template.obj"
animated = "animated.txt"
[actors.nell.cameras.center]
crop = [0, 0, 240, 320]
"""
SEED = 2017


@lru_cache
def body():
    return MadeUpActor(SEED)


@lru_cache
def performed(category, frames, number):
    """Positions float32 [frame, vertex, xyz] in cm; not to be written to."""
    controls = perform(category, frames, (SEED, number)).controls
    positions, _ = body().scene(controls, np.zeros((frames, 3)), np.zeros((frames, 3)))
    return positions


def make_actor(folder, tracked, bulk):
    """A production whose shots have the given names."""
    folder.mkdir()
    (folder / "production.toml").write_text(SETTINGS)
    (folder / "template.obj").write_text(template_obj(body(), "nell"))
    (folder / "animated.txt").write_text("".join(f"{v}\n" for v in body().animated()))
    rows = [f"{shot},nell,rom,train,{shot}.pc2,{shot}.mp4" for shot in tracked]
    rows += [f"{shot},nell,,,,{shot}.mp4" for shot in bulk]
    (folder / "shots.csv").write_text("\n".join(["shot,actor,category,split,cache,center", *rows]))
    return load_production(folder)


def write_target(production, shot, positions, **facts):
    with new_group(production.paths.targets(shot)) as group:
        _positions(group, positions)
        group.set_attributes(facts)


def write_solved(production, shot, positions, **figures):
    """A vertex store; `figures` of each frame: confidence, predicted_rmse_mm, novelty; else not a number."""
    topology = read_template(production.actors["nell"].template).topology_sha256
    with new_group(production.paths.vertices("nell", shot)) as group:
        _positions(group, positions)
        unknown = np.full(len(positions), np.nan)
        for name in ("confidence", "predicted_rmse_mm", "novelty"):
            group.figure(name).append(np.asarray(figures.get(name, unknown), np.float32))
        facts = {"model": "m", "fps": "30", "units": "cm", "camera": "center"}
        group.set_attributes({**facts, "topology_sha256": topology})


def _positions(group, positions):
    group.positions(positions.shape[1]).append(positions)
