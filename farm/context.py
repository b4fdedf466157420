"""Context: the production that a command works on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.ledger import Ledger

PRODUCTION_VARIABLE = "FARM_PRODUCTION"

ProductionOption = Annotated[
    Path | None,
    typer.Option(
        "--production",
        "-P",
        metavar="DIR",
        help=f"The production's folder, where it is not this one or above. Else ${PRODUCTION_VARIABLE}.",
        show_default=False,
    ),
]


def find_and_load(production: Path | None = None) -> Production:
    """The production of --production, else of FARM_PRODUCTION, else of the current folder or one above.

    Raises ProductionError when there is none, or with everything that is wrong in its two files.
    """
    from facecap_core.productions.production import load_production

    return load_production(find(production))


def find_ledger(job: str | None, production: Path | None) -> Ledger:
    """A job of that production, see `choose_job`."""
    return choose_job(find_and_load(production), job)


def choose_job(production: Production, job: str | None) -> Ledger:
    """The job of this name, or of this beginning of one; None: the newest.

    Which one was taken of several that were meant by a name without its digest is told on stderr.

    Raises JobNotFound when there is none, or several.
    """
    from jobs.job_list import find_job, ledgers

    jobs = production.paths.jobs
    ledger = find_job(jobs, job)
    if job == ledger.name:
        count = sum(other.name == job for other in ledgers(jobs))
        if count > 1:
            told = f"{ledger.job}, the newest of {count} jobs of this name (farm list names them)"
            typer.echo(told, err=True)
    return ledger


def tell_newest(ledger: Ledger, verb: str) -> None:
    """Say on stderr which job was taken where none was named and there are others."""
    from jobs.job_list import ledgers

    count = sum(1 for _ in ledgers(ledger.folder.parent))
    if count > 1:
        typer.echo(
            f"{ledger.job}, the newest of {count} jobs; another: farm {verb} JOB"
            " (farm list names them)",
            err=True,
        )


def find(production: Path | None = None) -> Path:
    """The folder or .toml file of that production. Raises ProductionError when there is none."""
    # pydantic takes a tenth of a second to import: `farm --help` shall not wait for it.
    from facecap_core.errors import Fault, ProductionError
    from facecap_core.productions.production import SETTINGS_FILE, find_production

    origin = "--production"
    if production is None and (named := os.environ.get(PRODUCTION_VARIABLE)):
        production, origin = Path(named), PRODUCTION_VARIABLE
    if production is None:
        return find_production(_here())
    if not (production / SETTINGS_FILE).is_file() and not (
        production.suffix == ".toml" and production.is_file()
    ):
        message = f"there is no {SETTINGS_FILE} in {production}"
        remedy = f"correct {origin}, or begin a production there: farm init {production}"
        raise ProductionError([Fault(message, remedy)])
    return production


def _here() -> Path:
    from facecap_core.errors import Fault, ProductionError

    try:
        return Path.cwd()
    except OSError as error:
        fault = Fault("the current folder is gone", "go to another, or name one with --production")
        raise ProductionError([fault]) from error
