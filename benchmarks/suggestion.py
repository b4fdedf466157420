"""Do two suggested minutes help more than two random ones? Models trained on either, beside each other.

    python -m benchmarks.suggestion PRODUCTION --out DIR [--minutes 2] [--draws 5]
    python -m benchmarks.suggestion ADA --out DIR --keep ada_speech_05 --minutes 0.75   # a production of one's own

PRODUCTION has tracked shots, and the targets of its bulk shots in the store in the place of what a tracker
would deliver (python -m benchmarks.suggestion_footage makes one). With --keep, of any ingested production
only these training shots stay tracked, and its other ones are the bulk. A small network learns the tracked
shots and solves the bulk; `farm suggest` chooses clips; so does chance, of the same lengths. The network is then
trained on the tracked shots and the clips of each, from the same start, in equally many steps. Of the mesh every
few vertices are taken (--vertices), which is enough to tell poses apart and costs a fraction.
Prints the error on the validation shots of each. A model that is there is not trained again.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.arguments import production_arguments
from benchmarks.record import figure
from benchmarks.suggestion_trainings import Bench, Clip, begin, validation_mm
from benchmarks.thinned_production import thinned
from facecap_core.productions.production import Production, load_production
from facecap_core.stores.groups import open_targets
from facecap_core.suggestions.footage_poses import FootagePoses, read_poses
from facecap_core.suggestions.suggestion import suggest


def drawn(footage: FootagePoses, lengths: list[int], seed: int) -> list[Clip]:
    """Clips of these lengths anywhere in the bulk, none over another."""
    random = np.random.default_rng(seed)
    taken = [np.zeros(shot.frames, bool) for shot in footage.shots]
    clips = []
    for length in sorted(lengths, reverse=True):
        free = [
            (number, first)
            for number, used in enumerate(taken)
            for first in range(len(used) - length + 1)
            if not used[first : first + length].any()
        ]
        number, first = free[int(random.integers(len(free)))]
        taken[number][first : first + length] = True
        clips.append((footage.shots[number].name, first, first + length - 1))
    return clips


def told(clips: list[Clip], production: Production) -> str:
    """How much of each category."""
    seconds: dict[str, float] = {}
    for shot, first, last in clips:
        category = production.shots[shot].category
        length = float((last - first + 1) / production.fps)
        seconds[category] = seconds.get(category, 0.0) + length
    return ", ".join(f"{name} {length:.0f} s" for name, length in sorted(seconds.items()))


def trained_mm(bench: Bench, label: str, clips: list[Clip], name: str, seed: int) -> float:
    """The error of a network that learned these clips too, printed."""
    error_mm = bench.error_mm(clips, name, seed)
    print(f"{label:16} {error_mm:.3f} mm  {told(clips, bench.production)}", flush=True)
    return error_mm


def print_footage(bench: Bench, footage: FootagePoses, seconds: float) -> None:
    """How much is tracked, bulk, held back; and how fast it was read and chosen from, in `seconds`."""
    paths, fps = bench.production.paths, bench.production.fps
    held = sum(
        open_targets(paths.targets(shot.name)).frames
        for shot in bench.production.shots_of(bench.actor, split="validation")
    )
    bulk = sum(shot.frames for shot in footage.shots)
    tracked, more, rest = (f"{float(n / fps) / 60:.1f}" for n in (bench.tracked, bulk, held))
    print(
        f"{tracked} minutes tracked, {more} of bulk, {rest} held back; {bench.steps} steps;"
        f" suggested at {bulk / seconds:.0f} frames a processor second"
    )


def main() -> None:
    parser = production_arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", help="training shots, with commas; the others become bulk")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--clip-seconds", type=float, default=4.0)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="starts of the trainings of both")
    parser.add_argument("--vertices", type=int, default=500, help="of the mesh, about")
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    given = load_production(options.production)
    actor = options.actor or next(iter(given.actors))
    kept = options.keep.split(",") if options.keep else None
    production = thinned(given, actor, options.out, options.vertices, kept)
    bench = begin(production, actor, options.steps, options.out)
    clock = time.process_time()
    footage = read_poses(production, actor)
    chosen = suggest(
        footage,
        frames=round(options.minutes * 60 * production.fps),
        clip_frames=round(options.clip_seconds * production.fps),
    )
    print_footage(bench, footage, time.process_time() - clock)
    clips = [(each.shot, each.first, each.last) for each in chosen]
    before = validation_mm(bench.model, production, actor)
    print(f"{'nothing more':16} {before:.3f} mm", flush=True)
    suggested = [
        trained_mm(bench, f"suggested, seed {seed}", clips, f"suggested-{seed}", 2017 + seed)
        for seed in range(options.seeds)
    ]
    lengths = [last - first + 1 for _, first, last in clips]
    by_chance = []
    for draw in range(options.draws):
        seed = 2017 + draw % options.seeds  # the start alone makes a difference
        random = drawn(footage, lengths, draw)
        by_chance.append(trained_mm(bench, f"random {draw}", random, f"random-{draw}-{seed}", seed))
    ours = float(np.mean(suggested))
    better = sum(ours < error for error in by_chance)
    print(
        f"suggested {ours:.3f} mm, random {np.mean(by_chance):.3f} ± {np.std(by_chance):.3f} mm"
        f" (best {min(by_chance):.3f}); better than {better} of {len(by_chance)} draws;"
        f" {(time.process_time() - began) / 60:.1f} processor minutes"
    )
    figure(
        "error of suggested minutes : random ones",
        [ours / error for error in by_chance],
        at_most=1.0,
    )


if __name__ == "__main__":
    main()
