"""Evaluation files: what was measured, as JSON and as tables of frames and of shots."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facecap_core.evaluation.evaluation import Evaluation
from facecap_core.evaluation.measure_rows import measure_rows
from facecap_core.evaluation.shot_measures import ShotMeasures
from facecap_core.evaluation.subject import Subject
from facecap_core.files import write_text_atomically
from facecap_core.frame_names import frame_names
from facecap_core.provenance import made

SCHEMA_VERSION = 1


def evaluation_json(subject: Subject, evaluation: Evaluation, *, split: str) -> dict[str, Any]:
    """All figures, of each shot and of all together, with where they come from."""
    return {
        "schema_version": SCHEMA_VERSION,
        "actor": subject.actor,
        "model": subject.model.facts["model"],
        "cameras": list(subject.cameras),
        "split": split,
        "fps": str(subject.production.fps),
        "regions": {
            "origin": subject.regions.origin,
            "vertices": {name: len(group) for name, group in subject.stick.regions.items()},
            "lip_pairs": len(subject.stick.lip_pairs),
            "lid_pairs": len(subject.stick.lid_pairs),
        },
        "animated_vertices": len(subject.animated),
        "all": evaluation.all.as_json(),
        "mean_shape": evaluation.mean_shape.as_json() if evaluation.mean_shape else None,
        "by_shot": {shot: summary.as_json() for shot, summary in evaluation.by_shot.items()},
        "made": made(),
    }


def write_evaluation(folder: Path, subject: Subject, evaluation: Evaluation, *, split: str) -> None:
    """Write evaluation.json, frames.csv and shots.csv.

    Raises:
        StoreError: they cannot be written.
    """
    told = json.dumps(evaluation_json(subject, evaluation, split=split), indent=1, allow_nan=False)
    write_text_atomically(folder / "evaluation.json", told + "\n")
    write_text_atomically(folder / "frames.csv", _table(_frame_rows(subject, evaluation)))
    write_text_atomically(folder / "shots.csv", _table(_shot_rows(subject, evaluation)))


def _frame_rows(subject: Subject, evaluation: Evaluation) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for shot in evaluation.shots:
        columns = _columns(shot)
        names = frame_names(subject.production, shot.shot)
        if not rows:
            rows.append(["shot", "frame", "timecode", *columns])
        rows += [
            [shot.shot, shot.start_frame + frame, names.timecode(frame), *map(_number, values)]
            for frame, values in enumerate(zip(*columns.values(), strict=True))
        ]
    return rows


def _columns(shot: ShotMeasures) -> dict[str, np.ndarray]:
    unknown = np.full(len(shot), np.nan)
    columns = {
        "rmse_mm": shot.rmse_mm,
        **{f"{name}_rmse_mm": values for name, values in shot.regions_mm.items()},
        "lip_aperture_mm": shot.lips.result_mm,
        "lip_aperture_target_mm": shot.lips.target_mm,
        "lid_aperture_mm": shot.lids.result_mm,
        "lid_aperture_target_mm": shot.lids.target_mm,
        "jaw_forward_target_mm": shot.jaw_forward_mm,
        "jaw_forward_error_mm": shot.jaw_forward_error_mm,
        "velocity_error_mm_per_frame": shot.velocity_error_mm,
        "acceleration_error_mm_per_frame2": shot.acceleration_error_mm,
        "acceleration_mm_per_frame2": shot.result_acceleration_mm,
        "acceleration_target_mm_per_frame2": shot.target_acceleration_mm,
    }
    return {name: values if len(values) else unknown for name, values in columns.items()}


def _shot_rows(subject: Subject, evaluation: Evaluation) -> list[list[Any]]:
    keys = [row.key.replace(".", "_") for row in measure_rows(evaluation.all)]
    rows: list[list[Any]] = [["shot", "category", "frames", "worst_frame", *keys]]
    for shot, summary in evaluation.by_shot.items():
        figures = [_number(row.value) for row in measure_rows(summary)]
        category = subject.categories.get(shot, "")
        rows.append([shot, category, summary.frames, summary.worst_frame, *figures])
    return rows


def _number(value: float) -> str:
    """Blank where it is not known, as spreadsheets have it."""
    return f"{value:.5g}" if np.isfinite(value) else ""


def _table(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
