"""What do sixty corrected frames bring? A bulk shot's worst run put right, a model fine-tuned on it, every bulk shot measured

    python -m benchmarks.correction PRODUCTION TRUTH_FOLDER [--actor A] [--model M] [--frames 60]
        [--set KEY=VALUE ...] [--without]

PRODUCTION has a trained model and bulk shots that it solved; TRUTH_FOLDER holds SHOT.pc2 (or any readable cache)
of them. Work on a copy: a correction is added and models are made. The worst run of frames of the worst shot is
taken from the truth as an artist's file, brought in as `farm correct` does, and learned as `farm submit train
--from` does; `--without` fine-tunes without it as well, to tell its part from that of more training. Errors in
mm (RMSE over the animated vertices, pooled): the corrected frames, the rest of their shot, other bulk shots;
and what `farm compare` lists.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.arguments import production_arguments
from benchmarks.record import figure
from facecap_core.changes.model_results import open_compared
from facecap_core.changes.shot_change import compare_models
from facecap_core.corrections.correction import add_correction, standing
from facecap_core.corrections.delivery import Reading, read_delivery
from facecap_core.inference import infer_shot
from facecap_core.ingest import ingest_frames
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.fine_tuning import fine_tuned
from facecap_core.learning.model import read_model_facts
from facecap_core.learning.rmse import pooled_rmse_mm
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.productions.production import Production, load_production
from facecap_core.scoring import score_shot
from facecap_core.solved_shot import open_solved
from facecap_core.stores.groups import open_vertices
from facecap_core.template import read_animated, read_template

THRESHOLD_MM = 0.3  # as farm compare has it


@dataclass(frozen=True)
class Bench:
    """The production with what its bulk shots are held against."""

    production: Production
    actor: str
    truth: Path

    def shots(self) -> list[str]:
        """Bulk shots that are solved and have a truth."""
        paths = self.production.paths
        return [
            shot.name
            for shot in self.production.shots_of(self.actor, split="")
            if paths.vertices(self.actor, shot.name).exists() and self.cache(shot.name)
        ]

    def cache(self, shot: str) -> Path | None:
        """The shot's truth, where there is one."""
        return next(self.truth.glob(f"{shot}.*"), None)

    def errors(self, shot: str, vertices: Path) -> np.ndarray:
        """Of each frame, mm [frame]."""
        settings = self.production.actors[self.actor]
        template = read_template(settings.template)
        animated = read_animated(settings.animated, template.vertex_count)
        cache = self.cache(shot)
        assert cache is not None
        mm = self.production.mm_per_unit
        return score_shot(vertices, cache, template=template, animated=animated, mm_per_unit=mm)

    def solved_by(self, model: str, folder: Path) -> dict[str, np.ndarray]:
        """Errors of all shots, solved anew into a folder."""
        found = {}
        for shot in self.shots():
            destination = folder / model / f"{shot}.zarr"
            infer_shot(
                self.production.paths.model(self.actor, model),
                self.production.shots[shot].footage,
                fps=self.production.fps,
                destination=destination,
                threads=1,
            )
            found[shot] = self.errors(shot, destination)
        return found


def worst_run(errors: np.ndarray, frames: int) -> tuple[int, int]:
    """First and last of so many consecutive frames with the largest error."""
    pooled = np.convolve(np.square(errors), np.ones(frames), "valid")
    first = int(pooled.argmax())
    return first, first + frames - 1


def correct(bench: Bench, shot: str, first: int, last: int, folder: Path) -> None:
    """Bring the truth of these frames in, as an artist's file in other units and axes."""
    paths, production = bench.production.paths, bench.production
    if standing(paths, bench.actor, shot):
        return  # of an earlier run
    solved = open_solved(production, shot)
    cache = bench.cache(shot)
    assert cache is not None
    count = solved.template.vertex_count
    with open_point_cache(cache, vertex_count=count, topology=solved.template) as truth:
        write_pc2(folder / "artist.pc2", truth.read(first, last + 1))
    reading = Reading(frames=(first, last))
    delivery = read_delivery(production, solved, folder / "artist.pc2", reading)
    add_correction(
        paths,
        bench.actor,
        shot,
        frames=delivery.frames,
        blocks=delivery.blocks(),
        facts={**delivery.facts(), "note": "benchmark", "blend": 0},
    )


def tell(name: str, errors: dict[str, np.ndarray], shot: str, run: slice) -> None:
    """The errors, mm [frame] of each shot, of the corrected run, of the rest of its shot, and of the others."""
    rest = np.ones(len(errors[shot]), bool)
    rest[run] = False
    others = {other: pooled_rmse_mm(found) for other, found in errors.items() if other != shot}
    figure(f"{name}: corrected frames", [pooled_rmse_mm(errors[shot][run])], unit="mm")
    figure(f"{name}: rest of the shot", [pooled_rmse_mm(errors[shot][rest])], unit="mm")
    for other, rmse in others.items():
        figure(f"{name}: {other}", [rmse], unit="mm")


def tell_changes(bench: Bench, base: str, name: str) -> None:
    """What `farm compare` would list, and how much of the footage that is."""
    models = [open_compared(bench.production, bench.actor, model) for model in (base, name)]
    changes, _ = compare_models(models[0], models[1], bench.shots(), every=4)
    for change in changes:
        listed = ", ".join(f"{a}-{b} ({mm:.2f})" for a, b, mm in change.ranges(THRESHOLD_MM))
        print(f"{change.shot}: {listed or 'nothing'}")
    frames = sum(change.frames for change in changes)
    listed_frames = sum(change.changed_frames(THRESHOLD_MM) for change in changes)
    figure(f"{name}: frames changed by more than {THRESHOLD_MM} mm", [listed_frames / frames])


def main() -> None:
    parser = production_arguments(__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--model", help="else the one that solved the first shot")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--without", action="store_true", help="fine-tune without it as well")
    parser.add_argument("--name", default="tuned", help="of the model that is made")
    options = parser.parse_args()
    production = load_production(options.production)
    actor = options.actor or next(iter(production.actors))
    bench = Bench(production, actor, options.truth)
    paths = production.paths
    before = {shot: bench.errors(shot, paths.vertices(actor, shot)) for shot in bench.shots()}
    shot = max(before, key=lambda one: pooled_rmse_mm(before[one]))
    first, last = worst_run(before[shot], options.frames)
    print(f"{shot}: frames {first}-{last} corrected")
    run = slice(first, last + 1)
    tell("before", before, shot, run)
    solved_by = open_vertices(paths.vertices(actor, shot)).attributes["model"]
    base = options.model or str(solved_by)
    facts = read_model_facts(paths.model(actor, base))
    config = fine_tuned(facts, options.set)
    with tempfile.TemporaryDirectory(dir=options.production) as scratch:
        folder = Path(scratch)
        correct(bench, shot, first, last, folder)
        for camera in facts["cameras"]:
            ingest_frames(
                production.shots[shot].footage[camera],
                crop=production.actors[actor].cameras[camera].crop,
                fps=production.fps,
                destination=paths.frames(shot, camera),
            )
        contents = {shot: [one.content for one in standing(paths, actor, shot)]}
        for name, corrections in ((options.name, contents), (f"{options.name}-without", {})):
            if not corrections and not options.without:
                continue
            began, processor = time.monotonic(), time.process_time()
            train_actor(
                production,
                actor,
                config,
                model=name,
                cameras=facts["cameras"],
                base=base,
                corrections=corrections,
                threads=1,
            )
            made = read_model_facts(paths.model(actor, name))
            figure(f"{name}: training", [time.monotonic() - began], unit="s")
            figure(f"{name}: training, processor", [time.process_time() - processor], unit="s")
            part = made["config"]["schedule"]["epochs"] / facts["config"]["schedule"]["epochs"]
            figure(f"{name}: epochs, of the base's", [part])
            before_mm, after_mm = (m["validation"]["rmse_mm"] for m in (facts, made))
            figure(f"{name}: validation : base", [after_mm / before_mm])
            tell(name, bench.solved_by(name, folder), shot, run)
            tell_changes(bench, base, name)


if __name__ == "__main__":
    main()
