"""Job commands: list, status, logs, wait, cancel and retry, all from the ledger on disk."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from farm.context import ProductionOption, find_and_load
from farm.exit_codes import OF_JOB_STATE, OK

if TYPE_CHECKING:
    from pathlib import Path

    from jobs.ledger import Ledger

SCHEMA_VERSION = 1
STOP_SECONDS = 20.0

JobArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[JOB]",
        help="A job's name or the beginning of one; else the newest.",
        show_default=False,
    ),
]
OneJob = Annotated[
    str, typer.Argument(metavar="JOB", help="A job's name, or the beginning of one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


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

    from farm.follow import status_json
    from farm.status_tables import print_jobs
    from farm.submission import store_jobs
    from jobs.ledger import ledgers

    found = islice(ledgers(store_jobs(find_and_load(production))), limit)
    statuses = [ledger.status() for ledger in found]
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
    every: Annotated[bool, typer.Option("--all", help="Show the solved shots too.")] = False,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a job: how many shots are in each state, and why shots failed.

    Read from files alone, so it is right with the cluster down. The exit code tells the state: 0 done,
    100 failed, 101 not finished, 102 no such job, 103 cancelled.

    Examples:

    farm status

    farm status infer-ada --all
    """
    from farm.follow import status_json
    from farm.status_tables import print_status

    found = _ledger(job, production).status()
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
        str | None, typer.Option(help="The log of this shot instead.", show_default=False)
    ] = None,
    production: ProductionOption = None,
) -> None:
    """Print a job's log: a line a shot as it ends; of a training, a line an epoch.

    Examples:

    farm logs

    farm logs infer-ada -f

    farm logs infer-ada --shot ada_line_0001
    """
    ledger = _ledger(job, production)
    path = ledger.driver_log_path
    if shot is not None:
        training = ledger.training()
        if training is not None and shot in ("training", training.name):
            path = ledger.log_path(training)
        elif shot in ledger.request().shots:
            path = ledger.shot_log_path(shot)
        else:
            from facecap_core.names import did_you_mean
            from jobs.errors import JobNotFound

            remedy = did_you_mean(shot, ledger.request().shots)
            raise JobNotFound(f"{ledger.job} has no shot {shot!r}", remedy=remedy)
    position = _print_from(path, 0)
    if position == 0 and not follow:
        typer.echo(f"{path.name}: nothing logged yet", err=True)
    while follow:
        ended = ledger.status().ended
        position = _print_from(path, position)
        if ended:
            return
        time.sleep(0.5)


def wait(
    job: JobArgument = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds, then exit with 101.", min=0, show_default=False),
    ] = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Wait until a job ends, with its progress; Ctrl-C leaves the job alone.

    Exit code 0 done, 100 failed, 101 not finished, 102 no such job, 103 cancelled.

    Examples:

    farm wait

    farm wait train-ada-1f3a9c20 --timeout 3600 --json
    """
    from farm.follow import finish

    raise typer.Exit(finish(_ledger(job, production), timeout=timeout, as_json=as_json))


def cancel(
    job: OneJob,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a job; shots that are solved stay solved, and nothing half-done is left.

    Examples:

    farm cancel infer-ada-1f3a9c20
    """
    from farm.follow import status_json
    from jobs.cancel import cancel_unfinished

    ledger = _ledger(job, production)
    before = ledger.status()
    if before.state in ("queued", "running"):
        _stop(ledger)
    if before.state in ("queued", "running", "interrupted"):
        cancel_unfinished(ledger)
    after = ledger.status()
    if as_json:
        typer.echo(json.dumps(status_json(after)))
    elif before.state == after.state:
        typer.echo(f"{ledger.job} was {after.state} already")
    else:
        typer.echo(f"{ledger.job} {after.state}: {after.counts['solved']} shots stay solved")
    raise typer.Exit(OK if after.state in ("cancelled", "done") else OF_JOB_STATE[after.state])


def retry(
    job: JobArgument = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the job ends.")] = False,
    production: ProductionOption = None,
    address: Annotated[
        str | None,
        typer.Option(help="Dashboard of a cluster; else RAY_ADDRESS; else the local head."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Do what is missing of a job: failed, cancelled and interrupted shots, never the solved ones.

    Examples:

    farm retry infer-ada --wait
    """
    from farm.follow import finish
    from farm.submission import resubmit

    found = find_and_load(production)
    ledger = _ledger(job, production)
    submitted = resubmit(found, ledger, address)
    typer.echo(f"{ledger.job} {submitted.sentence}", err=True)
    if wait:
        raise typer.Exit(finish(ledger, timeout=None, as_json=as_json))
    if as_json:
        answer = {"schema_version": SCHEMA_VERSION, "job": ledger.job, "new": submitted.new}
        typer.echo(json.dumps({**answer, "state": ledger.status().state}))
    else:
        typer.echo(ledger.job)


def _ledger(job: str | None, production: Path | None) -> Ledger:
    from farm.submission import store_jobs
    from jobs.ledger import find_job

    return find_job(store_jobs(find_and_load(production)), job)


def _stop(ledger: Ledger) -> None:
    """Ask driver and workers to end; force them where they do not."""
    from facecap_core.errors import FacecapError
    from farm.submission import cluster_of

    state = ledger.status().state
    ledger.request_cancel("farm cancel")
    deadline = time.monotonic() + STOP_SECONDS
    # A driver that runs sees the request within a second; one that waits to run never does.
    while state == "running" and time.monotonic() < deadline:
        if ledger.status().ended:
            return
        time.sleep(0.3)
    submission = ledger.submission()
    if submission is None:
        return
    try:
        cluster_of(submission).stop(submission.submission_id)
    except FacecapError as error:
        typer.echo(f"warning: {error}", err=True)


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
