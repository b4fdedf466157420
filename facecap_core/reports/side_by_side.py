"""Side by side: two models of an actor on one page, measured on the same frames."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facecap_core.errors import ModelError
from facecap_core.evaluation.clips import Clip, read_clip
from facecap_core.evaluation.evaluation import Evaluation, evaluate
from facecap_core.evaluation.subject import EvaluatedShot, Subject, open_subject
from facecap_core.frame_names import frame_names
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from facecap_core.reports.error_tables import measure_lines, seen
from facecap_core.reports.figures import colour_bar, round_up, scale_top_mm
from facecap_core.reports.frame_charts import errors_of_two
from facecap_core.reports.marks import Mark, differing_frames
from facecap_core.reports.model_tables import settings_rows, taught_rows
from facecap_core.reports.page import one_thread, write_page
from facecap_core.reports.report_pictures import STILL, View, difference, frame_row, shown
from facecap_core.reports.wording import date, duration

NAMES = ("A", "B")


@dataclass(frozen=True)
class ComparisonResult:
    """The page that was written, and the error of both models on the same frames."""

    path: Path
    actor: str
    models: tuple[str, str]
    rmse_mm: tuple[float, float]
    frames: int
    size_bytes: int
    seconds: float


@dataclass(frozen=True)
class _Side:
    subject: Subject
    shots: Mapping[str, EvaluatedShot]
    found: Evaluation


def write_comparison(
    production: Production,
    actor: str,
    models: tuple[str, str],
    destination: Path,
    *,
    device: str | None = None,
    on_progress: OnProgress | None = None,
) -> ComparisonResult:
    """Measure two models on the validation shots that both have, and write a page about them.

    Arguments are those of `write_report`.

    Raises:
        ModelError: a model is missing or damaged, or they have no validation shot in common.
        StoreError: a shot is not in the store, or the page cannot be written.
        Cancelled: `on_progress` answered False; nothing is written.
    """
    started = time.monotonic()
    subjects = [open_subject(production, actor, model, device) for model in models]
    theirs = subjects[1].names("validation")
    names = [name for name in subjects[0].names("validation") if name in theirs]
    if not names:
        raise ModelError(
            f"{models[0]} and {models[1]} have no validation shot in common",
            remedy="compare models that were validated on the same shots",
        )
    sides = []
    for subject in subjects:
        shots = [_originally(subject, shot) for shot in subject.shots(names)]
        found = evaluate(subject, shots, on_progress=on_progress)
        sides.append(_Side(subject, {shot.shot: shot for shot in shots}, found))
    first, second = sides
    size = write_page(destination, "side_by_side.html", _page(first, second))
    return ComparisonResult(
        path=Path(destination),
        actor=actor,
        models=models,
        rmse_mm=(first.found.all.rmse_mm, second.found.all.rmse_mm),
        frames=first.found.frames,
        size_bytes=size,
        seconds=time.monotonic() - started,
    )


def _originally(subject: Subject, shot: EvaluatedShot) -> EvaluatedShot:
    """Held against the targets as tracked: two models may have learned from stabilised ones and others."""
    return replace(shot, target=subject.production.paths.targets(shot.shot))


def _page(first: _Side, second: _Side) -> dict[str, Any]:
    ours, theirs = first.found, second.found
    fps = first.subject.production.fps
    marks = differing_frames(ours.shots, theirs.shots, NAMES, apart=max(1, round(fps)))
    top_mm = scale_top_mm(max(ours.all.rmse_mm, theirs.all.rmse_mm))
    view = View(first.subject.template, ours.bounds, first.subject.model.device)
    # The model with more cameras has the pictures of both.
    seeing = max((first, second), key=lambda side: len(side.subject.cameras))
    cameras = seeing.subject.cameras
    with one_thread():
        rows = _frame_rows(view, top_mm, marks, (first, second), seeing)
        maps, bar = _mean_maps(view, ours, theirs)
    return {
        "production": first.subject.production.name,
        "actor": first.subject.actor,
        "models": [_about(name, side) for name, side in zip(NAMES, (first, second), strict=True)],
        "frames": ours.frames,
        "measures": measure_lines(ours.all, theirs.all),
        "shots": [
            {
                "name": name,
                "frames": summary.frames,
                "first": summary.rmse_mm,
                "second": theirs.by_shot[name].rmse_mm,
                "difference": f"{theirs.by_shot[name].rmse_mm - summary.rmse_mm:+z.3f}",
            }
            for name, summary in ours.by_shot.items()
        ],
        "taught": _differing_lessons(first, second),
        "settings": _differing_settings(first, second),
        "chart": errors_of_two(ours.shots, theirs.shots, NAMES),
        "rows": rows,
        "heads": [
            *(["input"] if len(cameras) == 1 else cameras),
            "target",
            "A",
            "B",
            "difference A",
            "difference B",
        ],
        "bar": colour_bar(top_mm, name="difference"),
        "maps": maps,
        "map_bar": bar,
    }


def _about(name: str, side: _Side) -> dict[str, Any]:
    facts = side.subject.model.facts
    made = facts["made"]
    return {
        "name": name,
        "model": facts["model"],
        "rmse_mm": side.found.all.rmse_mm,
        "preset": facts["preset"],
        "seen": seen(facts),
        "parameters": f"{facts['architecture']['parameters'] / 1e6:.2f} million parameters",
        "trained": date(str(made.get("date", ""))),
        "seconds": f"{duration(float(made['seconds']))} on {made['device']}",
    }


def _differing_lessons(first: _Side, second: _Side) -> list[tuple[str, str, str]]:
    """In which footage, corrections and weights to begin with they differ."""
    ours, theirs = first.subject.model.facts, second.subject.model.facts
    left, right = taught_rows(ours, theirs), taught_rows(theirs, ours)
    return [(name, left[name], right[name]) for name in left if left[name] != right[name]]


def _differing_settings(first: _Side, second: _Side) -> list[tuple[str, str, str]]:
    """The settings in which the two training runs differ."""
    ours, theirs = (
        dict(settings_rows(side.subject.model.config.model_dump())) for side in (first, second)
    )
    return [
        (name, ours.get(name, "–"), theirs.get(name, "–"))
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]


def _frame_rows(
    view: View,
    top_mm: float,
    marks: Sequence[Mark],
    sides: tuple[_Side, _Side],
    seeing: _Side,
) -> list[dict[str, Any]]:
    pictures = view.pictures(STILL, top_mm, supersample=2)
    rows = []
    for mark in marks:
        names = frame_names(seeing.subject.production, mark.shot)
        where = f"of {mark.shot}, frame {names.number(mark.frame)}"
        stills = {id(side): _still(side, mark) for side in sides}
        ours, theirs = (stills[id(side)] for side in sides)
        drawn = [
            *((picture, f"input {where}") for picture in stills[id(seeing)].luma[0]),
            (pictures.clay(ours.target[0]), f"target mesh {where}"),
            (pictures.clay(ours.result[0]), f"result of A {where}"),
            (pictures.clay(theirs.result[0]), f"result of B {where}"),
            difference(pictures, ours, f"of A, {where}"),
            difference(pictures, theirs, f"of B, {where}"),
        ]
        rows.append(frame_row(mark, drawn, names))
    return rows


def _still(side: _Side, mark: Mark) -> Clip:
    return read_clip(side.subject, side.shots[mark.shot], mark.frame, mark.frame + 1)


def _mean_maps(
    view: View, ours: Evaluation, theirs: Evaluation
) -> tuple[list[dict[str, Any]], str]:
    """The mean difference of each vertex of both, in one scale."""
    both = [found.sums.mean_distance_mm for found in (ours, theirs)]
    top = round_up(max(float(np.quantile(np.concatenate(both), 0.99)), 1e-3))
    pictures = view.pictures(STILL, top, supersample=2)
    drawn = [
        shown(
            pictures.difference(view.template.positions, distance),
            f"The face coloured by {name}'s mean difference of each vertex",
        )
        for name, distance in zip(NAMES, both, strict=True)
    ]
    return drawn, colour_bar(top, name="mean", label="mean difference (mm)")
