"""Report tables: the figures of a report that come from model.json, shots.csv and the measured errors."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from facecap_core.learning.evaluation import pooled_rmse_mm
from facecap_core.productions.composition import PAPER_MINUTES, PAPER_PARTS, UNNAMED, Composition
from facecap_core.reports.validation import Validation

DISAGREEMENT = 0.02  # part by which a measured error may leave the one of model.json unmentioned


def mm(value: float | None) -> str:
    """Millimetres with three figures below 0.1, else hundredths."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """`42 s`, `5 min 3 s` or `8.2 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{seconds / 3600:.1f} h"


def timecode(frame: int, fps: Fraction) -> str:
    """HH:MM:SS:FF of a frame counted from 0, without dropped numbers."""
    rate = max(1, round(fps))
    second = frame // rate
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}:{frame % rate:02d}"


def date(iso: str) -> str:
    """A date of model.json for reading; as it is when it is none."""
    try:
        moment = datetime.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


@dataclass(frozen=True)
class Card:
    """A headline figure."""

    figure: str
    unit: str
    what: str


def cards(facts: Mapping[str, Any], validation: Validation | None, minutes: float) -> list[Card]:
    """The figures at the top of the page."""
    made, mean_shape = facts["made"], facts["validation"].get("mean_shape_rmse_mm")
    first = [Card("–", "", "validation RMSE: there is no validation shot")]
    if validation:
        part = f", {validation.rmse_mm / mean_shape:.0%} of the mean shape" if mean_shape else ""
        first = [Card(mm(validation.rmse_mm), "mm", f"validation RMSE{part}")]
        if len(validation.shots) > 1:
            name, worst = worst_shot(validation)
            first.append(Card(mm(worst), "mm", f"in the worst shot, {name}"))
    return [
        *first,
        Card(
            f"{minutes:.1f}", "min", f"of training footage, {len(facts['training']['shots'])} shots"
        ),
        Card(duration(float(made["seconds"])), "", f"of training on {made['device']}"),
        Card(
            f"{facts['architecture']['parameters'] / 1e6:.2f}",
            "million",
            f"parameters, {facts['config']['schedule']['epochs']:g} epochs",
        ),
    ]


def worst_shot(validation: Validation) -> tuple[str, float]:
    """Name and RMSE of the shot of greatest error."""
    errors = {shot.shot: pooled_rmse_mm(shot.rmse_mm) for shot in validation.shots}
    name = max(errors, key=lambda shot: errors[shot])
    return name, errors[name]


def baselines(facts: Mapping[str, Any], validation: Validation) -> list[dict[str, Any]]:
    """The mean shape, this model, and the floor of its PCA basis, greatest first."""
    known = facts["validation"]
    components = known.get("pca_components", facts["config"]["network"]["components"])
    lines = [
        ("mean shape", "the mean training mesh in every frame: no tracking", "mean_shape_rmse_mm"),
        ("this model", "from one gray picture a frame", None),
        (
            f"PCA floor, {components} components",
            "the targets themselves, in the model's initial basis",
            "pca_floor_rmse_mm",
        ),
    ]
    rows: list[dict[str, Any]] = []
    for name, meaning, key in lines:
        value = validation.rmse_mm if key is None else known.get(key)
        if value is not None and np.isfinite(value):
            rows.append({"name": name, "meaning": meaning, "rmse_mm": value, "this": key is None})
    greatest = max(row["rmse_mm"] for row in rows) or 1.0
    return [{**row, "percent": round(100 * row["rmse_mm"] / greatest, 2)} for row in rows]


def shot_rows(validation: Validation, categories: Mapping[str, str]) -> list[dict[str, Any]]:
    """A line a validation shot, and one of all."""
    rows = []
    for shot in validation.shots:
        rows.append(_errors_row(shot.shot, shot.rmse_mm))
        rows[-1]["category"] = categories.get(shot.shot, "")
        rows[-1]["worst_frame"] = int(np.argmax(shot.rmse_mm))
    if len(rows) > 1:
        every = np.concatenate([shot.rmse_mm for shot in validation.shots])
        rows.append({**_errors_row("all", every), "category": "", "worst_frame": "", "all": True})
    return rows


def _errors_row(name: str, rmse_mm: np.ndarray) -> dict[str, Any]:
    return {
        "name": name,
        "frames": len(rmse_mm),
        "rmse_mm": pooled_rmse_mm(rmse_mm),
        "p95_mm": float(np.quantile(rmse_mm, 0.95)),
        "worst_mm": float(rmse_mm.max()),
        "all": False,
    }


def composition_rows(
    facts: Mapping[str, Any], categories: Mapping[str, str], fps: Fraction
) -> list[dict[str, Any]]:
    """Training footage by category beside the composition of Section 4, and one line of all."""
    composition = Composition(facts["actor"])
    frames: dict[str, int] = {}
    for shot, known in facts["training"]["shots"].items():
        category = categories.get(shot) or UNNAMED
        composition.add("train", category, int(known["frames"]), fps)
        frames[category] = frames.get(category, 0) + int(known["frames"])
    rows = []
    shots = composition.shots.get("train", {})
    paper = {category: part for part in PAPER_PARTS for category in part.categories}
    for category in [*paper, *sorted(set(shots) - set(paper))]:
        part = paper.get(category)
        if category not in shots and part and len(part.categories) > 1:
            continue  # rom or expressions: the other one fills the part as well
        minutes = f"{part.paper_minutes:g}" if part else ""
        shared = (
            " with " + " and ".join(c for c in part.categories if c != category) if part else ""
        )
        rows.append(
            {
                "name": category,
                "shots": shots.get(category, 0),
                "frames": frames.get(category, 0),
                "minutes": composition.total_minutes("train", [category]),
                "paper": minutes + (shared if part and len(part.categories) > 1 else ""),
                "all": False,
            }
        )
    rows.append(
        {
            "name": "all",
            "shots": sum(shots.values()),
            "frames": sum(frames.values()),
            "minutes": composition.total_minutes("train"),
            "paper": f"{PAPER_MINUTES:g}",
            "all": True,
        }
    )
    return rows


def warnings(
    facts: Mapping[str, Any],
    validation: Validation | None,
    current: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """What a reader should know before believing the figures.

    `current` has the fingerprints of the validation shots as they are in the store now.
    """
    if validation is None:
        return [
            "This model has no validation shot, so its error on footage that it has not seen is not known."
        ]
    found = []
    trained = facts["training"].get("fingerprints", {})
    changed = [shot for shot, now in current.items() if trained.get(shot, now) != now]
    if changed:
        found.append(f"Ingested anew from other files since the training: {', '.join(changed)}.")
    before = facts["validation"].get("rmse_mm")
    if before and abs(validation.rmse_mm / before - 1) > DISAGREEMENT:
        found.append(
            f"The error measured for this page is {mm(validation.rmse_mm)} mm; at the end of the "
            f"training it was {mm(before)} mm. Footage, caches or the list of animated vertices have changed since."
        )
    mean_shape = facts["validation"].get("mean_shape_rmse_mm")
    if mean_shape and validation.rmse_mm >= mean_shape:
        found.append(
            "On these shots the model is no better than the mean shape: it has not learned to track them. "
            "Train longer, or on footage that resembles them."
        )
    return found


def provenance_rows(
    facts: Mapping[str, Any], *, template: str, camera: str
) -> list[tuple[str, str, bool]]:
    """Name, value, and whether the value is set in a fixed pitch."""
    made, crop, size = facts["made"], facts["crop"][camera], facts["picture_size"][camera]
    versions = made.get("versions", {})
    return [
        ("model", facts["model"], True),
        ("trained", date(str(made.get("date", ""))), False),
        (
            "machine",
            f"{made.get('host', '')}: {made['device']}, {made.get('threads', '?')} threads",
            False,
        ),
        ("precision", str(made.get("precision", "")), False),
        ("seed", str(made["seed"]), False),
        ("preset", f"{facts['preset']}, {facts['architecture']['parameters']:,} parameters", False),
        (
            "camera",
            f"{camera}: crop {crop[2]} × {crop[3]} at ({crop[0]}, {crop[1]}) of {size[0]} × {size[1]}",
            False,
        ),
        ("rate, units", f"{facts['fps']} frames/s, {facts['units']}", False),
        ("mesh", f"{facts['vertex_count']} vertices, {facts['animated_count']} animated", False),
        ("topology SHA-256", facts["topology_sha256"], True),
        ("template", template, True),
        (
            "whitening",
            f"mean {facts['whitening']['mean']:.2f}, deviation {facts['whitening']['deviation']:.2f} (of 255)",
            False,
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()), False),
    ]


def fingerprint_rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Shot, and the identities of the files that it was ingested from."""
    return [
        (shot, " · ".join(f"{what} {text}" for what, text in parts.items()))
        for shot, parts in facts["training"].get("fingerprints", {}).items()
    ]


def settings_rows(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Every setting as `network.dropout`, and its value."""
    rows = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            rows += settings_rows(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, str(value)))
    return rows
