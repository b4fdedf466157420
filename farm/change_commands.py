"""Change commands: cancel, retry and skip."""

from __future__ import annotations

import json
import shlex
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from facecap_core.names import some_of
from farm.completion import complete_shot
from farm.context import ProductionOption, find_and_load, find_ledger, tell_newest
from farm.exit_codes import OF_JOB_STATE, OK
from farm.option_groups import (
    AddressOption,
    JobArgument,
    JsonOption,
    OnDoneOption,
    OneJob,
    Running,
    WaitOption,
    grouped,
)

if TYPE_CHECKING:
    from jobs.ledger import Ledger
    from jobs.records import JobStatus

SCHEMA_VERSION = 1
STOP_SECONDS = 20.0


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

    ledger = find_ledger(job, production)
    before = ledger.status()
    if before.state in ("queued", "running"):
        _stop(ledger)
    if before.state in ("queued", "running", "interrupted"):
        cancel_unfinished(ledger)
    after = ledger.status()
    if as_json:
        typer.echo(json.dumps(status_json(after)))
    elif after.state in ("queued", "running"):
        typer.echo(
            f"{ledger.job} was asked to end, and is {after.state} still: farm wait {ledger.job}"
        )
    elif before.state == after.state:
        typer.echo(f"{ledger.job} had ended already ({after.state}): there was nothing to cancel")
    else:
        solved = after.counts["solved"]
        stay = f"{solved} shot stays" if solved == 1 else f"{solved} shots stay"
        typer.echo(f"{ledger.job} {after.state}: {stay} {after.done_word}")
    raise typer.Exit(OK if after.state in ("cancelled", "done") else OF_JOB_STATE[after.state])


@grouped()
def retry(
    job: JobArgument = None,
    *,
    running: Running,
    wait: WaitOption = False,
    on_done: OnDoneOption = None,
    production: ProductionOption = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do what is missing of a job: failed, cancelled and interrupted shots, never the solved ones.

    Solved shots are missing where their result is gone or replaced, or their model was trained anew since.

    Without JOB the newest is meant; farm list names them all. It runs as the job was last submitted, but for
    what is said anew here, and on the cluster that is named now. Your command of --on-done is kept in ~/.facecap (or
    FARM_HOME) and runs again; --on-done '' leaves it out.

    Examples:

    farm retry infer-ada --wait

    farm retry infer-ada --memory 32 --max-parallel 4

    farm retry infer-ada --on-done ''
    """
    from farm.follow import stay_or_leave
    from farm.hooks import keep, kept, words
    from farm.submission import resubmit
    from jobs.records import options

    found = find_and_load(production)
    ledger = find_ledger(job, production)
    if job is None:
        tell_newest(ledger, "retry")
    changes = running.chosen()
    options(**changes)  # refuses what no machine could have
    hook = words(on_done) if on_done else None  # empty: none, not even the one of before
    submitted = resubmit(found, ledger, address, changes)
    if on_done is not None:
        keep(ledger, hook)
    elif submitted.new and (hook := kept(ledger)) is not None:
        typer.echo(f"--on-done {shlex.join(hook)}, as before ('' leaves it out)", err=True)
    stay_or_leave(found, submitted, wait=wait, hook=hook, as_json=as_json)


def skip(
    job: OneJob,
    shots: Annotated[
        list[str],
        typer.Argument(
            metavar="SHOT",
            help="Shots of the job, or globs of their names.",
            autocompletion=complete_shot,
        ),
    ],
    undo: Annotated[bool, typer.Option("--undo", help="Take it back instead.")] = False,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave shots of a job out: it ends without them. One that runs ends; a solved one stays solved.

    Examples:

    farm skip infer-ada ada_line_0042

    farm skip infer-ada 'ada_line_00*' --undo
    """
    ledger = find_ledger(job, production)
    names = _shots_of(ledger, shots)
    solved = [name for name in names if ledger.shot(name).state == "solved"]
    changed = [name for name in names if name not in solved]
    for name in changed:
        if undo:
            ledger.unskip(name)
        else:
            ledger.skip(name)
    status = ledger.status()
    if as_json:
        answer = {
            "schema_version": SCHEMA_VERSION,
            "job": ledger.job,
            "state": status.state,
            "undo": undo,
            "shots": changed,
            "solved": solved,
            "counts": status.counts,
        }
        typer.echo(json.dumps(answer))
        return
    if changed:
        typer.echo(_skipped_sentence(status, changed, undo=undo))
    if solved:
        typer.echo(f"{status.done_word} already, and stay so: {some_of(solved)}")


def _skipped_sentence(status: JobStatus, names: list[str], *, undo: bool) -> str:
    if not undo:
        return f"{status.job} leaves out {some_of(names)}"
    return f"{status.job} leaves {some_of(names)} in again; farm retry {status.job} does what is missing"


def _shots_of(ledger: Ledger, patterns: list[str]) -> list[str]:
    """The job's shots that these names and globs mean, in the job's order.

    Raises:
        JobNotFound: one of them means no shot of the job.
    """
    from facecap_core.names import did_you_mean
    from jobs.errors import JobNotFound

    every = ledger.request().shots
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in every):
            raise JobNotFound(
                f"{ledger.job} has no shot {pattern!r}", remedy=did_you_mean(pattern, every)
            )
    return [name for name in every if any(fnmatchcase(name, p) for p in patterns)]


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
