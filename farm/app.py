"""App: the `farm` command, its subcommands and its exit codes."""

from __future__ import annotations

import sys
from errno import EACCES, EDQUOT, EEXIST, EISDIR, ENOSPC, ENOTDIR, EPERM, EROFS
from typing import Annotated

import typer

from facecap_core.errors import FacecapError, ProductionError
from facecap_core.provenance import versions
from farm import (
    change_commands,
    head_commands,
    job_commands,
    submit_output_commands,
)
from farm.calibrate_command import calibrate
from farm.check_command import check
from farm.compare_command import compare
from farm.correct_command import correct
from farm.demo_command import demo
from farm.evaluate_command import evaluate
from farm.exit_codes import INTERNAL, of_error
from farm.export_command import export
from farm.flag_command import flag
from farm.init_command import init
from farm.models_command import models
from farm.regions_command import regions
from farm.report_command import report
from farm.review_command import review
from farm.stabilise_command import stabilise
from farm.submit_train_command import train
from farm.suggest_command import suggest
from farm.verify_command import verify
from jobs.patience import wait_without_spinning

# Of errors of the file system, those that a person mends: a file where a folder should be, no right, no room.
WHERE_IT_WRITES = (EEXIST, ENOTDIR, EISDIR, EACCES, EPERM, EROFS, ENOSPC, EDQUOT)

app = typer.Typer(
    name="farm",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Facial performance capture on a render farm.

A production is a folder with production.toml and shots.csv: commands find it upward from the
current folder, by --production, or by FARM_PRODUCTION.

The whole way of an actor:

farm check

farm submit train --actor ada --wait

farm submit infer --actor ada --wait

Exit codes: 0 ok, 1 internal or connection, 2 usage, 100 job failed, 101 not finished, 102 not
found, 103 cancelled.
""",
)

app.command()(demo)
app.command()(init)
app.command()(check)
app.command()(stabilise)
submit_output_commands.app.command()(train)
app.add_typer(submit_output_commands.app, name="submit")
app.command("list")(job_commands.list_jobs)
app.command()(job_commands.status)
app.command()(job_commands.logs)
app.command()(job_commands.wait)
app.command()(change_commands.cancel)
app.command()(change_commands.retry)
app.command()(change_commands.skip)
app.command()(verify)
app.command()(models)
app.command()(calibrate)
app.command()(evaluate)
app.command()(report)
app.command()(export)
app.command()(review)
app.command()(correct)
app.command()(compare)
app.command()(flag)
app.command()(suggest)
app.command()(regions)
app.command()(head_commands.up)
app.command()(head_commands.down)
app.command()(head_commands.dashboard)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(", ".join(f"{name} {number}" for name, number in versions().items()))
        raise typer.Exit


@app.callback()
def farm(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the versions of facecap and of what decides its results.",
            callback=_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run `farm`; errors that a user can mend end it with a sentence instead of a traceback."""
    wait_without_spinning()
    try:
        app()
    except ProductionError as error:
        for fault in error.faults:
            typer.echo(f"error: {fault}", err=True)
        sys.exit(of_error(error))
    except FacecapError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(of_error(error))
    except BrokenPipeError:
        # The reader of our output has gone (farm list | head): nothing to complain about.
        sys.stderr.close()
        sys.exit(INTERNAL)
    except OSError as error:
        if error.errno not in WHERE_IT_WRITES or error.filename is None:
            raise
        remedy = "name another place, or make room there"
        typer.echo(f"error: {error.filename}: {error.strerror} -> {remedy}", err=True)
        sys.exit(INTERNAL)


if __name__ == "__main__":
    main()
