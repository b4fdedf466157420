"""What does each choice do to the error? Models trained side by side, one choice changed in each.

    python -m benchmarks.accuracy PRODUCTION --out DIR [--preset cpu] [--epochs 8] [--rows base,noise]
    python -m benchmarks.accuracy PRODUCTION --out DIR --table

PRODUCTION is ingested (farm submit ingest). Every row takes the same number of steps on the same frames,
on one thread if not told otherwise; a row that is there already is not trained again, one that was cut
off goes on. The table has errors on the
validation shots, by region and in time, the mean shape, and ridge regression from image PCA to mesh PCA.
`jaw fwd` is the error of the jaw's place along the face, `at its farthest` the same in that tenth of the frames
whose target has the jaw farthest forward.
With a GPU: --preset paper --epochs 200 --device cuda.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy_rows import ROWS, Row
from benchmarks.ridge import SIZE, Ridge
from facecap_core.evaluation.shot_measures import ShotMeter
from facecap_core.evaluation.summary import Summary, summarise
from facecap_core.evaluation.yardstick import Yardstick, yardstick
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.model import Model, load_model
from facecap_core.learning.presets import resolve
from facecap_core.learning.trainingset import ShotPaths, load_examples, read_views
from facecap_core.productions.production import Actor, Production, load_production
from facecap_core.regions import actor_regions
from facecap_core.stores.groups import open_targets
from facecap_core.template import read_animated, read_template

BATCH = 64
FAR = 0.9  # quantile from which a jaw counts as far forward
SMALL = (
    "network.input_size",
    "network.channels",
    "network.refine",
)  # what the paper's recipe keeps


@dataclass(frozen=True)
class Bench:
    """What all rows have in common."""

    production: Production  # its store is that of the benchmark, with the production's arrays in it
    actor: Actor
    preset: str
    epochs: float
    device: str | None
    threads: int
    out: Path

    @property
    def cameras(self) -> list[str]:
        main = self.actor.main_camera
        return [main, *(camera for camera in self.actor.cameras if camera != main)]

    def shots(
        self, split: str, cameras: Sequence[str] = (), *, stabilised: bool = False
    ) -> list[ShotPaths]:
        paths = self.production.paths
        cameras = cameras or [self.actor.main_camera]
        return [
            ShotPaths(
                shot.name,
                tuple(paths.frames(shot.name, camera, stabilised=stabilised) for camera in cameras),
                paths.targets(shot.name),
            )
            for shot in self.production.shots_of(self.actor.name, split=split)
        ]


def begin(options: argparse.Namespace) -> Bench:
    given = load_production(options.production)
    store = options.out / "store"
    store.mkdir(parents=True, exist_ok=True)
    for folder in ("frames", "targets", "stabilised"):
        if not (store / folder).is_symlink():
            (store / folder).symlink_to(given.store / folder)
    production = given.model_copy(update={"store": store})
    actor = production.actors[options.actor or next(iter(production.actors))]
    return Bench(
        production,
        actor,
        options.preset,
        options.epochs,
        options.device,
        options.threads,
        options.out,
    )


def settings_of(row: Row, bench: Bench, frames: int, all_frames: int) -> TrainConfig:
    """The row's configuration: as many steps as the others, whatever footage or batch it has."""
    base = resolve(bench.preset)
    preset = row.preset or bench.preset
    settings = list(row.settings)
    if row.preset and row.preset != bench.preset:  # its recipe, with the network of the other rows
        for setting in SMALL:
            value = base.model_dump(mode="json")["network"][setting.split(".")[1]]
            settings.append(f"{setting}={json.dumps(value)}")
    batch = resolve(preset, network=row.network).batch
    epochs = bench.epochs * row.steps * all_frames / frames * batch / base.batch
    if row.preset == "paper":
        settings.append(f"schedule.rampdown_epochs={0.15 * epochs:g}")
    settings += [f"schedule.epochs={epochs:g}", f"validate_every_epochs={max(epochs / 4, 1):g}"]
    return resolve(preset, settings, network=row.network)


def shortened(
    production: Production, actor: str, minutes: float, frames: dict[str, int]
) -> Production:
    """The production with so many minutes of training footage: whole shots, drawn once for all lengths."""
    names = [shot.name for shot in production.shots_of(actor, split="train")]
    np.random.default_rng(2017).shuffle(names)
    kept, total = set(), 0
    for name in names:
        if total < minutes * 60 * production.fps:
            kept.add(name)
            total += frames[name]
    shots = {
        name: shot
        for name, shot in production.shots.items()
        if shot.split != "train" or shot.actor != actor or name in kept
    }
    return production.model_copy(update={"shots": shots})


def train_row(row: Row, bench: Bench) -> None:
    """Train it unless it is there; note what it took."""
    notes = bench.out / "rows" / f"{row.name}.json"
    if notes.exists():
        return
    paths = bench.production.paths
    frames = {
        shot.name: open_targets(paths.targets(shot.name)).frames
        for shot in bench.production.shots_of(bench.actor.name, split="train")
    }
    production = bench.production
    if row.minutes is not None:
        production = shortened(production, bench.actor.name, row.minutes, frames)
    kept = sum(frames[s.name] for s in production.shots_of(bench.actor.name, split="train"))
    config = settings_of(row, bench, kept, sum(frames.values()))
    began, cpu = time.monotonic(), time.process_time()
    train_actor(
        production,
        bench.actor.name,
        config,
        model=row.name,
        cameras=bench.cameras[: row.views],
        device=bench.device,
        threads=bench.threads,
    )
    notes.parent.mkdir(exist_ok=True)
    facts = {
        "seconds": time.monotonic() - began,
        "processor_seconds": time.process_time() - cpu,
        "frames": kept,
        "epochs": config.schedule.epochs,
    }
    notes.write_text(json.dumps(facts) + "\n")


Solve = Callable[[ShotPaths, int, int], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """The figures of a way to get meshes from pictures."""

    summary: Summary
    far_forward_mm: float  # Summary.jaw_forward_rmse_mm, of frames with the jaw far forward


def measured(solve: Solve, shots: list[ShotPaths], stick: Yardstick) -> Measured:
    """Solve the shots, hold them against their targets."""
    found = []
    for shot in shots:
        targets, meter = open_targets(shot.targets), ShotMeter(shot.shot, stick)
        for start in range(0, targets.frames, BATCH):
            stop = min(start + BATCH, targets.frames)
            meter.add(solve(shot, start, stop), targets.read("positions", start, stop))
        found.append(meter.finish())
    forward = np.concatenate([shot.jaw_forward_mm for shot in found])
    errors = np.concatenate([shot.jaw_forward_error_mm for shot in found])
    far = float("nan")
    if len(forward):
        errors = errors[forward >= np.quantile(forward, FAR)]
        far = float(np.sqrt(np.mean(np.square(errors))))
    return Measured(summarise(found, stick), far)


def table_rows(bench: Bench) -> Iterator[tuple[str, Measured, dict[str, float]]]:
    template = read_template(bench.actor.template)
    animated = (
        read_animated(bench.actor.animated, template.vertex_count)
        if bench.actor.animated
        else np.arange(template.vertex_count)
    )
    stick = yardstick(
        template.positions,
        animated,
        actor_regions(bench.actor, template),
        bench.production.mm_per_unit,
    )
    shots = bench.shots("validation")
    units = bench.production.units
    for count in range(1, len(bench.cameras) + 1):
        cameras = bench.cameras[:count]
        examples = load_examples(bench.shots("train", cameras), units=units, input_size=SIZE)
        ridge = Ridge.fit(examples, units)
        del examples
        told = {"processor_seconds": ridge.seconds}
        if count == 1:
            yield "mean shape", measured(ridge.mean, shots, stick), {}
        name = "ridge" if count == 1 else f"ridge: {', '.join(cameras)}"
        yield name, measured(ridge.solve, bench.shots("validation", cameras), stick), told
    for row in ROWS:
        notes = bench.out / "rows" / f"{row.name}.json"
        if not notes.exists():
            continue
        model = load_model(bench.production.paths.model(bench.actor.name, row.name), bench.device)
        told = json.loads(notes.read_text())
        for name, views in _view_sets(row, model):

            def solve(shot: ShotPaths, start: int, stop: int) -> np.ndarray:
                return model.predict(read_views(shot, start, stop)[:, views], views)  # noqa: B023

            shots = bench.shots(
                "validation", model.cameras, stabilised=model.config.stabilised_input
            )
            yield name, measured(solve, shots, stick), told


def _view_sets(row: Row, model: Model) -> list[tuple[str, list[int]]]:
    every = list(range(len(model.cameras)))
    sets = [(row.name, every)]
    if model.may_miss_views:
        sets += [(f"{row.name}: {model.cameras[view]} only", [view]) for view in every]
    return sets


COLUMNS: dict[str, Callable[[Measured], float]] = {
    "rmse": lambda m: m.summary.rmse_mm,
    "mean": lambda m: m.summary.mean_frame_rmse_mm,
    "95 %": lambda m: m.summary.p95_mm,
    "lips": lambda m: m.summary.regions_mm.get("lips", float("nan")),
    "lids": lambda m: m.summary.regions_mm.get("lids", float("nan")),
    "jaw": lambda m: m.summary.regions_mm.get("jaw", float("nan")),
    "brows": lambda m: m.summary.regions_mm.get("brows", float("nan")),
    "veloc.": lambda m: m.summary.velocity_error_mm_per_frame,
    "accel.": lambda m: m.summary.acceleration_error_mm_per_frame2,
    "stabil.": lambda m: m.summary.stability,
    "amplit.": lambda m: m.summary.amplitude,
    "lip gap": lambda m: m.summary.lip_aperture_error_mm,
    "lid gap": lambda m: m.summary.lid_aperture_error_mm,
    "jaw fwd": lambda m: m.summary.jaw_forward_rmse_mm,
    "at its farthest": lambda m: m.far_forward_mm,
}


def print_table(bench: Bench) -> None:
    print(
        f"{bench.actor.name}, preset {bench.preset}, {bench.epochs:g} epochs, torch {torch.__version__}"
    )
    print("| row |" + "".join(f" {column} |" for column in COLUMNS) + " CPU min |")
    print("|---|" + "---:|" * (len(COLUMNS) + 1))
    results = {}
    for name, found, notes in table_rows(bench):
        far = {"jaw_far_forward_rmse_mm": found.far_forward_mm}
        results[name] = {**found.summary.as_json(), **far, **notes}
        seconds = notes.get("processor_seconds")
        took = f" {seconds / 60:.1f} |" if seconds is not None else " |"
        figures = "".join(f" {get(found):.3f} |" for get in COLUMNS.values())
        print(f"| {name} |{figures}{took}", flush=True)
    (bench.out / "table.json").write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("production", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--actor", help="else the first")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, default=1, help="of the processor, for training")
    parser.add_argument("--rows", help="names, with commas; else all")
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = begin(options)
    wanted = options.rows.split(",") if options.rows else [row.name for row in ROWS]
    for row in [] if options.table else [row for row in ROWS if row.name in wanted]:
        if row.views > len(bench.cameras):
            print(f"{row.name}: left out, there is one camera only", flush=True)
            continue
        train_row(row, bench)
        print(f"{row.name}: trained", flush=True)
    print_table(bench)


if __name__ == "__main__":
    main()
