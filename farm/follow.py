"""Follow: watching a job until it ends, from its ledger alone."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

import typer

from farm.exit_codes import NOT_FINISHED, OF_JOB_STATE
from farm.status_tables import print_result
from jobs.ledger import Ledger
from jobs.records import JobStatus
from jobs.sentences import result_sentence, training_sentence

POLL_SECONDS = 1.0
LINE_SECONDS = 10.0


def finish(ledger: Ledger, *, timeout: float | None, as_json: bool) -> int:
    """Wait for a job's end, print its result, and return the exit code."""
    try:
        status = follow(ledger, timeout=timeout)
    except KeyboardInterrupt:
        typer.echo(f"\n{ledger.job} goes on without you: farm wait {ledger.job}", err=True)
        return NOT_FINISHED
    if as_json:
        typer.echo(json.dumps(status_json(status)))
    else:
        print_result(status)
    return OF_JOB_STATE[status.state]


def status_json(status: JobStatus) -> dict[str, Any]:
    """The object that --json prints of a job."""
    return {**status.model_dump(mode="json"), "exit_code": OF_JOB_STATE[status.state]}


def follow(ledger: Ledger, *, timeout: float | None) -> JobStatus:
    """Show progress on stderr until the job ends or the time is up; returns its last status."""
    deadline = None if timeout is None else time.monotonic() + timeout
    shown: _Bars | _Lines = _Bars() if sys.stderr.isatty() else _Lines()
    with shown:
        while True:
            status = ledger.status()
            shown.show(status)
            if status.ended or (deadline is not None and time.monotonic() >= deadline):
                return status
            # Five hundred state files are read each time.
            pause = POLL_SECONDS + 0.002 * len(status.shots)
            time.sleep(
                pause if deadline is None else min(pause, max(0.0, deadline - time.monotonic()))
            )


def shots_sentence(status: JobStatus) -> str:
    """`12/40 solved, 1 failed, 2 running`."""
    counts = status.counts
    others = [f"{counts[s]} {s}" for s in ("failed", "cancelled", "running") if counts[s]]
    return ", ".join([f"{counts['solved']}/{len(status.shots)} solved", *others])


def _training(status: JobStatus) -> str:
    record = status.training
    assert record is not None
    if record.progress is not None:
        return training_sentence(record.progress.figures)
    return result_sentence(record.figures) or f"training {record.state}"


class _Lines:
    """A plain line now and then, where stderr is no terminal."""

    def __init__(self) -> None:
        self._said, self._at = "", -LINE_SECONDS

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, status: JobStatus) -> None:
        text = f"{status.job} {status.state}: {shots_sentence(status)}"
        if status.training is not None and status.training.state != "queued":
            text += f"; {_training(status)}"
        now = time.monotonic()
        if text != self._said and (now - self._at >= LINE_SECONDS or status.ended):
            self._said, self._at = text, now
            typer.echo(text, err=True)


class _Bars:
    """A bar a stage, where stderr is a terminal."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=30),
            progress.TextColumn("{task.fields[text]}"),
            progress.TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, Any] = {}
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> _Bars:
        self._exit.enter_context(self._progress)
        return self

    def __exit__(self, *error: object) -> None:
        self._exit.close()

    def show(self, status: JobStatus) -> None:
        stage = "ingest" if status.kind == "train" else status.kind
        counts = status.counts
        done = counts["solved"] + counts["failed"] + counts["cancelled"]
        self._bar(stage, done, len(status.shots), shots_sentence(status))
        record = status.training
        if record is not None and record.state != "queued":
            now = record.progress
            total = now.total if now else 1
            done = now.done if now else int(record.state == "solved")
            self._bar("train", done, total, _training(status))

    def _bar(self, name: str, done: int, total: int | None, text: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, text=text)
        self._progress.update(self._tasks[name], completed=done, total=total, text=text)
