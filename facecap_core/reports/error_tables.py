"""Error tables: what a page says about errors in rows and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from facecap_core.evaluation.evaluation import Evaluation
from facecap_core.evaluation.measure_rows import measure_rows
from facecap_core.evaluation.summary import Summary
from facecap_core.reports.wording import figure, mm

DISAGREEMENT = 0.02  # part by which a measured error may leave the one of model.json unmentioned


def mean_shape_mm(facts: Mapping[str, Any], found: Evaluation, *, split: str) -> float | None:
    """RMSE of the mean training mesh: as measured, else as the end of the training knew it."""
    if found.mean_shape:
        return found.mean_shape.rmse_mm
    known = facts["validation"].get("mean_shape_rmse_mm")
    return float(known) if known is not None and split == "validation" else None


def baselines(facts: Mapping[str, Any], found: Evaluation, *, split: str) -> list[dict[str, Any]]:
    """The mean shape, this model, and the floor of its PCA basis, greatest first."""
    known = facts["validation"]
    components = known.get("pca_components", facts["config"]["network"]["components"])
    lines = [
        (
            "mean shape",
            "the mean training mesh in every frame: no tracking",
            mean_shape_mm(facts, found, split=split),
        ),
        ("this model", seen(facts), found.all.rmse_mm),
        (
            f"PCA floor, {components} components",
            "the targets themselves, in the model's initial basis",
            known.get("pca_floor_rmse_mm") if split == "validation" else None,
        ),
    ]
    rows: list[dict[str, Any]] = [
        {"name": name, "meaning": meaning, "rmse_mm": value, "this": name == "this model"}
        for name, meaning, value in lines
        if value is not None and np.isfinite(value)
    ]
    greatest = max(row["rmse_mm"] for row in rows) or 1.0
    return [{**row, "percent": round(100 * row["rmse_mm"] / greatest, 2)} for row in rows]


def seen(facts: Mapping[str, Any]) -> str:
    """What the network looks at."""
    cameras = facts["cameras"]
    if len(cameras) == 1:
        return "from one gray picture a frame"
    return f"from {len(cameras)} gray pictures a frame: {', '.join(cameras)}"


def shot_rows(found: Evaluation, categories: Mapping[str, str]) -> list[dict[str, Any]]:
    """A line a shot, and one of all, with the error of each region."""
    rows = [
        _errors_row(name, summary, categories.get(name, ""))
        for name, summary in found.by_shot.items()
    ]
    if len(rows) > 1:
        rows.append({**_errors_row("all", found.all, ""), "worst_frame": "", "all": True})
    return rows


def _errors_row(name: str, summary: Summary, category: str) -> dict[str, Any]:
    return {
        "name": name,
        "category": category,
        "frames": summary.frames,
        "rmse_mm": summary.rmse_mm,
        "p95_mm": summary.p95_mm,
        "worst_mm": summary.worst_mm,
        "worst_frame": summary.worst_frame,
        "regions_mm": list(summary.regions_mm.values()),
        "all": False,
    }


@dataclass(frozen=True)
class MeasureLine:
    """A measure of two results side by side, each as text; `better` names the one nearer to the best value."""

    name: str
    unit: str
    first: str
    second: str
    difference: str = ""
    better: str = ""


def measure_lines(first: Summary, second: Summary | None) -> list[MeasureLine]:
    """Every measure of one result, and of another beside it; without those that neither has."""
    lines = []
    ours = measure_rows(first)
    for one, other in zip(ours, measure_rows(second) if second else ours, strict=True):
        if not np.isfinite(one.value) and not np.isfinite(other.value):
            continue
        apart = other.value - one.value
        better = ""
        same = figure(one.value) == figure(other.value)  # as anyone can see
        if one.best is not None and np.isfinite(apart) and not same:
            errors = abs(one.value - one.best), abs(other.value - one.best)
            better = "first" if errors[0] < errors[1] else "second" if errors[1] < errors[0] else ""
        lines.append(
            MeasureLine(
                one.name,
                one.unit,
                figure(one.value),
                figure(other.value) if second else "",
                f"{apart:+z.3f}" if second and np.isfinite(apart) else "",
                better if second else "",
            )
        )
    return lines


def warnings(
    facts: Mapping[str, Any],
    found: Evaluation | None,
    current: Mapping[str, Mapping[str, str]],
    *,
    split: str,
) -> list[str]:
    """What a reader should know before believing the figures.

    `current` has the fingerprints of the shots as they are in the store now.
    """
    if found is None:
        return [
            "This model has no validation shot, so its error on footage that it has not seen is not known."
        ]
    told = []
    trained = facts["training"].get("fingerprints", {})
    changed = [shot for shot, now in current.items() if trained.get(shot, now) != now]
    if changed:
        told.append(f"Ingested anew from other files since the training: {', '.join(changed)}.")
    if known := [shot for shot in found.by_shot if shot in facts["training"]["shots"]]:
        told.append(
            f"The model was trained on {', '.join(known)}: errors there say little about new footage."
        )
    before = facts["validation"].get("rmse_mm") if split == "validation" else None
    if before and abs(found.all.rmse_mm / before - 1) > DISAGREEMENT:
        told.append(
            f"The error measured for this page is {mm(found.all.rmse_mm)} mm; at the end of the "
            f"training it was {mm(before)} mm. Footage, caches or the list of animated vertices have changed since."
        )
    mean_shape = mean_shape_mm(facts, found, split=split)
    if mean_shape and found.all.rmse_mm >= mean_shape:
        told.append(
            "On these shots the model is no better than the mean shape: it has not learned to track them. "
            "Train longer, or on footage that resembles them."
        )
    return told
