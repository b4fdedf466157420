"""Report: what a model can do, as one HTML file that needs no other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from facecap_core.errors import ModelError
from facecap_core.evaluation.clips import Clip, read_clip
from facecap_core.evaluation.evaluation import Evaluation, evaluate, mean_of_training
from facecap_core.evaluation.solved import shots_solved_by
from facecap_core.evaluation.subject import EvaluatedShot, Subject, open_subject
from facecap_core.flags.actor_flags import flag_shots
from facecap_core.frame_names import frame_names
from facecap_core.learning.model import read_model_facts
from facecap_core.productions.composition import composition_warnings
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from facecap_core.reports import error_tables, model_tables
from facecap_core.reports import report_pictures as pictures
from facecap_core.reports.convergence_figures import convergence_figures
from facecap_core.reports.expectation import expectation_chart, read_expectation
from facecap_core.reports.figures import colour_bar, scale_top_mm
from facecap_core.reports.flag_rows import flag_rows
from facecap_core.reports.frame_charts import error_over_time, openings_over_time
from facecap_core.reports.learning_curve import amounts, learning_curve, trained_alike
from facecap_core.reports.marks import (
    jaw_frames,
    liveliest,
    telling_frames,
    worst_by_region,
)
from facecap_core.reports.page import one_thread, write_page
from facecap_core.reports.remaking import remake_command
from facecap_core.reports.wording import date
from facecap_core.stores.groups import open_frames, open_targets

FLAGS_WITH_PICTURES = 6


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
    on_progress: OnProgress | None = None,
) -> ReportResult:
    """Measure a model on its validation shots and write the page; memory does not grow with the shots.

    Args:
        model: its name, a folder under `store/models/<actor>`.
        clip_seconds: length of the moving face; it takes most of the time.
        device: "cpu", "cuda", ...; None takes a GPU where there is one.

    Raises:
        ModelError: the model is missing or damaged, or its actor's template has changed since.
        StoreError: a validation shot is not in the store, or the page cannot be written.
        Cancelled: `on_progress` answered False; nothing is written.
    """
    started = time.monotonic()
    subject = open_subject(production, actor, model, device)
    shots = subject.shots(subject.names("validation"))
    found = None
    if shots:
        mean = mean_of_training(subject, on_progress)
        found = evaluate(subject, shots, mean_shape=mean, on_progress=on_progress)
    size = write_findings(
        subject, shots, found, destination, clip_seconds=clip_seconds, on_progress=on_progress
    )
    known = float(subject.model.facts["validation"].get("mean_shape_rmse_mm", "nan"))
    return ReportResult(
        path=Path(destination),
        actor=actor,
        model=model,
        validation_rmse_mm=found.all.rmse_mm if found else float("nan"),
        mean_shape_rmse_mm=known,
        frames=found.frames if found else 0,
        size_bytes=size,
        seconds=time.monotonic() - started,
    )


def write_findings(
    subject: Subject,
    shots: Sequence[EvaluatedShot],
    found: Evaluation | None,
    destination: Path,
    *,
    split: str = "validation",
    clip_seconds: float = 4.0,
    on_progress: OnProgress | None = None,
) -> int:
    """Write the page of what was found on `shots`, and return its size in bytes; raises as `write_report`."""
    by_name = {shot.shot: shot for shot in shots}
    page = {
        **_tables(subject, by_name, found, split),
        "convergence": convergence_figures(subject),
        "learning": _learning(subject),
        "expectation": found and _expectation(subject, found),
        "flags": _flags(subject, on_progress),
        "errors": found and _errors(subject, found, by_name, clip_seconds, split, on_progress),
        "inputs": None,
    }
    for shot in subject.shots(subject.names("train")):
        # The frames of training shots may be gone from the store: the model does not need them any more.
        if shot.views[0].exists():
            names = frame_names(subject.production, shot.shot)
            page["inputs"] = pictures.augmented_inputs(subject.model, shot, names)
            break
    return write_page(destination, "report.html", page)


def _tables(
    subject: Subject, shots: Mapping[str, EvaluatedShot], found: Evaluation | None, split: str
) -> dict[str, Any]:
    """All of the page that is known without drawing."""
    facts = subject.model.facts
    fps = Fraction(facts["fps"])
    composition = model_tables.composition_rows(facts, subject.categories, fps)
    lacks = composition_warnings(model_tables.composition_of(facts, subject.categories, fps), "")
    current = {
        name: _fingerprints(subject, shot)
        for name, shot in shots.items()
        if shot.solved is None and not shot.cached
    }
    return {
        "production": subject.production.name,
        "actor": subject.actor,
        "model": facts["model"],
        "preset": facts["preset"],
        "trained": date(str(facts["made"].get("date", ""))),
        "split": split,
        "headline": model_tables.cards(facts, found, composition[-1]["minutes"], split=split),
        "warnings": error_tables.warnings(facts, found, current, split=split),
        "composition": composition,
        "lacks": [f"{lack.message}: {lack.remedy}." for lack in lacks],
        "provenance": model_tables.provenance_rows(facts, template=str(subject.template.path)),
        "remake": remake_command(facts, _base(subject)),
        "fingerprints": model_tables.fingerprint_rows(facts),
        "settings": model_tables.settings_rows(facts["config"]),
    }


def _fingerprints(subject: Subject, shot: EvaluatedShot) -> dict[str, str]:
    """What the shot in the store was ingested from, named as in model.json."""
    told: dict[str, str] = {}
    for camera, view in zip(subject.cameras, shot.views, strict=True):
        name = f"footage of {camera}" if told else "footage"
        told[name] = str(open_frames(view).attributes.get("footage_fingerprint", ""))
    return {**told, "cache": str(open_targets(shot.target).attributes.get("cache_fingerprint", ""))}


def _base(subject: Subject) -> dict[str, Any] | None:
    """model.json of the model that this one was fine-tuned from; None: from none, or it is gone."""
    begun = subject.model.facts["training"].get("base")
    try:
        folder = subject.production.paths.model(subject.actor, str((begun or {})["model"]))
        return read_model_facts(folder)
    except (KeyError, ModelError):
        return None


def _learning(subject: Subject) -> dict[str, Any] | None:
    """Error against minutes of footage; None where one amount alone is known."""
    models = subject.production.paths.models(subject.actor)
    curve = trained_alike(models, subject.model.facts)
    if amounts(curve) < 2:
        return None
    return {"chart": learning_curve(curve), "models": curve}


def _expectation(subject: Subject, found: Evaluation) -> dict[str, Any] | None:
    """How well expected errors agree with measured ones; None where this model's results expect nothing."""
    told = read_expectation(subject, found.shots)
    if told is None:
        return None
    return {
        "frames": len(told.expected_mm),
        "shots": told.shots,
        "rank_correlation": told.rank_correlation,
        "auroc": told.auroc,
        "expected_mm": float(told.expected_mm.mean()),
        "measured_mm": float(told.measured_mm.mean()),
        "chart": expectation_chart(told),
    }


def _flags(subject: Subject, on_progress: OnProgress | None) -> dict[str, Any] | None:
    """The severest ranges of all shots that this model solved; None where there are none such."""
    production = subject.production
    shots = shots_solved_by(production, subject.actor, str(subject.model.facts["model"]))
    if not shots:
        return None
    flagged = flag_shots(production, shots, on_progress=on_progress)
    return flag_rows(production, flagged, pictures=FLAGS_WITH_PICTURES, on_progress=on_progress)


def _errors(
    subject: Subject,
    found: Evaluation,
    shots: Mapping[str, EvaluatedShot],
    clip_seconds: float,
    split: str,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    """All of the page that shows errors of frames."""
    fps = subject.production.fps

    def clip(shot: str, start: int, stop: int) -> Clip:
        return read_clip(subject, shots[shot], start, stop)

    def heads(views: int) -> list[str]:
        return ["input"] if views == 1 else list(subject.cameras[:views])

    second = max(1, round(fps))
    chosen = telling_frames(found.shots, apart=second)
    several = len(found.all.regions_mm) > 1
    marks = {
        "figure4": chosen,
        "figure5": worst_by_region(found.shots, apart=second, but=chosen) if several else [],
        "figure7": jaw_frames(found.shots, apart=second),
    }
    top_mm = scale_top_mm(found.all.rmse_mm)
    motion = {shot.shot: shot.target_velocity_mm for shot in found.shots}
    lively = clip(*liveliest(motion, max(2, round(clip_seconds * fps))))
    view = pictures.View(subject.template, found.bounds, subject.model.device)
    stills = {
        figure: [clip(m.shot, m.frame, m.frame + 1) for m in chosen]
        for figure, chosen in marks.items()
    }
    with one_thread():
        drawn = {
            figure: pictures.frame_rows(view, top_mm, chosen, stills[figure], subject.production)
            for figure, chosen in marks.items()
        }
        maps = pictures.mean_maps(view, found.sums)
        film = pictures.film(view, top_mm, lively, heads(lively.luma.shape[1]), fps, on_progress)
    # Of solved shots some may have their pictures in the store, and others not.
    views = max(still.luma.shape[1] for some in stills.values() for still in some)
    return {
        **drawn,
        "maps": maps,
        "film": film,
        "frames": found.frames,
        "animated": len(subject.animated),
        "rmse_mm": found.all.rmse_mm,
        "baselines": error_tables.baselines(subject.model.facts, found, split=split),
        "shots": error_tables.shot_rows(found, subject.categories),
        "regions": list(found.all.regions_mm),
        "origin": subject.regions.origin,
        "measures": error_tables.measure_lines(found.all, found.mean_shape),
        "with_mean_shape": found.mean_shape is not None,
        "chart": error_over_time(
            found.shots, [m for some in marks.values() for m in some], all_mm=found.all.rmse_mm
        ),
        "openings": openings_over_time(found.shots),
        "bar": colour_bar(top_mm, name="difference"),
        "heads": [*heads(views), "target", "result", "difference"],
    }
