"""Status tables: jobs and their shots, as text for people."""

from __future__ import annotations

import time

import typer

from farm.tables import number, print_table
from jobs.records import JobStatus, ShotRecord
from jobs.sentences import duration, result_sentence, training_sentence


def print_jobs(statuses: list[JobStatus]) -> None:
    """One row a job."""
    print_table(
        ["job", "state", "solved", "failed", "shots", "submitted", "took", "by"],
        [
            [
                status.job,
                status.state,
                str(status.counts["solved"]),
                str(status.counts["failed"] or ""),
                str(len(status.shots)),
                _clock(status.submission.submitted if status.submission else None),
                duration(took(status)),
                status.submission.user if status.submission else "",
            ]
            for status in statuses
        ],
        right=("solved", "failed", "shots", "took"),
    )


def print_status(status: JobStatus, *, every: bool) -> None:
    """The job in a few lines, then its shots that are not solved (or all of them)."""
    print_result(status, rows=False)
    submission = status.submission
    if submission is not None:
        typer.echo(
            f"submitted {_clock(submission.submitted)} by {submission.user or '?'} to"
            f" {submission.address}, attempt {submission.attempt}, took {duration(took(status))}"
        )
    rows = [record for record in status.shots if every or record.state not in ("solved", "queued")]
    if status.training is not None:
        rows.append(status.training)
    _print_records(rows)


def print_result(status: JobStatus, *, rows: bool = True) -> None:
    """What became of a job; with `rows`, also every failed shot and why."""
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    typer.echo(f"{status.job} {status.state}: {counts}")
    if status.detail:
        typer.echo(status.detail)
    training = status.training
    if training is not None and training.state == "running" and training.progress is not None:
        typer.echo(f"training {training_sentence(training.progress.figures)}")
    if training is not None and training.state == "solved":
        typer.echo(f"model {training.name}: {result_sentence(training.figures)}")
    if rows:
        failed = [record for record in status.shots if record.state == "failed"]
        if training is not None and training.state == "failed":
            failed.append(training)
        _print_causes(failed)


def took(status: JobStatus) -> float | None:
    """Seconds from the latest submission to the end, or until now."""
    if status.submission is None:
        return None
    ends = [status.submission.submitted]
    if not status.ended:
        ends.append(time.time())
    elif status.driver is not None and status.driver.attempt == status.submission.attempt:
        ends.append(status.driver.beat)
    return max(ends) - status.submission.submitted


def _print_records(records: list[ShotRecord]) -> None:
    if not records:
        return
    print_table(
        ["shot", "state", "frames", "took", "tries", "host"],
        [
            [
                record.name,
                record.state,
                _frames(record),
                duration(record.seconds),
                str(record.attempt or ""),
                record.host,
            ]
            for record in records
        ],
        right=("frames", "took", "tries"),
    )
    _print_causes(records)


def _print_causes(records: list[ShotRecord]) -> None:
    """One line each, however narrow the terminal is: paths stay whole."""
    for record in records:
        if record.cause is not None and record.state == "failed":
            typer.echo(f"{record.name}: {record.cause}")


def _frames(record: ShotRecord) -> str:
    now = record.progress
    if record.state == "running" and now is not None:
        return f"{now.done}/{now.total}" if now.total else str(now.done)
    return number(record.frames, "d")


def _clock(when: float | None) -> str:
    return "" if when is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
