"""Head commands: the local Ray head, up or down, with the place of its dashboard."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.option_groups import JsonOption

if TYPE_CHECKING:
    from farm.head import LocalHead

SCHEMA_VERSION = 1


def up(
    cpus: Annotated[
        int | None,
        typer.Option(help="Processors to use; else all.", min=1, show_default=False),
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(help="GPUs to use; else all.", min=0, show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the local Ray head: on the loopback address only, with a token.

    `farm submit` does so itself where no cluster is named. State and token are in ~/.facecap, or in
    the folder that FARM_HOME names; each such folder can have a head of its own.

    Examples:

    farm up

    farm up --cpus 4
    """
    from farm.head import LocalHead

    head = LocalHead()
    before = head.state()
    state = head.up(cpus=cpus, gpus=gpus)
    if state == before and (cpus is not None or gpus is not None):
        typer.echo(
            "warning: it ran already, and offers what it did: farm down ends it, with the jobs on it",
            err=True,
        )
    if as_json:
        found = {
            "schema_version": SCHEMA_VERSION,
            "address": state.address,
            "dashboard": state.dashboard,
        }
        typer.echo(json.dumps(found))
    else:
        typer.echo(f"the local head is up; dashboard {state.dashboard}")


def down(as_json: JsonOption = False) -> None:
    """End the local Ray head and everything that runs on it; no other Ray is touched.

    Jobs keep their state on disk: `farm status` reads the same, and `farm retry` goes on later.

    Examples:

    farm down
    """
    from farm.head import LocalHead

    head = LocalHead()
    jobs = _at_work(head)
    ended = head.down()
    if as_json:
        typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, "ended": ended}))
    else:
        typer.echo("the local head is down" if ended else "no local head was running")
        for job in jobs:
            typer.echo(f"{job} was at work: farm retry {job} goes on with what is missing")


def _at_work(head: LocalHead) -> list[str]:
    """The jobs that the head's end interrupts; none where it does not say."""
    from farm.cluster import ClusterError

    cluster = head.cluster()
    with contextlib.suppress(ClusterError):
        known = cluster.at_work() if cluster else {}
        return [job for job, folder in known.items() if not (folder and _has_ended(Path(folder)))]
    return []


def _has_ended(folder: Path) -> bool:
    """Whether the ledger says so: a driver whose work is done lives on for a moment."""
    from facecap_core.errors import FacecapError
    from jobs.ledger import Ledger

    with contextlib.suppress(FacecapError, OSError):
        return Ledger(folder).status().state not in ("queued", "running")
    return False


def dashboard(
    address: Annotated[
        str | None,
        typer.Option(help="Dashboard of a cluster; else RAY_ADDRESS.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print where the cluster's dashboard is, and the file whose token it asks for.

    Examples:

    farm dashboard
    """
    from farm.cluster import ClusterError
    from farm.head import LocalHead
    from farm.submission import chosen_cluster

    head = LocalHead()
    chosen = chosen_cluster(address)
    cluster = chosen or head.cluster()
    if cluster is None:
        raise ClusterError("no local head is running", remedy="farm up, or give --address")
    token = str(head.token_path) if chosen is None else None
    if as_json:
        found = {
            "schema_version": SCHEMA_VERSION,
            "dashboard": cluster.address,
            "token_file": token,
        }
        typer.echo(json.dumps(found))
        return
    typer.echo(cluster.address)
    if token:
        typer.echo(f"its login asks for the token in {token}", err=True)
