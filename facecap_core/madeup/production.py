"""Production: a folder as a studio would hand it over, with footage and point caches of a made-up actor.

Bulk shots have no cache in `shots.csv`; their truth is written under `truth/`, for scoring only.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from facecap_core.files import write_text_atomically
from facecap_core.madeup.actor import MadeUpActor
from facecap_core.madeup.motion import CATEGORIES, FPS, perform
from facecap_core.madeup.shoot import VIEWS, Studio
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.progress import OnProgress, Progress, report

ACTOR = "nell"
CENTER = "center"
SEED = 2017
FEWEST_FRAMES = 4

# category, split, shots, frames of each
SHOOTING: tuple[tuple[str, str, int, int], ...] = (
    *((category, "train", 2, 105) for category in CATEGORIES),
    *((category, "validation", 1, 60) for category in ("pangrams", "in-character")),
    *((category, "", 3, 32) for category in CATEGORIES),
)


@dataclass(frozen=True)
class PlannedShot:
    """A shot that can be made on its own, in any order and process, always with the same result."""

    name: str
    category: str
    split: str  # "train", "validation" or "" for bulk
    frames: int
    seed: int  # of the production
    number: int  # of the shot

    @property
    def footage(self) -> str:
        """Path within the production, of the center camera's."""
        return self.footage_of(CENTER)

    def footage_of(self, camera: str) -> str:
        """Path within the production of a camera's footage."""
        return f"footage/{self.name}{'' if camera == CENTER else f'_{camera}'}.mp4"

    @property
    def cache(self) -> str:
        """Path within the production of the true positions."""
        return f"{'caches' if self.split else 'truth'}/{self.name}.pc2"


def shot_plan(seed: int = SEED, *, scale: float = 1.0, actor: str = ACTOR) -> list[PlannedShot]:
    """All shots of the production; `scale` multiplies their lengths."""
    plan: list[PlannedShot] = []
    counts: dict[str, int] = {}
    for category, split, shots, frames in SHOOTING:
        for _ in range(shots):
            counts[category] = counts.get(category, 0) + 1
            name = f"{actor}_{category.removeprefix('in-')}_{counts[category]:02d}"
            length = max(FEWEST_FRAMES, round(frames * scale))
            plan.append(PlannedShot(name, category, split, length, seed, len(plan)))
    return plan


def make_shot(folder: Path, shot: PlannedShot, cameras: Sequence[str] = (CENTER,)) -> PlannedShot:
    """Write footage and true positions of one shot."""
    seed = (shot.seed, shot.number)
    performance = perform(shot.category, shot.frames, seed)
    cache = folder / shot.cache
    cache.parent.mkdir(parents=True, exist_ok=True)
    for camera in cameras:
        footage = folder / shot.footage_of(camera)
        targets = _studio(shot.seed, camera).shoot(performance, seed, footage)
    write_pc2(cache, targets, start_frame=0.0)
    return shot


def make_production_files(
    folder: Path,
    plan: list[PlannedShot],
    *,
    seed: int = SEED,
    actor: str = ACTOR,
    cameras: Sequence[str] = (CENTER,),
) -> None:
    """Write what is not footage: production.toml, shots.csv, and the actor's template and list of
    animated vertices."""
    body = _studio(seed, CENTER).actor
    home = folder / "actors" / actor
    home.mkdir(parents=True, exist_ok=True)
    write_text_atomically(home / "template.obj", template_obj(body, actor))
    animated = "\n".join(str(vertex) for vertex in body.animated())
    write_text_atomically(home / "animated.txt", animated + "\n")
    toml = [
        f"# A made-up actor of {len(body.template)} vertices, made by facecap with seed {seed}.",
        'name  = "demo"',
        f'fps   = "{FPS}"',
        'units = "cm"',
        'store = "store"',
        "",
        f"[actors.{actor}]",
        f'template = "actors/{actor}/template.obj"',
        f'animated = "actors/{actor}/animated.txt"',
    ]
    for camera in cameras:
        crop = ", ".join(str(number) for number in VIEWS[camera].crop)
        toml += [f"[actors.{actor}.cameras.{camera}]", f"crop = [{crop}]"]
    write_text_atomically(folder / "production.toml", "\n".join(toml) + "\n")
    rows = [",".join(["shot,actor,category,split,cache", *cameras])]
    for shot in plan:
        cache = shot.cache if shot.split else ""
        footage = [shot.footage_of(camera) for camera in cameras]
        rows.append(",".join([shot.name, actor, shot.category, shot.split, cache, *footage]))
    write_text_atomically(folder / "shots.csv", "\n".join(rows) + "\n")
    bulk = [shot.name for shot in plan if not shot.split]
    write_text_atomically(folder / "bulk.txt", "\n".join(["# shots to solve", *bulk]) + "\n")


def make_production(
    folder: Path,
    *,
    seed: int = SEED,
    scale: float = 1.0,
    actor: str = ACTOR,
    cameras: Sequence[str] = (CENTER,),
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> list[PlannedShot]:
    """Write the whole production; with `workers` above 1, shots are made in that many processes.

    Each of the `cameras`, of those in `shoot.VIEWS`, films every shot; what one of them sees does not
    depend on the others.

    Raises `Cancelled` when `on_progress` answers False; shots that are done stay.
    """
    plan = shot_plan(seed, scale=scale, actor=actor)
    make_production_files(folder, plan, seed=seed, actor=actor, cameras=cameras)
    total = sum(shot.frames for shot in plan)
    done = 0
    report(on_progress, Progress("footage", 0, total))
    if workers <= 1:
        for shot in plan:
            done += make_shot(folder, shot, cameras).frames
            report(on_progress, Progress("footage", done, total))
        return plan
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads half alive
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_alone) as pool:
        longest_first = sorted(plan, key=lambda shot: -shot.frames)
        waiting: set[Future[PlannedShot]] = {
            pool.submit(make_shot, folder, shot, cameras) for shot in longest_first
        }
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                done += sum(future.result().frames for future in finished)
                report(on_progress, Progress("footage", done, total))
        finally:
            for future in waiting:
                future.cancel()
    return plan


def template_obj(actor: MadeUpActor, name: str) -> str:
    """The neutral face as an OBJ file: positions, uvs, quads and triangles."""
    lines = [f"# neutral face of {name}, cm", f"o {name}"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in actor.template.astype(np.float64)]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in actor.mask.uvs]
    for polygon in actor.mask.polygons():
        lines.append("f " + " ".join(f"{vertex + 1}/{vertex + 1}" for vertex in polygon))
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=2)
def _studio(seed: int, camera: str) -> Studio:
    return Studio(MadeUpActor(seed, inside=camera != CENTER), view=VIEWS[camera])


def _alone() -> None:
    """One thread for each process: the shots share the cores, not a shot's arithmetic."""
    import torch

    torch.set_num_threads(1)
