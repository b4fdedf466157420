"""Suggestion footage: the made-up actor with little tracked and much bulk footage, for benchmarks/suggestion.py.

    python -m benchmarks.suggestion_footage FOLDER [--minutes 12] [--seed 2017]

What a production's footage is like: most of the bulk is talk, the extremes are rare. Pictures are kept at the
network's 60x80, drawn at twice that, without a video between, in stores of the usual form; positions too, the bulk
shots' in the place of the caches that a tracker would deliver. A shot that is there is not made again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.arguments import arguments
from facecap_core.madeup.actor import MadeUpActor
from facecap_core.madeup.motion import FPS, perform
from facecap_core.madeup.production import ACTOR, CENTER, SEED, PlannedShot, make_production_files
from facecap_core.madeup.shoot import Studio, imaging
from facecap_core.productions.production import Production, load_production
from facecap_core.stores.group_writer import new_group

INPUT = (60, 80)  # width, height
TRACKED = (("pangrams", "train", 10), ("expressions", "train", 10))  # category, split, seconds
HELD_BACK = tuple(
    (category, "validation", 15) for category in ("rom", "expressions", "pangrams", "in-character")
)
BULK = ("pangrams", "in-character", "pangrams", "in-character", "rom", "pangrams", "in-character")
BULK += ("pangrams", "in-character", "expressions", "pangrams", "in-character")
BULK_SECONDS = 20
_SIZE, _CROP = (136, 180), (8, 10)  # a quarter of the studio's, wide enough for its chroma


def footage_plan(minutes: float, seed: int = SEED) -> list[PlannedShot]:
    """Tracked shots, those held back, and so many minutes of bulk footage."""
    rows = [*TRACKED, *HELD_BACK]
    bulk = round(minutes * 60 / BULK_SECONDS)
    rows += [(BULK[number % len(BULK)], "", BULK_SECONDS) for number in range(bulk)]
    return [
        PlannedShot(f"{ACTOR}_{number:03d}_{kind}", kind, split, seconds * FPS, seed, number)
        for number, (kind, split, seconds) in enumerate(rows)
    ]


def make_footage(folder: Path, minutes: float, seed: int = SEED) -> Production:
    """Film what is not there yet."""
    plan = footage_plan(minutes, seed)
    make_production_files(folder, plan, seed=seed)
    production = load_production(folder)
    actor = MadeUpActor(seed)
    studio = Studio(actor, size=_SIZE)
    for shot in plan:
        frames = production.paths.frames(shot.name, CENTER)
        if frames.exists():
            continue
        of_shot = (shot.seed, shot.number)
        performance = perform(shot.category, shot.frames, of_shot)
        positions, drawn = actor.scene(
            performance.controls,
            performance.head_rotation_degrees,
            performance.head_translation_cm,
        )
        x, y = _CROP
        with (
            new_group(production.paths.targets(shot.name)) as targets,
            new_group(frames) as group,
        ):
            targets.positions(positions.shape[1]).append(positions)
            targets.set_attributes({"cache_fingerprint": shot.name})
            luma = group.luma()
            for picture in studio.pictures(drawn, imaging(shot.frames, of_shot), of_shot):
                cropped = picture[y : y + 2 * INPUT[1], x : x + 2 * INPUT[0]]
                small = cropped.reshape(INPUT[1], 2, INPUT[0], 2).mean(axis=(1, 3))
                luma.append(enlarged(small)[None])
            group.set_attributes({"footage_fingerprint": shot.name, "picture_size": list(_SIZE)})
        print(f"{shot.name}: {shot.frames} frames", flush=True)
    return production


def enlarged(small: np.ndarray) -> np.ndarray:
    """As a frame store has it: uint8 [y=320, x=240], of which the network's input is the same again."""
    return np.rint(small).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--seed", type=int, default=SEED, help="another: another person")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    make_footage(options.folder, options.minutes, options.seed)


if __name__ == "__main__":
    main()
