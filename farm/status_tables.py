"""Status tables: jobs and their shots, as text for people."""

from __future__ import annotations

import time

import typer

from facecap_core.names import some_of
from farm.tables import number, print_table
from jobs.records import JobStatus, ShotRecord
from jobs.sentences import counted, duration, moment_sentence, result_sentence

NOT_TOLD = ("solved", "queued")
"""States of which `farm status` shows no rows unless asked."""


def print_jobs(statuses: list[JobStatus]) -> None:
    """One row a job."""
    print_table(
        ["job", "state", "done", "failed", "shots", "submitted", "took", "left", "by"],
        [
            [
                status.job,
                status.state,
                str(status.counts["solved"]),
                str(status.counts["failed"] or ""),
                str(len(status.shots)),
                _clock(status.submission.submitted if status.submission else None),
                duration(took(status)),
                duration(seconds_left(status)),
                status.submission.user if status.submission else "",
            ]
            for status in statuses
        ],
        right=("done", "failed", "shots", "took", "left"),
        spare=("by", "submitted", "took", "left", "shots"),
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
    rows = [record for record in status.shots if every or record.state not in NOT_TOLD]
    if status.training is not None:
        rows.append(status.training)
    _print_records(rows)


def print_result(status: JobStatus, *, rows: bool = True) -> None:
    """What became of a job; with `rows`, also every failed shot and why."""
    typer.echo(f"{status.job} {status.state}: {counted(status)}")
    if status.detail:
        typer.echo(status.detail)
    if status.missing:
        typer.echo(f"{status.missing} shots have no end: farm retry {status.job} does them")
    if left := left_sentence(status):
        typer.echo(left)
    training = status.training
    if training is not None and training.state == "running" and training.progress is not None:
        typer.echo(f"training {training_line(training)}")
    if training is not None and training.state == "solved":
        typer.echo(f"model {training.name}: {result_sentence(training.figures)}")
    for line in [*stale_lines(status), *warning_lines(status)]:
        typer.echo(line)
    if rows:
        failed = [record for record in status.shots if record.state == "failed"]
        if training is not None and training.state == "failed":
            failed.append(training)
        _print_causes(failed)


def shots_sentence(status: JobStatus) -> str:
    """`12/40 solved, 1 failed, 2 running, 5m20s left`."""
    counts = status.counts
    others = [
        f"{counts[state]} {state}"
        for state in ("failed", "cancelled", "skipped", "running")
        if counts[state]
    ]
    left = left_sentence(status)
    return ", ".join(
        [
            f"{counts['solved']}/{len(status.shots)} {status.done_word}",
            *others,
            *([left] if left else []),
        ]
    )


def job_line(status: JobStatus) -> str:
    """The whole job in one line, for logs."""
    line = f"{status.job} {status.state}: {shots_sentence(status)}"
    if status.training is not None and status.training.state != "queued":
        line += f"; {training_line(status.training)}"
    return line


def training_line(record: ShotRecord) -> str:
    """Where a training is, or what came of it."""
    if record.progress is not None:
        return moment_sentence(record.progress, left=False)  # the line of the shots has it
    return result_sentence(record.figures) or f"training {record.state}"


def left_sentence(status: JobStatus) -> str:
    """`about 5m20s left`; nothing where that is not known."""
    seconds = seconds_left(status)
    return "" if seconds is None else f"about {duration(seconds)} left"


def seconds_left(status: JobStatus) -> float | None:
    """Of a job at work; one that is queued may wait for others, of which nothing is known."""
    return status.seconds_left if status.state == "running" else None


def stale_lines(status: JobStatus) -> list[str]:
    """A line for each actor whose vertices here are of an older model."""
    return [
        f"stale: {actor} has a newer model {model};"
        f" farm submit infer --actor {actor} --model {model} solves with it"
        for actor, model in sorted(status.stale.items())
    ]


def warning_lines(status: JobStatus) -> list[str]:
    """A line for each thing to be looked at in what is done, with the names of the shots."""
    names: dict[str, list[str]] = {}
    for record in [*status.shots, *([status.training] if status.training else [])]:
        for text in record.warnings if record.state == "solved" else ():
            names.setdefault(text, []).append(record.name)
    return [f"warning: {some_of(shots)}: {text}" for text, shots in names.items()]


def frames(record: ShotRecord) -> str:
    """`128/442` of a shot at work, `442` of one that is done."""
    now = record.progress
    if record.state == "running" and now is not None:
        return f"{now.done}/{now.total}" if now.total else str(now.done)
    return number(record.frames, "d")


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
                record.state_word,
                frames(record),
                duration(record.seconds),
                str(record.attempt or ""),
                record.host,
            ]
            for record in records
        ],
        right=("frames", "took", "tries"),
        spare=("host", "tries", "took"),
    )
    _print_causes(records)


def _print_causes(records: list[ShotRecord]) -> None:
    """One line each, however narrow the terminal is: paths stay whole."""
    for record in records:
        if record.cause is not None and record.state == "failed":
            typer.echo(f"{record.name}: {record.cause}")


def _clock(when: float | None) -> str:
    return "" if when is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
