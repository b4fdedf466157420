"""A small production of the made-up actor whose footage and caches are sound, to be spoilt and looked into."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facecap_core.madeup.actor import MadeUpActor
from facecap_core.madeup.motion import perform
from facecap_core.madeup.production import PlannedShot, make_production_files
from facecap_core.madeup.shoot import PICTURE_SIZE, VIEWS, Studio
from facecap_core.pointcaches.pc2 import write_pc2

SEED = 2017
FRAMES = 100
CATEGORIES = ("rom", "expressions", "pangrams", "in-character", "pangrams")
TWO_CAMERAS = "nell_3"  # the one shot that the left camera filmed as well
NAMES = [f"nell_{number}" for number in range(len(CATEGORIES))]


def make_deep(folder):
    """Write the production, at half its usual picture size; returns the folder."""
    actor = MadeUpActor(SEED)
    size = (PICTURE_SIZE[0] // 2, PICTURE_SIZE[1] // 2)
    views = {
        name: replace(view, crop=tuple(length // 2 for length in view.crop))
        for name, view in VIEWS.items()
    }
    studios = {name: Studio(actor, size=size, view=view) for name, view in views.items()}
    plan = []
    (folder / "caches").mkdir(parents=True)
    for number, (name, category) in enumerate(zip(NAMES, CATEGORIES, strict=True)):
        shot = PlannedShot(name, category, "train", FRAMES, SEED, number)
        performance = perform(category, FRAMES, (SEED, number))
        for camera in ("center", "left") if name == TWO_CAMERAS else ("center",):
            path = folder / shot.footage_of(camera)
            targets = studios[camera].shoot(performance, (SEED, number), path)
        write_pc2(folder / shot.cache, targets)
        plan.append(shot)
    make_production_files(folder, plan, cameras=("center", "left"))
    settings = folder / "production.toml"
    text = settings.read_text()
    for view in VIEWS.values():
        whole, half = (", ".join(str(length // by) for length in view.crop) for by in (1, 2))
        text = text.replace(f"[{whole}]", f"[{half}]")
    settings.write_text(text)
    rows = (folder / "shots.csv").read_text().splitlines()
    rows = [
        row if TWO_CAMERAS in row or "shot," in row else row.rsplit(",", 1)[0] + "," for row in rows
    ]
    (folder / "shots.csv").write_text("\n".join(rows) + "\n")
    return folder


def positions(folder, name):
    """A shot's cache: float32 [frame, vertex, xyz] in cm."""
    raw = (folder / "caches" / f"{name}.pc2").read_bytes()
    return np.frombuffer(raw[32:], "<f4").reshape(FRAMES, -1, 3)
