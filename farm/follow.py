"""Follow: watching a job until it ends, from its ledger alone."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

import typer

from farm.exit_codes import NOT_FINISHED, OF_JOB_STATE
from farm.hooks import LOG_NAME, run_hook, wait_in_background
from farm.status_tables import job_line, print_result, shots_sentence, training_line
from jobs.ledger import Ledger
from jobs.records import JobStatus, shot_stage

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from farm.submission import Submitted

SCHEMA_VERSION = 1
POLL_SECONDS = 1.0
LINE_SECONDS = 10.0
LOOK_SECONDS = 0.25


def finish(
    ledger: Ledger, *, timeout: float | None, as_json: bool, hook: list[str] | None = None
) -> int:
    """Wait for a job's end, print its result, run the hook, and return the exit code."""
    try:
        status = follow(ledger, timeout=timeout)
    except KeyboardInterrupt:
        typer.echo(f"\n{goes_on(ledger)}", err=True)
        if hook is not None:
            typer.echo(f"{shlex.join(hook)} will not run", err=True)
        return NOT_FINISHED
    if as_json:
        typer.echo(json.dumps(status_json(status)))
    else:
        print_result(status)
    if hook is not None and status.ended:
        run_hook(hook, status)
    return OF_JOB_STATE[status.state]


def stay_or_leave(
    production: Production,
    submitted: Submitted,
    *,
    wait: bool,
    hook: list[str] | None,
    as_json: bool,
) -> None:
    """After a job was handed over: wait for its end, or say where it is and leave it alone."""
    ledger = submitted.ledger
    typer.echo(f"{ledger.job} {submitted.sentence}", err=True)
    if wait:
        raise typer.Exit(finish(ledger, timeout=None, as_json=as_json, hook=hook))
    if hook is not None:
        wait_in_background(ledger, production.settings_path, hook)
        log = ledger.folder / LOG_NAME
        typer.echo(f"{shlex.join(hook)} runs when it ends; its log: {log}", err=True)
    if not as_json:
        typer.echo(ledger.job)
        return
    submission = ledger.submission()
    answer = {
        "schema_version": SCHEMA_VERSION,
        "job": ledger.job,
        "new": submitted.new,
        "state": ledger.status().state,
        "dashboard": submission.dashboard if submission else None,
        "folder": str(ledger.folder),
    }
    typer.echo(json.dumps(answer))


def status_json(status: JobStatus) -> dict[str, Any]:
    """The object that --json prints of a job."""
    return {**status.model_dump(mode="json"), "exit_code": OF_JOB_STATE[status.state]}


def goes_on(ledger: Ledger) -> str:
    """What a person is told who stops looking."""
    return f"{ledger.job} goes on without you: farm wait {ledger.job}"


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
            rest(ledger, status, deadline)


def rest(ledger: Ledger, status: JobStatus, deadline: float | None = None) -> None:
    """Sleep until the next look, or the deadline, or until the driver ended, which is one file to look at."""
    attempt = status.submission.attempt if status.submission else 0
    until = time.monotonic() + poll_seconds(status)
    if deadline is not None:
        until = min(until, deadline)
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, LOOK_SECONDS))
        driver = ledger.driver()
        # Until a retry's driver writes, the file tells of the one before, which ended long ago.
        if driver is not None and driver.attempt >= attempt and driver.state != "running":
            return


def poll_seconds(status: JobStatus) -> float:
    """How long to wait between two looks: five hundred state files are read each time."""
    return POLL_SECONDS + 0.004 * len(status.shots)


class _Lines:
    """A plain line now and then, where stderr is no terminal."""

    def __init__(self) -> None:
        self._said, self._at = "", -LINE_SECONDS

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, status: JobStatus) -> None:
        text = job_line(status)
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
        stage = shot_stage(status.kind)
        counts = status.counts
        done = len(status.shots) - counts["queued"] - counts["running"]
        self._bar(stage, done, len(status.shots), shots_sentence(status))
        record = status.training
        if record is not None and record.state != "queued":
            now = record.progress
            total = now.total if now else 1
            done = now.done if now else int(record.state == "solved")
            self._bar("train", done, total, training_line(record))

    def _bar(self, name: str, done: int, total: int | None, text: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, text=text)
        self._progress.update(self._tasks[name], completed=done, total=total, text=text)
