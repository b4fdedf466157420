"""Night page: one job as one HTML file that needs no other, from the ledger and the stores alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from facecap_core.errors import ModelError
from facecap_core.flags.actor_flags import FlaggedShots, flag_shots
from facecap_core.names import some_of
from facecap_core.outputs import Outputs
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from facecap_core.reports.convergence import convergence, read_epochs
from facecap_core.reports.flag_rows import flag_rows
from facecap_core.reports.machines_chart import machines_chart
from facecap_core.reports.page import write_page
from facecap_core.reports.shot_trust import (
    DOUBTFUL,
    Trust,
    confidence_counts,
    confidence_histogram,
    read_trust,
)
from facecap_core.reports.sparkline import sparkline
from facecap_core.reports.worst_moments import thumbnails
from facecap_core.reviews.review import names_of
from jobs.ledger import Ledger
from jobs.night import Night, night_of
from jobs.night_ledger import ledger_part, shot_rows
from jobs.night_outputs import outputs_part
from jobs.request import ExportRequest, InferRequest, Request, ReviewRequest, TrainRequest
from jobs.sentences import moment_sentence, result_sentence
from jobs.solved_footage import footage_warnings

WORST_SHOTS = 12


@dataclass(frozen=True)
class NightPage:
    """The page that was written, and what it is made of."""

    path: Path
    night: Night
    trust: Trust | None  # None: the job solves no shots
    flagged: FlaggedShots | None  # likewise
    size_bytes: int


def write_night(
    production: Production,
    ledger: Ledger,
    destination: Path,
    *,
    on_progress: OnProgress | None = None,
) -> NightPage:
    """Write the page about a job as it stands now; the cluster may be down.

    Raises:
        JobNotFound: there is no such job.
        StoreError: its ledger is damaged, or the page cannot be written.
        Cancelled: `on_progress` answered False; nothing is written.
    """
    request, night = ledger.request(), night_of(ledger.status())
    destination = Path(destination)
    trust = flagged = made = None
    models: dict[str, str] = {}
    if isinstance(request, InferRequest):
        models = _models(production, request, night)
        trust = read_trust(production, models, on_progress)
        solved = [*(shot.shot for shot in trust.shots), *trust.without]
        flagged = flag_shots(production, sorted(solved), on_progress=on_progress)
    elif isinstance(request, (ExportRequest, ReviewRequest)):
        made = outputs_part(production, request, night, destination, on_progress)
    told = ledger_part(night, request)
    page = {
        **told,
        "warnings": [*told["warnings"], *_replaced_footage(production, night, request)],
        "production": production.name,
        "training": _training(production, night, request),
        "machines_chart": machines_chart(night.spans) if night.spans else None,
        "shots": shot_rows(night, trust),
        "made": made,
        "trust": trust and _trust(trust),
        **_worst(production, trust, models, destination, on_progress),
        "flags": flagged and flagged.frames and flag_rows(production, flagged),
        "doubtful_below": DOUBTFUL,
    }
    size = write_page(destination, "job.html", page)
    return NightPage(destination, night, trust, flagged, size)


def _replaced_footage(production: Production, night: Night, request: Request) -> list[str]:
    """That shots of the job were solved from other footage than there is now."""
    if not isinstance(request, (InferRequest, ExportRequest, ReviewRequest)):
        return []
    made = [record.name for record in night.status.shots if record.state == "solved"]
    replaced = footage_warnings(production, made)
    if not replaced:
        return []
    return [
        f"The footage of {some_of(replaced)} was replaced after it was solved:"
        " solve these shots again, if the pictures differ."
    ]


def _models(production: Production, request: InferRequest, night: Night) -> dict[str, str]:
    """The model by which each solved shot was solved."""
    solved = [record.name for record in night.status.shots if record.state == "solved"]
    actors = {name: production.shots[name].actor for name in solved if name in production.shots}
    only = next(iter(request.models.values()))
    return {name: request.models.get(actors.get(name, ""), only) for name in solved}


def _training(production: Production, night: Night, request: Request) -> dict[str, Any] | None:
    record = night.status.training
    if record is None or not isinstance(request, TrainRequest):
        return None
    now = record.progress
    told = {
        "model": record.name,
        "sentence": (moment_sentence(now) if now else result_sentence(record.figures))
        or record.state,
        "chart": None,
    }
    paths = production.paths
    for folder in (
        paths.model(request.actor, request.model),
        paths.training_state(request.actor, request.model),
    ):
        try:
            epochs = read_epochs(folder)
        except ModelError:
            continue
        if epochs:
            return {**told, "chart": convergence(epochs, []), "epochs": f"{epochs[-1].epoch:g}"}
    return told


def _trust(trust: Trust) -> dict[str, Any]:
    notes = [f"{name} {why}." for name, why in trust.left_out.items()]
    if trust.without:
        some = (
            "None of the shots was" if not trust.shots else f"{len(trust.without)} shots were not"
        )
        notes.insert(
            0,
            f"{some} solved by a model that knows how far it can be believed: farm calibrate, then solve them again.",
        )
    told: dict[str, Any] = {"notes": notes, "chart": None}
    if trust.shots:
        counts, frames = confidence_counts(trust.shots), trust.frames
        tenths = counts.reshape(10, -1).sum(axis=1)
        told |= {
            "chart": confidence_histogram(trust.shots),
            "shots": len(trust.shots),
            "frames": f"{frames:,}",
            "doubtful": f"{trust.doubtful_frames:,}",
            "part": f"{trust.doubtful_frames / frames:.1%}",
            "alt": "From 0 to 1 in tenths, frames: " + ", ".join(map(str, tenths.tolist())) + ".",
        }
    return told


def _worst(
    production: Production,
    trust: Trust | None,
    models: Mapping[str, str],
    destination: Path,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    chosen = trust.worst(WORST_SHOTS) if trust else []
    pictures = thumbnails(production, [(s.shot, s.worst_frame) for s in chosen], on_progress)
    return {
        "worst": [
            {
                "shot": shot.shot,
                "frame": shot.names.number(shot.worst_frame),
                "timecode": shot.names.timecode(shot.worst_frame),
                "note": f"confidence {shot.confidence[shot.worst_frame]:.2f};"
                f" {shot.doubtful_frames} of {len(shot.confidence)} frames doubtful",
                "pictures": drawn,
                "curve": sparkline(shot.confidence, shot.worst_frame, line=DOUBTFUL),
                "video": _video(production, shot.shot, models[shot.shot], destination),
            }
            for shot, drawn in zip(chosen, pictures, strict=True)
        ],
        "with_curves": bool(chosen),
        "ranking": "Ordered by the second in which confidence is lowest.",
    }


def _video(production: Production, shot: str, model: str, destination: Path) -> str:
    """Where the shot's review video lies as seen from the page, that of its first camera before others; empty where
    there is none of what this model solved."""
    folder = production.folder / "reviews"
    for camera in (None, *production.actors[production.shots[shot].actor].cameras):
        video, _, record = names_of(shot, camera)
        shown = Outputs(folder, record, {}).read_record().get("model")
        if shown == model and (folder / video).is_file():
            return quote(os.path.relpath(folder / video, destination.parent))
    return ""
