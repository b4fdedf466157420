"""Handing in: what `farm submit` does with a request, or with --dry-run says that it would do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from facecap_core.reports.wording import count

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from farm.option_groups import Handing, Running
    from jobs.ledger import Ledger
    from jobs.preflight import Plan
    from jobs.request import Request

SCHEMA_VERSION = 1


def hand_in(production: Production, request: Request, running: Running, handing: Handing) -> None:
    """Submit a request, or print what that would do."""
    from farm.context import choose_job
    from farm.follow import stay_or_leave
    from farm.hooks import keep, words
    from farm.submission import plan, submit
    from jobs.records import options
    from jobs.request import job_id

    after = None if handing.after is None else choose_job(production, handing.after)
    if after is not None:
        _refuse_circle(after, job_id(request))
    chosen = options(**running.chosen(), after=after.job if after else None)
    hook = words(handing.on_done) if handing.on_done is not None else None
    if handing.dry_run:
        whole = plan(production, request, chosen, handing.address)
        _print_plan(whole, request, as_json=handing.as_json)
        return
    submitted = submit(production, request, chosen, handing.address)
    if submitted.new or hook is not None:
        keep(submitted.ledger, hook)
    stay_or_leave(production, submitted, wait=handing.wait, hook=hook, as_json=handing.as_json)


def earlier(production: Production, name: str | None) -> Ledger | None:
    """The job that --after names; which one that is, `hand_in` says."""
    from jobs.job_list import find_job

    return None if name is None else find_job(production.paths.jobs, name)


def _refuse_circle(after: Ledger, job: str) -> None:
    """Jobs that wait for each other would wait for ever."""
    from facecap_core.errors import ConfigError

    chain = [after.job]
    while chain[-1] != job:
        submission = type(after)(after.folder.parent / chain[-1]).submission()
        if submission is None or submission.options.after is None:
            return
        chain.append(submission.options.after)
        if len(set(chain)) < len(chain):
            return  # a circle of others, not of this job
    waits = " waits for ".join([job, *chain])
    raise ConfigError(
        f"--after {after.job}: {waits}", remedy="name a job that does not wait for it"
    )


def _print_plan(plan: Plan, request: Request, *, as_json: bool) -> None:
    from dataclasses import asdict

    from farm.submission import ALL_OR_NONE
    from farm.tables import print_table

    if as_json:
        whole = {
            "schema_version": SCHEMA_VERSION,
            **asdict(plan),
            "to_do": plan.to_do,
            "request": request.model_dump(mode="json"),
        }
        typer.echo(json.dumps(whole))
        return
    print_table(
        ["shot", "action", "reads", "warning"],
        [[s.shot, s.action, "\n".join(s.inputs), s.warning] for s in plan.shots],
    )
    warnings = len(plan.warnings)
    typer.echo(
        f"{plan.job}: {plan.to_do} of {len(plan.shots)} shots to do, {count(warnings, 'warning')}"
    )
    if warnings and plan.model:
        typer.echo(ALL_OR_NONE)
    if plan.state in ("queued", "running"):
        typer.echo(f"it is {plan.state} already")
    if plan.model:
        typer.echo(f"then the model {plan.model}")
    for stage, place in plan.stages.items():
        typer.echo(f"{stage}: a task takes {place}")
    if not plan.stages:
        typer.echo("no cluster runs yet: submitting starts the local head")
    typer.echo("nothing was submitted (--dry-run)")
