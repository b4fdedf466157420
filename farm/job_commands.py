"""Job commands: list, status, logs and wait, all from the ledger on disk."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from farm.completion import complete_shot
from farm.context import ProductionOption, find_and_load, find_ledger
from farm.exit_codes import OF_JOB_STATE
from farm.option_groups import JobArgument, JsonOption, OnDoneOption

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.ledger import Ledger

SCHEMA_VERSION = 1


def list_jobs(
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1)] = 20,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the production's jobs, the newest first.

    Examples:

    farm list

    farm list --limit 100 --json
    """
    from itertools import islice

    from facecap_core.errors import StoreError
    from farm.follow import status_json
    from farm.status_tables import print_jobs
    from jobs.job_list import ledgers

    statuses = []
    for ledger in islice(ledgers(find_and_load(production).paths.jobs), limit):
        try:
            statuses.append(ledger.status())
        except StoreError as error:  # of one job, which hides no others
            typer.echo(f"warning: {ledger.job} is left out: {error}", err=True)
    if as_json:
        brief = [
            {k: v for k, v in status_json(status).items() if k not in ("shots", "schema_version")}
            for status in statuses
        ]
        typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, "jobs": brief}))
    elif statuses:
        print_jobs(statuses)
    else:
        typer.echo("no jobs yet: farm submit train --help")


def status(
    job: JobArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Show the shots that are done too.")] = False,
    watching: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing it until the job ends.")
    ] = False,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a job: how many shots are in each state, and why shots failed.

    Read from files alone, so it is right with the cluster down. The exit code tells the state: 0 done,
    100 failed, 101 not finished, 102 no such job, 103 cancelled. Ctrl-C ends --watch, not the job.

    Examples:

    farm status

    farm status infer-ada --all

    farm status infer-ada --watch
    """
    from farm.follow import status_json
    from farm.status_tables import print_status
    from farm.watch import watch

    if watching and as_json:
        raise typer.BadParameter("--watch is for people: farm wait --json waits for programs")
    ledger = find_ledger(job, production)
    found = watch(ledger) if watching else ledger.status()
    if as_json:
        typer.echo(json.dumps(status_json(found)))
    else:
        print_status(found, every=every)
    raise typer.Exit(OF_JOB_STATE[found.state])


def logs(
    job: JobArgument = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job ends.")
    ] = False,
    shot: Annotated[
        str | None,
        typer.Option(
            help="The log of this shot instead; without JOB of the newest that has it.",
            show_default=False,
            autocompletion=complete_shot,
        ),
    ] = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a job's log: a line a shot as it ends; of a training, a line an epoch.

    Examples:

    farm logs

    farm logs infer-ada -f

    farm logs infer-ada --shot ada_line_0001 --json
    """
    if as_json and follow:
        raise typer.BadParameter("--follow is for people: --json is one object")
    ledger = find_ledger(job, production) if job or not shot else _newest_with(shot, production)
    path = _log_path(ledger, shot)
    if as_json:
        _print_json(ledger, shot, path)
        return
    position = _print_from(path, 0)
    while follow:
        ended = ledger.status().ended
        position = _print_from(path, position)
        if ended:
            break
        time.sleep(0.5)
    if position == 0:
        status = ledger.status()
        why = f": {status.detail}" if status.detail else ""
        of = f" of {shot}" if shot else ""
        typer.echo(f"nothing is logged{of} yet; {ledger.job} is {status.state}{why}", err=True)


def wait(
    job: JobArgument = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds, then exit with 101.", min=0, show_default=False),
    ] = None,
    on_done: OnDoneOption = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Wait until a job ends, with its progress; Ctrl-C leaves the job alone.

    Exit code 0 done, 100 failed, 101 not finished, 102 no such job, 103 cancelled.

    Examples:

    farm wait

    farm wait train-ada-1f3a9c20 --timeout 3600 --json

    farm wait infer-ada --on-done 'notify-send "farm done"'
    """
    from farm.follow import finish
    from farm.hooks import words

    ledger = find_ledger(job, production)
    hook = words(on_done) if on_done is not None else None
    raise typer.Exit(finish(ledger, timeout=timeout, as_json=as_json, hook=hook))


def _newest_with(shot: str, production: Path | None) -> Ledger:
    """The newest job that has this shot or training; the newest of all where none has."""
    from jobs.errors import JobNotFound
    from jobs.job_list import ledgers

    for ledger in ledgers(find_and_load(production).paths.jobs):
        with suppress(JobNotFound):
            _log_path(ledger, shot)
            return ledger
    return find_ledger(None, production)


def _log_path(ledger: Ledger, shot: str | None) -> Path:
    """The log of the job, of one of its shots, or of its training."""
    if shot is None:
        return ledger.driver_log_path
    training = ledger.training()
    if training is not None and shot in ("training", training.name):
        return ledger.log_path(training)
    if shot in ledger.request().shots:
        return ledger.shot_log_path(shot)
    from facecap_core.names import did_you_mean
    from jobs.errors import JobNotFound

    remedy = did_you_mean(shot, ledger.request().shots)
    raise JobNotFound(f"{ledger.job} has no shot {shot!r}", remedy=remedy)


def _print_json(ledger: Ledger, shot: str | None, path: Path) -> None:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    found = {
        "schema_version": SCHEMA_VERSION,
        "job": ledger.job,
        "shot": shot,
        "path": str(path),
        "lines": lines,
    }
    typer.echo(json.dumps(found))


def _print_from(path: Path, position: int) -> int:
    """Print what a log has from there on; returns where it ends."""
    try:
        with open(path, "rb") as file:
            file.seek(position)
            text = file.read()
    except FileNotFoundError:
        return position
    typer.echo(text.decode(errors="replace"), nl=False)
    return position + len(text)
