"""Model tables: what a page says of a model and its training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from facecap_core.evaluation.evaluation import Evaluation
from facecap_core.names import some_of
from facecap_core.productions.composition import PAPER_MINUTES, PAPER_PARTS, UNNAMED, Composition
from facecap_core.reports.error_tables import mean_shape_mm
from facecap_core.reports.page import Card
from facecap_core.reports.wording import date, duration, mm

SHOTS_NAMED = 6  # in a row of a table


def cards(
    facts: Mapping[str, Any], found: Evaluation | None, minutes: float, *, split: str
) -> list[Card]:
    """The figures at the top of the page."""
    made = facts["made"]
    first = [Card("–", "", "validation RMSE: there is no validation shot")]
    if found:
        mean_shape = mean_shape_mm(facts, found, split=split)
        part = f", {found.all.rmse_mm / mean_shape:.0%} of the mean shape" if mean_shape else ""
        first = [Card(mm(found.all.rmse_mm), "mm", f"{split} RMSE{part}")]
        if len(found.by_shot) > 1:
            name = max(found.by_shot, key=lambda shot: found.by_shot[shot].rmse_mm)
            first.append(Card(mm(found.by_shot[name].rmse_mm), "mm", f"in the worst shot, {name}"))
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


def taught_rows(facts: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """What a model learned from, as far as the settings do not say it; of shots those that the other did not have."""
    training, theirs = facts["training"], other["training"]["shots"]
    own = [shot for shot in training["shots"] if shot not in theirs]
    corrected = training.get("corrected_frames", 0)
    mended = list(training.get("corrections") or {})
    return {
        "begun from the weights of": (training.get("base") or {}).get("model", "–"),
        "training frames": str(training["frames"]),
        "training shots of its own": _some(own),
        "frames that artists corrected": f"{corrected} of {_some(mended)}" if corrected else "–",
    }


def _some(names: Sequence[str]) -> str:
    return some_of(names, SHOTS_NAMED) or "–"


def composition_of(
    facts: Mapping[str, Any], categories: Mapping[str, str], fps: Fraction
) -> Composition:
    """What the model was trained and validated on, by the categories that the shots have now."""
    composition = Composition(facts["actor"])
    for split, part in (("train", "training"), ("validation", "validation")):
        for shot, known in facts.get(part, {}).get("shots", {}).items():
            composition.add(split, categories.get(shot, ""), int(known["frames"]), fps)
    return composition


def composition_rows(
    facts: Mapping[str, Any], categories: Mapping[str, str], fps: Fraction
) -> list[dict[str, Any]]:
    """Training footage by category beside the composition of Section 4, and one line of all."""
    composition = composition_of(facts, categories, fps)
    frames: dict[str, int] = {}
    for shot, known in facts["training"]["shots"].items():
        category = categories.get(shot) or UNNAMED
        frames[category] = frames.get(category, 0) + int(known["frames"])
    rows = []
    shots = composition.shots.get("train", {})
    held = composition.shots.get("validation", {})
    paper = {category: part for part in PAPER_PARTS for category in part.categories}
    for category in [*paper, *sorted({*shots, *held} - set(paper))]:
        part = paper.get(category)
        if category not in {*shots, *held} and part and len(part.categories) > 1:
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
                "validation": composition.total_minutes("validation", [category]),
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
            "validation": composition.total_minutes("validation"),
            "paper": f"{PAPER_MINUTES:g}",
            "all": True,
        }
    )
    return rows


def provenance_rows(facts: Mapping[str, Any], *, template: str) -> list[tuple[str, str, bool]]:
    """Name, value, and whether the value is set in a fixed pitch."""
    made = facts["made"]
    versions = made.get("versions", {})
    whitening = facts["whitening"]
    if "mean" in whitening:  # of version 0.1, which knew one camera
        whitening = {facts["cameras"][0]: whitening}
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
        *(
            (f"PCA of training {what}", f"{100 * part:.2f} % of their variance", False)
            for what, part in facts["architecture"].get("variance_held", {}).items()
        ),
        *(("camera", _camera(facts, camera), False) for camera in facts["cameras"]),
        ("rate, units", f"{facts['fps']} frames/s, {facts['units']}", False),
        ("mesh", f"{facts['vertex_count']} vertices, {facts['animated_count']} animated", False),
        ("topology SHA-256", facts["topology_sha256"], True),
        ("template", template, True),
        *(
            (
                "whitening",
                f"{camera}: mean {told['mean']:.2f}, deviation {told['deviation']:.2f} (of 255)",
                False,
            )
            for camera, told in whitening.items()
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()), False),
    ]


def _camera(facts: Mapping[str, Any], camera: str) -> str:
    crop, size = facts["crop"][camera], facts["picture_size"][camera]
    return (
        f"{camera}: crop {crop[2]} × {crop[3]} at ({crop[0]}, {crop[1]}) of {size[0]} × {size[1]}"
    )


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
