"""Submission: handing a job to a cluster, the local head if no other is named."""

from __future__ import annotations

import getpass
import os
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from facecap_core.errors import FacecapError
from facecap_core.names import shown
from facecap_core.productions.production import Production
from farm.cluster import Cluster, ClusterError, remote_cluster
from farm.head import LocalHead
from jobs.ledger import Ledger
from jobs.preflight import (
    Plan,
    PlannedShot,
    check_placement,
    missing_shots,
    preflight,
    training_missing,
)
from jobs.processes import this_host
from jobs.records import Cause, JobStatus, Options, Submission
from jobs.records import options as options_of
from jobs.request import Request, TrainRequest, job_id

ADDRESS_VARIABLE = "RAY_ADDRESS"
ALL_OR_NONE = (
    "warning: a training does not begin before all of its shots are ingested:"
    " mend these first, or clear their split in shots.csv"
)


@dataclass(frozen=True)
class Submitted:
    """What became of a submission."""

    ledger: Ledger
    new: bool
    sentence: str


def chosen_cluster(address: str | None) -> Cluster | None:
    """The cluster of --address, else of RAY_ADDRESS; None where neither is set."""
    named = address or os.environ.get(ADDRESS_VARIABLE)
    return remote_cluster(named) if named else None


def started_cluster(address: str | None) -> Cluster:
    """The chosen cluster, or the local head, started if it does not run.

    Raises:
        HeadError: it does not start. FacecapError: it ended as soon as it had.
    """
    chosen = chosen_cluster(address)
    if chosen is not None:
        return chosen
    head = LocalHead()
    if head.state() is None:
        typer.echo("starting the local Ray head (farm down ends it)", err=True)
    head.up()
    found = head.cluster()
    if found is None:
        raise FacecapError("the local Ray head ended again", remedy=f"see {head.log_path}")
    return found


def running_cluster(address: str | None) -> Cluster | None:
    """The chosen cluster, or the local head if it runs."""
    return chosen_cluster(address) or LocalHead().cluster()


def plan(production: Production, request: Request, options: Options, address: str | None) -> Plan:
    """The preflight of a request, against the cluster where one runs already."""
    cluster = running_cluster(address)
    return preflight(production, request, options, cluster.nodes() if cluster else None)


def submit(
    production: Production, request: Request, options: Options, address: str | None
) -> Submitted:
    """Submit what is missing of a request; the same request again is the same job.

    What is visibly wrong with single shots is told on stderr.

    Raises:
        NoSuchResources: the cluster could never run it. ClusterError: it does not take it.
        HeadError: the local head does not start. StoreError: the store cannot be written.
    """
    planned = preflight(production, request, options, None)
    _warn(planned.warnings, request)
    ledger = Ledger(production.paths.jobs / job_id(request))
    if (ledger.folder / "request.json").exists():
        status = ledger.status()
        if status.state in ("queued", "running"):
            return Submitted(
                ledger, False, f"is {status.state} already" + _runs_as(ledger, options)
            )
        if status.state == "done" and not _missing(production, request, ledger):
            return Submitted(
                ledger, False, f"is done already: nothing is missing{_skipped(status)}"
            )
    cluster = started_cluster(address)
    check_placement(request, options, cluster.nodes())
    ledger = Ledger.create(production.paths.jobs, request)
    ledger.add_sizes(planned.sizes)
    return hand_over(production, ledger, cluster, options)


def resubmit(
    production: Production, ledger: Ledger, address: str | None, changes: dict[str, Any]
) -> Submitted:
    """Submit what is missing of a job that ended or was interrupted, with its own options but for `changes`.

    What is visibly wrong with the shots that are to be done is told on stderr, and that it goes to another cluster
    than before.

    Raises:
        As `submit`.
    """
    request, status = ledger.request(), ledger.status()
    if status.state in ("queued", "running"):
        return Submitted(ledger, False, f"is {status.state}: nothing to retry yet")
    if status.state == "done" and not _missing(production, request, ledger):
        return Submitted(ledger, False, f"is done: nothing to retry{_skipped(status)}")
    submission = ledger.submission()
    before = submission.options.model_dump() if submission else {}
    options = options_of(**{**before, **changes})
    planned = preflight(production, request, options, None)
    _warn([shot for shot in planned.warnings if shot.action != "nothing"], request)
    if submission is not None:
        _warn_of_other_cluster(submission, chosen_cluster(address))
    cluster = started_cluster(address)
    check_placement(request, options, cluster.nodes())
    ledger.add_sizes(planned.sizes)
    return hand_over(production, ledger, cluster, options)


def hand_over(
    production: Production, ledger: Ledger, cluster: Cluster, options: Options
) -> Submitted:
    """Queue what is missing of a job and start its driver."""
    request, before = ledger.request(), ledger.submission()
    missing = missing_shots(production, request, ledger)
    training = ledger.training()
    if training is not None and _missing(production, request, ledger):
        ledger.write(training.queued())
    for name in missing:
        record = ledger.shot(name)
        if (
            record.state != "queued" or record.cause is not None
        ):  # a shot nobody touched is queued anyway
            ledger.write(record.queued())
    ledger.clear_cancel()
    attempt = before.attempt + 1 if before else 1
    head = LocalHead().state() if cluster.local else None
    submission = Submission(
        attempt=attempt,
        # Unique for ever: a cluster remembers what it was given, also for stores made anew.
        submission_id=f"{ledger.job}-{attempt}-{secrets.token_hex(3)}",
        production=str(production.settings_path),
        address=cluster.address,
        dashboard=cluster.address,
        submitted=time.time(),
        host=this_host(),
        user=_user(),
        options=options,
        keeper=head.process if head else None,
    )
    ledger.write_submission(submission)
    # Ray runs it through a shell: nothing but the interpreter and a quoted path goes in.
    python = sys.executable if cluster.local else "python"
    entrypoint = shlex.join([python, "-P", "-m", "jobs.entry", str(ledger.folder)])
    metadata = {
        "job_name": ledger.job,  # the dashboard shows it
        "ledger": str(ledger.folder),
        "kind": request.kind,
        "production": production.name,
        "shots": str(len(request.shots)),
    }
    try:
        cluster.submit(entrypoint, submission.submission_id, metadata)
    except FacecapError as error:
        ledger.write_submission(submission.model_copy(update={"cause": Cause.of(error)}))
        raise
    count = f"{len(missing)} of {len(request.shots)} shots to do"
    return Submitted(ledger, True, f"submitted to {cluster.address}: {count}")


def cluster_of(submission: Submission) -> Cluster:
    """The cluster that a job was submitted to, for stopping it.

    Raises:
        ClusterError: the user names another one, or none. Who can write the store can write any address
            into the ledger, and it shall not be sent the user's token.
    """
    for known in (LocalHead().cluster(), chosen_cluster(None)):
        if known is not None and known.address == submission.address:
            return known
    raise ClusterError(
        f"{submission.address} was not told, for RAY_ADDRESS does not name it",
        remedy=f"RAY_ADDRESS={submission.address} and the same command, if that is your cluster",
    )


def _warn(shots: Sequence[PlannedShot], request: Request) -> None:
    for shot in shots:
        typer.echo(f"warning: {shot.shot}: {shot.warning}", err=True)
    if shots and isinstance(request, TrainRequest):
        typer.echo(ALL_OR_NONE, err=True)


def _warn_of_other_cluster(submission: Submission, chosen: Cluster | None) -> None:
    """The ledger's address is not taken by itself, see `cluster_of`."""
    if submission.keeper is None and (chosen is None or chosen.address != submission.address):
        before, now = shown(submission.address), chosen.address if chosen else "the local head"
        typer.echo(
            f"warning: it was last submitted to {before}, and goes to {now} now:"
            f" --address {before} submits it there again, if that is your cluster",
            err=True,
        )


def _missing(production: Production, request: Request, ledger: Ledger) -> bool:
    if missing_shots(production, request, ledger):
        return True
    return isinstance(request, TrainRequest) and training_missing(production, request, ledger)


def _runs_as(ledger: Ledger, options: Options) -> str:
    """That options which were asked for now do not count, for it was submitted with others."""
    submission = ledger.submission()
    if submission is None or submission.options == options:
        return ""
    return (
        f", with the options it was submitted with; for others farm cancel {ledger.job},"
        " then the same command again"
    )


def _skipped(status: JobStatus) -> str:
    """That some shots of a job that is done were left out of it."""
    count = status.counts["skipped"]
    return (
        f"; {count} skipped: farm skip {status.job} SHOT --undo takes one in again" if count else ""
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in some containers
        return str(os.getuid())
