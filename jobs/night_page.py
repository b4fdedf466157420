"""Night page: one job as one HTML file that needs no other, from the ledger and the stores alone."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from facecap_core.errors import ModelError
from facecap_core.flags.actor_flags import FlaggedShots, flag_shots
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from facecap_core.reports.convergence import convergence, read_epochs
from facecap_core.reports.flag_rows import flag_rows
from facecap_core.reports.page import Card, write_page
from facecap_core.reports.shot_trust import (
    DOUBTFUL,
    ShotTrust,
    Trust,
    confidence_counts,
    confidence_histogram,
    read_trust,
)
from facecap_core.reports.sparkline import sparkline
from facecap_core.reports.timeline import time_line
from facecap_core.reports.wording import duration
from facecap_core.reports.worst_moments import thumbnails
from facecap_core.timecode import timecode
from jobs.ledger import Ledger
from jobs.night import Failure, Machine, Night, night_of
from jobs.records import CauseKind, JobStatus, ShotRecord
from jobs.request import InferRequest, Request, TrainRequest
from jobs.sentences import result_sentence, training_sentence

WORST_SHOTS = 12
MEANINGS: Mapping[CauseKind, str] = {
    "fault": "yours to mend",
    "transient": "the storage did not answer, several times",
    "memory": "too little memory",
    "lost": "workers or machines died",
    "hung": "no progress",
    "bug": "an error of this program",
}


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
    trust = flagged = None
    if isinstance(request, InferRequest):
        trust = read_trust(production, _models(production, request, night), on_progress)
        solved = [*(shot.shot for shot in trust.shots), *trust.without]
        flagged = flag_shots(production, sorted(solved), on_progress=on_progress)
    page = {
        **_ledger_part(night, request),
        "production": production.name,
        "training": _training(production, night, request),
        "timeline": time_line(night.spans) if night.spans else None,
        "shots": _shot_rows(night, trust),
        "trust": trust and _trust(trust),
        **_worst(production, trust, destination, on_progress),
        "flags": flagged and flagged.frames and flag_rows(production, flagged),
        "doubtful_below": DOUBTFUL,
    }
    size = write_page(destination, "job.html", page)
    return NightPage(Path(destination), night, trust, flagged, size)


def retry_command(status: JobStatus) -> str | None:
    """What does the rest of the job; None where nothing is left to do."""
    left = status.missing or status.counts["failed"] or status.counts["cancelled"]
    training = status.training is not None and status.training.state in ("failed", "cancelled")
    ended = status.state in ("failed", "cancelled", "interrupted")
    return f"farm retry {status.job}" if ended and (left or training or status.detail) else None


def _models(production: Production, request: InferRequest, night: Night) -> dict[str, str]:
    """The model by which each solved shot was solved."""
    solved = [record.name for record in night.status.shots if record.state == "solved"]
    actors = {name: production.shots[name].actor for name in solved if name in production.shots}
    only = next(iter(request.models.values()))
    return {name: request.models.get(actors.get(name, ""), only) for name in solved}


# -- what the ledger tells -----------------------------------------------------------------------------


def _ledger_part(night: Night, request: Request) -> dict[str, Any]:
    status = night.status
    waited = any(machine.network_seconds or machine.waited_seconds for machine in night.machines)
    return {
        "job": status.job,
        "state": status.state,
        "ended": status.ended,
        "told": _told(status),
        "headline": _cards(night),
        "warnings": _warnings(status),
        "failures": [_failure(failure) for failure in night.failures],
        "missing": _names(status, "queued", "running", "cancelled") if status.ended else [],
        "skipped": _names(status, "skipped"),
        "retry": retry_command(status),
        "machines": _machines(night),
        "waited": waited,
        "provenance": _provenance(night, request),
    }


def _told(status: JobStatus) -> str:
    submission = status.submission
    if submission is None:
        return "never submitted"
    by = f" by {submission.user}" if submission.user else ""
    tries = f", for the {submission.attempt}. time" if submission.attempt > 1 else ""
    return f"submitted {_clock(submission.submitted)}{by}{tries}"


def _cards(night: Night) -> list[Card]:
    status, counts = night.status, night.status.counts
    others = [
        f"{counts[state]} {state}"
        for state in ("failed", "running", "queued", "cancelled", "skipped")
        if counts[state]
    ]
    of = f"of {len(status.shots)} solved"
    cards = [Card(str(counts["solved"]), of, ", ".join(others) or "no shot failed")]
    reused = f"{_count(night.reused, 'shot')} kept from before" if night.reused else "all made anew"
    cards.append(Card(f"{night.frames:,}", "frames", reused))
    if night.frames_per_second is not None and night.new_frames:
        machines = f"on {_count(len(night.machines), 'machine')}"
        cards.append(Card(f"{night.frames_per_second:.0f}", "frames/s", machines))
    if night.spans:
        begin = night.waited_to_begin_seconds
        after = "" if begin is None else f"; the first began after {duration(max(0.0, begin))}"
        cards.append(Card(duration(night.at_work_seconds), "", f"at work{after}"))
    again = night.tries - sum(bool(r.attempt) for r in status.shots)
    again -= bool(status.training and status.training.attempt)
    if again > 0:
        cards.append(
            Card(
                str(again),
                "",
                "try that was repeated" if again == 1 else "tries that were repeated",
            )
        )
    return cards


def _warnings(status: JobStatus) -> list[str]:
    told = [status.detail] if status.detail else []
    told += [
        f"{actor} has a newer model than the one that solved these shots: {model}. "
        f"farm submit infer --actor {actor} solves them with it."
        for actor, model in sorted(status.stale.items())
    ]
    return told


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "count": len(failure.records),
        "type": failure.type,
        "meaning": MEANINGS.get(failure.kind, failure.kind),  # type: ignore[call-overload]
        "remedy": failure.remedy,
        "records": [
            {
                "name": record.name,
                "message": record.cause.message if record.cause else "",
                "tries": record.attempt,
                "host": record.host,
            }
            for record in failure.records
        ],
    }


def _names(status: JobStatus, *states: str) -> list[str]:
    return [record.name for record in status.shots if record.state in states]


def _machines(night: Night) -> list[dict[str, Any]]:
    rows = [_machine_row(machine) for machine in night.machines]
    if len(rows) > 1:
        rows.append({**_machine_row(_all(night)), "all": True})
    return rows


def _all(night: Night) -> Machine:
    own = night.machines
    return Machine(
        host="all",
        solved=sum(machine.solved for machine in own),
        failed_tries=sum(machine.failed_tries for machine in own),
        frames=sum(machine.frames for machine in own),
        at_work_seconds=night.at_work_seconds,
        task_seconds=sum(machine.task_seconds for machine in own),
        waited_seconds=sum(machine.waited_seconds for machine in own),
        network_seconds=sum(machine.network_seconds for machine in own),
        peak_memory_gb=max((m.peak_memory_gb for m in own if m.peak_memory_gb), default=None),
    )


def _machine_row(machine: Machine) -> dict[str, Any]:
    rate, busy = machine.frames_per_second, machine.waited_seconds + machine.network_seconds
    return {
        "host": machine.host or "?",
        "solved": machine.solved,
        "failed_tries": machine.failed_tries,
        "frames": machine.frames,
        "frames_per_second": "" if rate is None or not machine.frames else f"{rate:.1f}",
        "at_work": duration(machine.at_work_seconds),
        "waited": f"{machine.waited_seconds / busy:.0%}" if busy else "",
        "peak_memory_gb": "" if machine.peak_memory_gb is None else f"{machine.peak_memory_gb:.1f}",
        "all": False,
    }


def _provenance(night: Night, request: Request) -> list[tuple[str, str, bool]]:
    status, submission = night.status, night.status.submission
    rows = [("job", status.job, True), ("kind", status.kind, False)]
    if isinstance(request, InferRequest):
        rows += [(f"model of {actor}", model, True) for actor, model in request.models.items()]
    if isinstance(request, TrainRequest):
        rows += [("model", request.model, True), ("cameras", ", ".join(request.cameras), False)]
        rows.append(("preset", str(request.config.get("preset", "")), False))
    rows.append(("request SHA-256", request.digest, True))
    rows.append(
        ("rate, units", f"{request.settings['fps']} frames/s, {request.settings['units']}", False)
    )
    if submission is not None:
        rows.append(("cluster", submission.address, True))
        chosen = submission.options.model_dump(exclude_defaults=True)
        rows += [(name.replace("_", " "), str(value), False) for name, value in chosen.items()]
    if status.driver is not None:
        ended = "last sign" if status.state in ("running", "interrupted") else "ended"
        rows.append((ended, _clock(status.driver.beat), False))
    return rows


def _shot_rows(night: Night, trust: Trust | None) -> list[dict[str, Any]]:
    known = {shot.shot: shot for shot in trust.shots} if trust else {}
    return [_shot_row(record, known.get(record.name)) for record in night.status.shots]


def _shot_row(record: ShotRecord, trust: ShotTrust | None) -> dict[str, Any]:
    return {
        "name": record.name,
        "state": record.state,
        "reused": record.reused,
        "frames": "" if record.frames is None else record.frames,
        "took": "" if record.seconds is None else duration(record.seconds),
        "tries": record.attempt or "",
        "host": record.host,
        "worst_second": "" if trust is None else f"{trust.worst_second:.2f}",
    }


# -- what the stores tell ------------------------------------------------------------------------------


def _training(production: Production, night: Night, request: Request) -> dict[str, Any] | None:
    record = night.status.training
    if record is None or not isinstance(request, TrainRequest):
        return None
    now = record.progress
    told = {
        "model": record.name,
        "sentence": (training_sentence(now.figures) if now else result_sentence(record.figures))
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
            f"{some} solved by a model that knows how far it can be believed: train it again with this version.",
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
    destination: Path,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    chosen = trust.worst(WORST_SHOTS) if trust else []
    pictures = thumbnails(production, [(s.shot, s.worst_frame) for s in chosen], on_progress)
    return {
        "worst": [
            {
                "shot": shot.shot,
                "frame": shot.start_frame + shot.worst_frame,
                "timecode": timecode(shot.start_frame + shot.worst_frame, shot.fps),
                "note": f"confidence {shot.confidence[shot.worst_frame]:.2f};"
                f" {shot.doubtful_frames} of {len(shot.confidence)} frames doubtful",
                "pictures": drawn,
                "curve": sparkline(shot.confidence, shot.worst_frame, line=DOUBTFUL),
                "video": _video(production, shot.shot, destination),
            }
            for shot, drawn in zip(chosen, pictures, strict=True)
        ],
        "with_curves": bool(chosen),
        "ranking": "Ordered by the second in which confidence is lowest.",
    }


def _video(production: Production, shot: str, destination: Path) -> str:
    """Where the shot's review video lies as seen from the page; empty where there is none."""
    path = production.folder / "reviews" / f"{shot}.mp4"
    return quote(os.path.relpath(path, Path(destination).parent)) if path.is_file() else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _clock(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
