"""Accuracy table: the errors of the models that benchmarks/accuracy.py trained, beside what needs no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy_rows import ROWS, Row
from benchmarks.own_store import shot_paths
from benchmarks.ridge import SIZE, Ridge
from facecap_core.evaluation.shot_measures import ShotMeter
from facecap_core.evaluation.summary import Summary, summarise
from facecap_core.evaluation.yardstick import Yardstick, yardstick
from facecap_core.learning.model import Model, load_model
from facecap_core.learning.trainingset import ShotPaths, load_examples, read_views
from facecap_core.productions.production import Actor, Production
from facecap_core.regions import actor_regions
from facecap_core.stores.groups import open_targets
from facecap_core.template import read_animated, read_template

BATCH = 64
FAR = 0.9  # quantile from which a jaw counts as far forward

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


def table_rows(
    production: Production, actor: Actor, out: Path, device: str | None
) -> Iterator[tuple[str, Measured, dict[str, float]]]:
    """Name, figures, notes of each row that is there; the mean shape first, ridge regression next."""
    template = read_template(actor.template)
    animated = read_animated(actor.animated, template.vertex_count)
    regions = actor_regions(actor, template)
    stick = yardstick(template.positions, animated, regions, production.mm_per_unit)
    units = production.units
    for count in range(1, len(actor.cameras) + 1):
        cameras = main_first(actor)[:count]
        learned = shot_paths(production, actor.name, "train", cameras)
        shots = shot_paths(production, actor.name, "validation", cameras)
        ridge = Ridge.fit(load_examples(learned, units=units, input_size=SIZE), units)
        told = {"processor_seconds": ridge.seconds}
        if count == 1:
            yield "mean shape", measured(ridge.mean, shots, stick), {}
        name = "ridge" if count == 1 else f"ridge: {', '.join(cameras)}"
        yield name, measured(ridge.solve, shots, stick), told
    for row in ROWS:
        notes = out / "rows" / f"{row.name}.json"
        if not notes.exists():
            continue
        model = load_model(production.paths.model(actor.name, row.name), device)
        told = json.loads(notes.read_text())
        for name, views in _view_sets(row, model):

            def solve(shot: ShotPaths, start: int, stop: int) -> np.ndarray:
                return model.predict(read_views(shot, start, stop)[:, views], views)  # noqa: B023

            shots = shot_paths(
                production,
                actor.name,
                "validation",
                model.cameras,
                stabilised=model.config.stabilised_input,
            )
            yield name, measured(solve, shots, stick), told


def main_first(actor: Actor) -> list[str]:
    """The actor's cameras, the main one first."""
    main = actor.main_camera
    return [main, *(camera for camera in actor.cameras if camera != main)]


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


def print_table(production: Production, actor: Actor, out: Path, device: str | None) -> None:
    """Measure the rows that are there, print them, keep them in table.json."""
    print("| row |" + "".join(f" {column} |" for column in COLUMNS) + " CPU min |")
    print("|---|" + "---:|" * (len(COLUMNS) + 1))
    results = {}
    for name, found, notes in table_rows(production, actor, out, device):
        far = {"jaw_far_forward_rmse_mm": found.far_forward_mm}
        results[name] = {**found.summary.as_json(), **far, **notes}
        seconds = notes.get("processor_seconds")
        took = f" {seconds / 60:.1f} |" if seconds is not None else " |"
        figures = "".join(f" {get(found):.3f} |" for get in COLUMNS.values())
        print(f"| {name} |{figures}{took}", flush=True)
    (out / "table.json").write_text(json.dumps(results, indent=1) + "\n")
