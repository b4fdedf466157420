"""Night ledger: what a page about a job says from its ledger alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from facecap_core.reports.page import Card
from facecap_core.reports.shot_trust import ShotTrust, Trust
from facecap_core.reports.wording import count, duration
from jobs.night import Failure, Machine, Night
from jobs.records import CauseKind, JobStatus, ShotRecord
from jobs.request import InferRequest, Request, TrainRequest

MEANINGS: Mapping[CauseKind, str] = {
    "fault": "yours to mend",
    "transient": "the storage did not answer, several times",
    "memory": "too little memory",
    "lost": "workers or machines died",
    "hung": "no progress",
    "bug": "an error of this program",
}


def retry_command(status: JobStatus) -> str | None:
    """What does the rest of the job; None where nothing is left to do."""
    left = status.missing or status.counts["failed"] or status.counts["cancelled"]
    training = status.training is not None and status.training.state in ("failed", "cancelled")
    ended = status.state in ("failed", "cancelled", "interrupted")
    return f"farm retry {status.job}" if ended and (left or training or status.detail) else None


def ledger_part(night: Night, request: Request) -> dict[str, Any]:
    """What the page shows of the job itself, by the names in job.html."""
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
        "done": status.done_word,
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
    of = f"of {len(status.shots)} {status.done_word}"
    cards = [Card(str(counts["solved"]), of, ", ".join(others) or "no shot failed")]
    reused = f"{count(night.reused, 'shot')} kept from before" if night.reused else "all made anew"
    cards.append(Card(f"{night.frames:,}", "frames", reused))
    if night.frames_per_second is not None and night.new_frames:
        machines = f"on {count(len(night.machines), 'machine')}"
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
        f"farm submit infer --actor {actor} --model {model} solves them with it."
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


def shot_rows(night: Night, trust: Trust | None) -> list[dict[str, Any]]:
    """A row a shot, with how far it can be trusted where that is known."""
    known = {shot.shot: shot for shot in trust.shots} if trust else {}
    return [_shot_row(record, known.get(record.name)) for record in night.status.shots]


def _shot_row(record: ShotRecord, trust: ShotTrust | None) -> dict[str, Any]:
    return {
        "name": record.name,
        "state": record.state_word,
        "reused": record.reused,
        "frames": "" if record.frames is None else record.frames,
        "took": "" if record.seconds is None else duration(record.seconds),
        "tries": record.attempt or "",
        "host": record.host,
        "worst_second": "" if trust is None else f"{trust.worst_second:.2f}",
    }


def _clock(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
