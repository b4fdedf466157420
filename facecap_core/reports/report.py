"""Report: what a model can do, as one HTML file that needs no other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import torch

from facecap_core.errors import ModelError
from facecap_core.files import write_text_atomically
from facecap_core.learning.model import Model, load_model
from facecap_core.learning.trainingset import ShotPaths
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from facecap_core.provenance import made
from facecap_core.reports import report_pictures as pictures
from facecap_core.reports import report_tables as tables
from facecap_core.reports.figures import (
    EpochRow,
    colour_bar,
    convergence,
    error_over_time,
    scale_top_mm,
)
from facecap_core.reports.validation import (
    Clip,
    Validation,
    liveliest,
    measure,
    read_clip,
    telling_frames,
)
from facecap_core.stores.groups import open_frames, open_targets
from facecap_core.template import Template, read_animated, read_template


@dataclass(frozen=True)
class ReportResult:
    """The page that was written, and its headline; nan where there is no validation shot."""

    path: Path
    actor: str
    model: str
    validation_rmse_mm: float
    mean_shape_rmse_mm: float
    frames: int
    size_bytes: int
    seconds: float


def write_report(
    production: Production,
    actor: str,
    model: str,
    destination: Path,
    *,
    clip_seconds: float = 4.0,
    device: str | None = None,
    threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> ReportResult:
    """Measure a model on its validation shots and write the page; memory does not grow with the shots.

    Args:
        model: its name, a folder under `store/models/<actor>`.
        clip_seconds: length of the moving face; it takes most of the time.
        device: "cpu", "cuda", ...; None takes a GPU where there is one.
        threads: of the CPU; None leaves torch's setting.

    Raises:
        ModelError: the model is missing or damaged, or its actor's template has changed since.
        StoreError: a validation shot is not in the store, or the page cannot be written.
        Cancelled: `on_progress` answered False; nothing is written.
    """
    started = time.monotonic()
    if threads is not None:
        torch.set_num_threads(threads)
    work = _Work.begin(production, actor, model, device)
    facts, shots = work.model.facts, work.shots("validation")
    validation = None
    if shots:
        validation = measure(
            work.model,
            list(shots.values()),
            animated=work.animated,
            mm_per_unit=production.mm_per_unit,
            on_progress=on_progress,
        )
    page = {
        **_tables(work, validation),
        **_convergence(work.directory, facts),
        "errors": validation and _errors(work, validation, shots, clip_seconds, on_progress),
        "inputs": None,
    }
    for shot in work.shots("training").values():
        # The frames of training shots may be gone from the store: the model does not need them any more.
        if shot.frames.exists():
            page["inputs"] = pictures.augmented_inputs(work.model, shot)
            break
    text = _environment().get_template("report.html").render(page)
    write_text_atomically(destination, text)
    return ReportResult(
        path=Path(destination),
        actor=actor,
        model=model,
        validation_rmse_mm=validation.rmse_mm if validation else float("nan"),
        mean_shape_rmse_mm=float(facts["validation"].get("mean_shape_rmse_mm", "nan")),
        frames=validation.frames if validation else 0,
        size_bytes=len(text.encode()),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True)
class _Work:
    """What everything on the page is made from."""

    production: Production
    actor: str
    directory: Path
    model: Model
    template: Template
    animated: np.ndarray  # int64 [n]
    categories: Mapping[str, str]

    @classmethod
    def begin(cls, production: Production, actor: str, name: str, device: str | None) -> _Work:
        # Resolved once: a model that is replaced meanwhile does not get into half of the page.
        directory = Path(os.path.realpath(production.paths.model(actor, name)))
        model = load_model(directory, device)
        settings = production.actors[actor]
        template = read_template(settings.template)
        if template.topology_sha256 != model.facts["topology_sha256"]:
            raise ModelError(
                "was trained on another template than the actor's present one",
                remedy=f"put the old template back, or train {actor} again",
                file=directory,
            )
        animated = (
            read_animated(settings.animated, template.vertex_count)
            if settings.animated
            else np.arange(template.vertex_count)
        )
        categories = {shot.name: shot.category for shot in production.shots.values()}
        return cls(production, actor, directory, model, template, animated, categories)

    def shots(self, part: str) -> dict[str, ShotPaths]:
        """The shots that model.json names in `training` or `validation`."""
        store, camera = self.production.paths, self.model.camera
        return {
            shot: ShotPaths(shot, store.frames(shot, camera), store.targets(shot))
            for shot in self.model.facts[part]["shots"]
        }


def _tables(work: _Work, validation: Validation | None) -> dict[str, Any]:
    """All of the page that is known without drawing."""
    facts = work.model.facts
    composition = tables.composition_rows(facts, work.categories, Fraction(facts["fps"]))
    current = {
        name: {
            "footage": open_frames(shot.frames).attributes.get("footage_fingerprint", ""),
            "cache": open_targets(shot.targets).attributes.get("cache_fingerprint", ""),
        }
        for name, shot in work.shots("validation").items()
    }
    now: dict[str, Any] = made()
    return {
        "production": work.production.name,
        "actor": work.actor,
        "model": facts["model"],
        "preset": facts["preset"],
        "trained": tables.date(str(facts["made"].get("date", ""))),
        "cards": tables.cards(facts, validation, composition[-1]["minutes"]),
        "warnings": tables.warnings(facts, validation, current),
        "composition": composition,
        "provenance": tables.provenance_rows(
            facts, template=str(work.template.path), camera=work.model.camera
        ),
        "fingerprints": tables.fingerprint_rows(facts),
        "settings": tables.settings_rows(facts["config"]),
        "written": tables.date(str(now["date"])),
        "version": now["versions"].get("facecap-farm", ""),
    }


def _errors(
    work: _Work,
    validation: Validation,
    shots: Mapping[str, ShotPaths],
    clip_seconds: float,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    """All of the page that shows errors of validation frames."""
    fps, mm_per_unit = work.production.fps, work.production.mm_per_unit

    def clip(shot: str, start: int, stop: int) -> Clip:
        return read_clip(
            work.model, shots[shot], start, stop, animated=work.animated, mm_per_unit=mm_per_unit
        )

    marks = telling_frames(validation.shots, apart=max(1, round(fps)))
    stills = [clip(mark.shot, mark.frame, mark.frame + 1) for mark in marks]
    top_mm = scale_top_mm(validation.rmse_mm)
    lively = clip(*liveliest(validation.shots, max(2, round(clip_seconds * fps))))
    view = pictures.View(work.template, validation.bounds, work.model.device)
    with _one_thread():
        drawn = {
            "marked": pictures.marked_frames(view, top_mm, marks, stills, fps),
            "mean_map": pictures.mean_map(view, validation),
            "film": pictures.film(view, top_mm, lively, fps, on_progress),
        }
    return {
        **drawn,
        "frames": validation.frames,
        "animated": len(work.animated),
        "rmse_mm": validation.rmse_mm,
        "baselines": tables.baselines(work.model.facts, validation),
        "shots": tables.shot_rows(validation, work.categories),
        "chart": error_over_time(validation.shots, marks, all_mm=validation.rmse_mm),
        "bar": colour_bar(top_mm, name="difference"),
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    """Drawing is many small steps, which several threads only hold up, on a busy machine sixfold."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _convergence(directory: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    path = directory / "metrics.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        rows = [
            EpochRow(
                float(line["epoch"]), line["training_loss_cm2"], line.get("validation_loss_cm2")
            )
            for line in lines
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"is damaged: {error}", remedy="train again", file=path) from error
    if not rows:
        return {"convergence": None}
    known = facts["validation"]
    chart = convergence(
        rows,
        mean_shape_mm=known.get("mean_shape_rmse_mm"),
        pca_floor_mm=known.get("pca_floor_rmse_mm"),
        animated_share=facts["animated_count"] / facts["vertex_count"],
    )
    return {"convergence": {"chart": chart, "epochs": f"{rows[-1].epoch:g}"}}


def _environment() -> jinja2.Environment:
    page = resources.files("facecap_core.reports").joinpath("report.html").read_text("utf-8")
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"report.html": page}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["mm"] = tables.mm
    return environment
