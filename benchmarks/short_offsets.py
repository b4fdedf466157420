"""How short may a shot be whose offset is found, by itself and through the actor's other shots? Clips of tracked footage, all off by the same

    python -m benchmarks.short_offsets PRODUCTION [--frames 60,100,160] [--offsets 3,-7] [--draws 20]

PRODUCTION is sound footage with caches, of which the main camera is decoded once. A day is one clip of each shot, paired
with the cache some frames later: what `farm check --deep` says of it counts as decided alone, decided through others, or
wrong. Then one shot of the day is off and all others are sound: others that are called off are wrong too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.arguments import arguments
from facecap_core.checks.cache_signals import CacheSignals
from facecap_core.checks.frame_offset import Pairing, off_as_others, pair_with_cache
from facecap_core.checks.picture_signals import PictureSignals
from facecap_core.checks.production_check import check_production
from facecap_core.checks.shot_look import read_shot
from facecap_core.productions.production import Shot, load_production
from facecap_core.template import read_template


@dataclass(frozen=True)
class Footage:
    """A tracked shot as the check reads it."""

    shot: Shot
    camera: str
    pictures: PictureSignals
    cache: CacheSignals

    def clips(self, frames: int, offset: int) -> list[Pairing]:
        """Its clips of so many frames, each with the cache so many frames later, as far as there are any."""
        found = []
        whole = self.cache.frames
        for start in range(0, whole - frames + 1, frames):
            other = start + offset
            if not 0 <= other <= whole - frames:
                continue
            pictures = replace(
                self.pictures,
                level=self.pictures.level[start : start + frames],
                stretches=[self.pictures.stretches[0][start : start + frames]],
            )
            meshes = [self.cache.stretches[0][other : other + frames]]
            cache = replace(self.cache, frames=frames, stretches=meshes)
            pairing = pair_with_cache(self.shot, self.camera, pictures, cache)
            found += [pairing] if pairing is not None else []
        return found


def read(folder: Path) -> list[Footage]:
    """All tracked shots of a production that the check keeps in one stretch."""
    production = load_production(folder)
    found = []
    for checked in check_production(production).shots:
        if checked.faults or checked.shot.cache is None:
            continue
        actor = production.actors[checked.shot.actor]
        checked.footage = {actor.main_camera: checked.footage[actor.main_camera]}
        signals = read_shot(checked, production, read_template(actor.template))
        assert signals.cache is not None
        if len(signals.cache.stretches) == 1:
            pictures = signals.pictures[actor.main_camera]
            found.append(Footage(checked.shot, actor.main_camera, pictures, signals.cache))
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("production", type=Path)
    parser.add_argument("--frames", default="60,100,130,160,210")
    parser.add_argument("--offsets", default="3,-7")
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    footage = read(options.production)
    random = np.random.default_rng(0)
    print(f"{'frames':>6} {'clips':>6} {'alone':>6} {'others':>6} {'wrong':>6}   called beside one")
    for frames in map(int, options.frames.split(",")):
        counts: dict[str, int] = defaultdict(int)
        for offset in map(int, options.offsets.split(",")):
            off = [clips for one in footage if (clips := one.clips(frames, offset))]
            sound = [clips for one in footage if (clips := one.clips(frames, 0))]
            for _ in range(options.draws):
                day = [clips[random.integers(len(clips))] for clips in off]
                alone = [one.curve.best for one in day if one.curve.is_off]
                through = [round(finding.figure) for finding in off_as_others(day)]
                counts["clips"] += len(day)
                counts["alone"] += alone.count(-offset)
                counts["through"] += through.count(-offset)
                counts["wrong"] += sum(best != -offset for best in (*alone, *through))
                others = [clips[random.integers(len(clips))] for clips in sound]
                bad = next((one for one in day if one.curve.is_off), None)
                if bad is not None:
                    others = [one for one in others if one.shot.name != bad.shot.name]
                    counts["looks"] += len(others)
                    counts["called"] += len(off_as_others([bad, *others]))
        print(
            f"{frames:6} {counts['clips']:6} {counts['alone']:6} {counts['through']:6} {counts['wrong']:6}"
            f"   {counts['called']} of {counts['looks']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
