"""Verify: every file that a job made, read again and held against what was written."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facecap_core.reports.wording import count
from farm.bar import bar
from farm.context import ProductionOption, choose_job, find_and_load, tell_newest
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
        bool, typer.Option("--no-mark", help="Leave damaged shots marked as whole.")
    ] = False,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read all that a job made, and name what is missing, cut short or altered since.

    Without JOB the newest is read; farm list names them all, and --all reads them all.

    A damaged shot counts as failed from then on, so that farm retry rebuilds it. What artists corrected in the
    job's shots (with --all in any) is read too, and held against template and footage; that only they can make
    again. Exit code 0: all is whole; 100: damage was found.

    Examples:

    farm verify

    farm verify infer-ada --no-mark

    farm verify --all --json > verify.json
    """
    from jobs.job_list import ledgers

    if every and job is not None:
        raise typer.BadParameter("--all takes no JOB")
    found = find_and_load(production)
    chosen = list(ledgers(found.paths.jobs)) if every else [choose_job(found, job)]
    if job is None and not every:
        tell_newest(chosen[0], "verify")
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
    shots = None if every else {shot for ledger in chosen for shot in ledger.request().shots}
    corrections = _corrections(found, shots)
    whole = whole and not any(verified.damages for verified in corrections)
    if as_json:
        answer = {
            "schema_version": SCHEMA_VERSION,
            "whole": whole,
            "exit_code": OK if whole else JOB_FAILED,
            "jobs": objects,
            "corrections": _figures(corrections),
        }
        typer.echo(json.dumps(answer))
    elif not chosen:
        typer.echo("no jobs yet: there is nothing to verify")
    if corrections and not as_json:
        _print_results("corrections", corrections, "shot")
    raise typer.Exit(OK if whole else JOB_FAILED)


def account(status: JobStatus) -> dict[str, int]:
    """What was asked for, and in which end each of it is; missing is what has none yet."""
    ends: dict[str, int] = {state: status.counts[state] for state in ENDS}  # type: ignore[index]
    return {"requested": len(status.shots), **ends, "missing": status.without_end}


def _checked(production: Production, ledger: Ledger, *, mark: bool) -> list[Verified]:
    """All of a job's results, read; damaged shots are marked as soon as they are found."""
    from facecap_core.names import some_of
    from facecap_core.progress import Progress
    from jobs.verification import mark_damaged, verify_job

    status = ledger.status()
    gone = [record.name for record in status.shots if record.name not in production.shots]
    if gone:
        typer.echo(
            f"warning: {status.job}: not read, for shots.csv has them no more: {some_of(gone)}",
            err=True,
        )
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


def _corrections(production: Production, shots: Collection[str] | None) -> list[Verified]:
    """What artists corrected in these shots, read; None: in all."""
    from facecap_core.progress import Progress
    from jobs.verification import verify_corrections

    checked = []
    with bar() as on_progress:
        for verified in verify_corrections(production, shots):
            checked.append(verified)
            on_progress(Progress("corrections", len(checked), None, "shots"))
    return checked


def _print_job(status: JobStatus, checked: list[Verified], *, marked: bool) -> None:
    _print_results(status.job, checked, "result")
    numbers = account(status)
    requested = numbers.pop("requested")
    numbers = {status.done_word: numbers.pop("solved"), **numbers}
    total = " + ".join(f"{count} {name}" for name, count in numbers.items())
    typer.echo(f"{total} = {requested} requested")
    if any(verified.to_retry for verified in checked):
        typer.echo(
            f"farm retry {status.job} rebuilds them"
            if marked
            else "they stay marked as whole (--no-mark)"
        )


def _print_results(title: str, checked: list[Verified], what: str) -> None:
    """Each damage, what mends it where that is not farm retry, and a line of figures."""
    for damage in (damage for verified in checked for damage in verified.damages):
        typer.echo(f"{damage.shot}: {damage}" + (f" -> {damage.remedy}" if damage.remedy else ""))
    damaged = sum(bool(verified.damages) for verified in checked)
    files, size = sum(v.files for v in checked), sum(v.bytes for v in checked)
    verdict = f"{damaged} of {len(checked)} damaged" if damaged else "all whole"
    typer.echo(
        f"{title}: {count(len(checked), what)}, {files} files, {size / 1e6:.1f} MB: {verdict}"
    )


def _job_json(status: JobStatus, checked: list[Verified]) -> dict[str, Any]:
    figures = _figures(checked)
    for damage in figures["damages"]:
        damage["remedy"] = damage["remedy"] or f"farm retry {status.job}"
    job = {"job": status.job, "state": status.state}
    return {**job, "results": len(checked), **figures, "account": account(status)}


def _figures(checked: list[Verified]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "whole": not any(verified.damages for verified in checked),
        "files": sum(verified.files for verified in checked),
        "bytes": sum(verified.bytes for verified in checked),
        "damages": [asdict(damage) for verified in checked for damage in verified.damages],
    }
