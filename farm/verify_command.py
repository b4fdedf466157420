"""Verify: every file that a job made, read again and held against what was written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farm.bar import bar
from farm.context import ProductionOption, find_and_load
from farm.exit_codes import JOB_FAILED, OK
from farm.option_groups import JobArgument, JsonOption

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.ledger import Ledger
    from jobs.records import JobStatus
    from jobs.verification import Verified

SCHEMA_VERSION = 1
ENDS = ("solved", "failed", "cancelled", "skipped")


def verify(
    job: JobArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Every job of the production.")] = False,
    no_mark: Annotated[
        bool, typer.Option("--no-mark", help="Leave damaged shots marked as solved.")
    ] = False,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read all that a job made, and name what is missing, cut short or altered since.

    A damaged shot counts as failed from then on, so that farm retry rebuilds it. Exit code 0: all is
    whole; 100: damage was found.

    Examples:

    farm verify

    farm verify infer-ada --no-mark

    farm verify --all --json > verify.json
    """
    from jobs.ledger import find_job, ledgers

    if every and job is not None:
        raise typer.BadParameter("--all takes no JOB")
    found = find_and_load(production)
    chosen = list(ledgers(found.paths.jobs)) if every else [find_job(found.paths.jobs, job)]
    whole = True
    objects = []
    for ledger in chosen:
        checked = _checked(found, ledger, mark=not no_mark)
        damaged = [verified for verified in checked if verified.damages]
        whole = whole and not damaged
        status = ledger.status()
        if as_json:
            objects.append(_job_json(status, checked))
        else:
            _print_job(status, checked, marked=not no_mark)
    if as_json:
        answer = {
            "schema_version": SCHEMA_VERSION,
            "whole": whole,
            "exit_code": OK if whole else JOB_FAILED,
            "jobs": objects,
        }
        typer.echo(json.dumps(answer))
    elif not chosen:
        typer.echo("no jobs yet: there is nothing to verify")
    raise typer.Exit(OK if whole else JOB_FAILED)


def account(status: JobStatus) -> dict[str, int]:
    """What was asked for, and in which end each of it is; missing is what has none yet."""
    ends: dict[str, int] = {state: status.counts[state] for state in ENDS}  # type: ignore[index]
    return {"requested": len(status.shots), **ends, "missing": status.without_end}


def _checked(production: Production, ledger: Ledger, *, mark: bool) -> list[Verified]:
    """All of a job's results, read; damaged shots are marked as soon as they are found."""
    from facecap_core.progress import Progress
    from jobs.verification import mark_damaged, verify_job

    status = ledger.status()
    training = status.training is not None and status.training.state == "solved"
    total = status.counts["solved"] + training
    checked = []
    with bar() as on_progress:
        for number, verified in enumerate(verify_job(production, ledger), 1):
            on_progress(Progress(ledger.job, number, total, "shots"))
            checked.append(verified)
            if verified.damages and mark:
                mark_damaged(ledger, verified)
    return checked


def _print_job(status: JobStatus, checked: list[Verified], *, marked: bool) -> None:
    damaged = [verified for verified in checked if verified.damages]
    for verified in damaged:
        for damage in verified.damages:
            typer.echo(f"{damage.shot}: {damage}")
    files, size = sum(v.files for v in checked), sum(v.bytes for v in checked)
    verdict = f"{len(damaged)} of {len(checked)} damaged" if damaged else "all whole"
    typer.echo(
        f"{status.job}: {len(checked)} results, {files} files, {size / 1e6:.1f} MB: {verdict}"
    )
    numbers = account(status)
    requested = numbers.pop("requested")
    total = " + ".join(f"{count} {name}" for name, count in numbers.items())
    typer.echo(f"{total} = {requested} requested")
    if damaged and marked:
        typer.echo(f"farm retry {status.job} rebuilds them")
    elif damaged:
        typer.echo("they stay marked as solved (--no-mark)")


def _job_json(status: JobStatus, checked: list[Verified]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "job": status.job,
        "state": status.state,
        "whole": not any(verified.damages for verified in checked),
        "results": len(checked),
        "files": sum(verified.files for verified in checked),
        "bytes": sum(verified.bytes for verified in checked),
        "damages": [asdict(damage) for verified in checked for damage in verified.damages],
        "account": account(status),
    }
