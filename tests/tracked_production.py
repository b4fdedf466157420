"""A tracked production: a bright spot that a mesh with eyes and a mouth follows, ingested and trained on."""

from __future__ import annotations

import numpy as np

from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.config import parse
from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.paths import StorePaths

NAME = "<script>alert('&')</script>"
SETTINGS = f"""
name = "{NAME}"
fps = "30"
units = "mm"
store = "store"
[actors.ada]
template = "template.obj"
animated = "animated.txt"
[actors.ada.cameras.center]
crop = [0, 0, 240, 320]
[actors.ada.cameras.left]
crop = [0, 0, 240, 320]
"""
SHOTS = {
    "learn_a": ("rom", "train", 40),
    "learn_b": ("pangrams", "train", 30),
    "held_a": ("in-character", "validation", 70),  # more than a batch
    "held_b": ("", "validation", 45),
}
PHASES = {"learn_a": 0.0, "learn_b": 1.0, "held_a": 0.4, "held_b": 2.0}
ACROSS, DOWN = 9, 12
ANIMATED = np.arange(ACROSS * 6, ACROSS * DOWN)
OPENINGS = {(3, 1), (3, 6), (7, 2), (7, 3), (7, 4), (7, 5)}  # row, column: two eyes, a mouth


def rest_positions():
    x, y = np.meshgrid(np.linspace(-60, 60, ACROSS), np.linspace(90, -90, DOWN))
    return np.stack([x, y, 60 - (x / 12) ** 2 - (y / 18) ** 2], 2).reshape(-1, 3)  # [vertex, xyz]


def write_obj(path):
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in rest_positions()]
    for row in range(DOWN - 1):
        for column in range(ACROSS - 1):
            if (row, column) in OPENINGS:
                continue
            corner = row * ACROSS + column + 1
            lines.append(f"f {corner} {corner + ACROSS} {corner + ACROSS + 1} {corner + 1}")
    path.write_text("\n".join(lines) + "\n")


def write_shot(paths, shot, frames, phase, *, fingerprint="as filmed", **attributes):
    """A bright spot, and a mesh whose lower half follows it; `attributes` of the frame stores."""
    time = np.arange(frames) / 9.0
    across, down = np.sin(time + phase), np.sin(1.7 * time + 2 * phase)
    x = np.arange(240) - (120 + 60 * across[:, None])
    y = np.arange(320) - (160 + 80 * down[:, None])
    luma = 40 + 180 * np.exp(-(x[:, None, :] ** 2 + y[:, :, None] ** 2) / 1500)
    rest = rest_positions()
    pull = np.clip(-rest[:, 1] / 90, 0, 1)[:, None] * np.array([8.0, 15.0, 2.0])
    motion = np.stack([across, down, across * down], 1)[:, None, :]
    for camera, pictures in (("center", luma), ("left", luma[:, :, ::-1])):
        with new_group(paths.frames(shot, camera)) as group:
            group.array(
                "luma", row_shape=(320, 240), dtype="uint8", dimension_names=("frame", "y", "x")
            ).append(pictures.astype(np.uint8))
            told = {"footage_fingerprint": fingerprint, "picture_size": [240, 320]}
            group.set_attributes({**told, "crop": [0, 0, 240, 320], **attributes})
    with new_group(paths.targets(shot)) as group:
        group.positions(len(rest)).append((rest + motion * pull).astype(np.float32))
        group.set_attributes({"cache_fingerprint": "as tracked"})


def make_tracked(folder):
    """Write the production and its stores; there is no footage."""
    folder.mkdir()
    (folder / "production.toml").write_text(SETTINGS)
    write_obj(folder / "template.obj")
    (folder / "animated.txt").write_text("".join(f"{i}\n" for i in ANIMATED))
    rows = [
        f"{shot},ada,{kind},{split},c.pc2,v.mp4,w.mp4" for shot, (kind, split, _) in SHOTS.items()
    ]
    header = "shot,actor,category,split,cache,center,left"
    (folder / "shots.csv").write_text("\n".join([header, *rows]))
    paths = StorePaths(load_production(folder).store)
    for shot, (_, _, frames) in SHOTS.items():
        write_shot(paths, shot, frames, PHASES[shot])
    return folder


def train_model(folder, name, *, cameras=(), kind="convolutional", epochs=6, view_dropout=0.0):
    """Train for a second or two."""
    settings = resolve("demo", [f"schedule.epochs={epochs}", "network.components=8"]).model_dump()
    settings["network"] |= {
        "kind": kind,
        "channels": (8, 16, 24),
        "refine": (False, False, False),
        "image_components": 12,
        "hidden": (24, 16),
        "view_dropout": view_dropout,
    }
    train_actor(
        load_production(folder), "ada", parse(settings), model=name, cameras=cameras, threads=1
    )
