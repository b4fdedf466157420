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

import argparse
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from benchmarks.record import figure
from benchmarks.thinned_production import thinned
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.confidence import FrameFigures, not_estimated
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.examples import Examples
from facecap_core.learning.model import Model, load_model
from facecap_core.learning.presets import resolve
from facecap_core.learning.rmse import per_frame_rmse_mm, pooled_rmse_mm
from facecap_core.learning.training import train
from facecap_core.learning.trainingset import ShotPaths, load_examples
from facecap_core.productions.production import Production, load_production
from facecap_core.stores.groups import new_group, open_frames, open_targets
from facecap_core.suggestions.footage_poses import FootagePoses, read_poses
from facecap_core.suggestions.suggestion import suggest
from facecap_core.template import read_template

SMALL = (
    "network.input_size=[30,40]",
    "network.channels=[24,40,64]",
    "network.refine=[false,true,true]",
    "network.components=48",
    "network.dropout=0",
)
BATCH = 64

Clip = tuple[str, int, int]
"""Shot, first frame, last frame."""


@dataclass(frozen=True)
class Bench:
    """What all trainings have in common."""

    production: Production
    actor: str
    model: Model  # of the tracked shots alone
    examples: Examples  # the tracked shots, then the bulk
    starts: dict[str, int]  # of each shot in these
    tracked: int  # frames
    animated: np.ndarray
    steps: int
    out: Path

    def config(self, frames: int, seed: int) -> TrainConfig:
        """As many steps, whatever there is to learn from."""
        return _config(self.steps, frames, seed)

    def error_mm(self, clips: list[Clip], name: str, seed: int) -> float:
        """On the validation shots, of a network that learned the tracked shots and these."""
        rows = [np.arange(self.tracked)]
        rows += [self.starts[shot] + np.arange(first, last + 1) for shot, first, last in clips]
        chosen = torch.from_numpy(np.concatenate(rows))
        learned = Examples(
            self.examples.luma[chosen],
            self.examples.positions[chosen],
            (("tracked and chosen", len(chosen)),),
        )
        facts = {
            key: self.model.facts[key]
            for key in ("cameras", "crop", "picture_size", "fps", "units", "topology_sha256")
        }
        directory = self.out / "models" / name
        if not directory.exists():
            train(
                learned,
                None,  # a validation in it would calibrate each model, which nobody asks here
                self.config(len(chosen), seed),
                animated=self.animated,
                facts={**facts, "actor": self.actor, "model": name},
                model_directory=directory,
                state_directory=self.out / "training" / name,
                device="cpu",
                threads=1,
            )
        return validation_mm(load_model(directory, "cpu"), self.production, self.actor)


def validation_mm(model: Model, production: Production, actor: str) -> float:
    """RMSE over all vertices and validation frames."""
    errors = []
    for shot in production.shots_of(actor, split="validation"):
        pictures = open_frames(production.paths.frames(shot.name, model.camera))
        targets = open_targets(production.paths.targets(shot.name))
        for start in range(0, pictures.frames, BATCH):
            solved = model.predict(pictures.read("luma", start, start + BATCH))
            target = targets.read("positions", start, start + BATCH)
            errors.append(per_frame_rmse_mm(solved, target, mm_per_unit=production.mm_per_unit))
    return pooled_rmse_mm(np.concatenate(errors))


def _config(steps: int, frames: int, seed: int) -> TrainConfig:
    batch = resolve("demo").batch
    epochs = steps * batch / frames
    settings = [*SMALL, f"schedule.epochs={epochs:.6f}", f"validate_every_epochs={2 * epochs:.6f}"]
    return resolve("demo", [*settings, f"seed={seed}"])


def begin(options: argparse.Namespace) -> Bench:
    """Train on what is tracked, solve the bulk, and read everything into memory."""
    given = load_production(options.production)
    actor = options.actor or next(iter(given.actors))
    kept = options.keep.split(",") if options.keep else None
    production = thinned(given, actor, options.out, options.vertices, kept)
    settings = production.actors[actor]
    animated = np.arange(read_template(settings.template).vertex_count)

    paths = production.paths
    everything = load_examples(
        [
            ShotPaths(
                shot.name,
                (paths.frames(shot.name, settings.main_camera),),
                paths.targets(shot.name),
            )
            for split in ("train", "")
            for shot in production.shots_of(actor, split=split)
        ],
        units=production.units,
        input_size=resolve("demo", SMALL).network.input_size,
    )
    ends = np.cumsum([frames for _, frames in everything.shots]).tolist()
    starts = {
        name: end - frames for (name, frames), end in zip(everything.shots, ends, strict=True)
    }
    names = {shot.name for shot in production.shots_of(actor, split="train")}
    tracked = sum(frames for name, frames in everything.shots if name in names)
    directory = production.paths.model(actor, "tracked")
    if not directory.exists():
        train_actor(
            production,
            actor,
            _config(options.steps, tracked, 2017),
            model="tracked",
            device="cpu",
            threads=1,
        )
    model = load_model(directory, "cpu")
    _solve(production, actor, model)
    return Bench(
        production,
        actor,
        model,
        everything,
        starts,
        tracked,
        animated,
        options.steps,
        options.out,
    )


def _solve(production: Production, actor: str, model: Model) -> None:
    """The bulk's vertex stores."""
    facts = {key: model.facts[key] for key in ("model", "fps", "units", "topology_sha256")}
    for shot in production.shots_of(actor, split=""):
        path = production.paths.vertices(actor, shot.name)
        if path.exists():
            continue
        pictures = open_frames(production.paths.frames(shot.name, model.camera))
        with new_group(path) as group:
            figures = {field.name: group.figure(field.name) for field in fields(FrameFigures)}
            positions = group.positions(model.vertex_count)
            for start in range(0, pictures.frames, BATCH):
                luma = pictures.read("luma", start, start + BATCH)[:, None]
                result = model.solver(luma).start(luma)
                positions.append(result())
                told = not_estimated(len(luma))
                if model.confidence and (signals := result.signals()) is not None:
                    told = model.confidence.figures(signals, [0])
                for name, figure_of in figures.items():
                    figure_of.append(getattr(told, name))
            group.set_attributes({**facts, "camera": model.camera})


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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("production", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--actor", help="else the first")
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
    bench = begin(options)
    fps = bench.production.fps
    clock = time.process_time()
    footage = read_poses(bench.production, bench.actor)
    chosen = suggest(
        footage,
        frames=round(options.minutes * 60 * fps),
        clip_frames=round(options.clip_seconds * fps),
    )
    clips = [(each.shot, each.first, each.last) for each in chosen]
    held = sum(
        open_targets(bench.production.paths.targets(shot.name)).frames
        for shot in bench.production.shots_of(bench.actor, split="validation")
    )
    bulk = sum(shot.frames for shot in footage.shots)

    def minutes(frames: int) -> str:
        return f"{float(frames / fps) / 60:.1f}"

    rate = bulk / (time.process_time() - clock)
    print(
        f"{minutes(bench.tracked)} minutes tracked, {minutes(bulk)} of bulk,"
        f" {minutes(held)} held back; {bench.steps} steps;"
        f" suggested at {rate:.0f} frames a processor second"
    )
    before = validation_mm(bench.model, bench.production, bench.actor)
    print(f"{'nothing more':16} {before:.3f} mm", flush=True)
    suggested = []
    for seed in range(options.seeds):
        suggested.append(bench.error_mm(clips, f"suggested-{seed}", 2017 + seed))
        print(
            f"{f'suggested, seed {seed}':16} {suggested[-1]:.3f} mm  {told(clips, bench.production)}",
            flush=True,
        )
    lengths = [last - first + 1 for _, first, last in clips]
    by_chance = []
    for draw in range(options.draws):
        random = drawn(footage, lengths, draw)
        seed = 2017 + draw % options.seeds  # the start alone makes a difference
        by_chance.append(bench.error_mm(random, f"random-{draw}-{seed}", seed))
        print(
            f"{f'random {draw}':16} {by_chance[-1]:.3f} mm  {told(random, bench.production)}",
            flush=True,
        )
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
