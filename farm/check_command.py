"""Check: everything that is wrong with a production, and what its training sets are made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from facecap_core.checks.finding import errors_of
from farm.bar import bar
from farm.check_json import as_json
from farm.check_tables import print_report
from farm.context import ProductionOption, find
from farm.exit_codes import JOB_FAILED, OK
from farm.option_groups import OnlyActorOption

if TYPE_CHECKING:
    from facecap_core.errors import Fault


def check(
    actor: OnlyActorOption = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Decode all footage as well, and look into it: what only shows in motion.",
        ),
    ] = False,
    production: ProductionOption = None,
    json_wanted: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of tables.")
    ] = False,
) -> None:
    """Find everything wrong with a production before GPU time is spent on it.

    Reads production.toml and shots.csv, opens every video and reads every point cache, and says of
    each fault where it is and what to do. Exit code 100 when there are faults, else 0.

    With --deep it takes about as long as decoding, and finds with a figure each: heads that move in
    caches, held, doubled or interpolated frames, video and cache or two cameras some frames apart,
    changes of exposure, flicker, black pictures, crops that cut the face, and validation shots with
    poses that the training set lacks.

    Examples:

    farm check

    farm check --actor ada

    farm check --deep

    farm check --production /shows/quantum --json > check.json
    """
    from facecap_core.checks.production_check import check_production
    from facecap_core.productions.production import read_production

    found, faults = read_production(find(production))
    report = None
    findings = None
    if found is not None:
        with bar() as on_progress:
            report = check_production(found, actor=actor, on_progress=on_progress)
            if deep:
                from facecap_core.checks.deep_check import check_deeply

                findings = check_deeply(found, report, on_progress=on_progress)
    faults = sorted(faults + (report.faults if report else []), key=_place)
    warnings = sorted(report.warnings if report else [], key=_place)
    if json_wanted:
        typer.echo(json.dumps(as_json(found, report, faults, warnings, findings), indent=2))
    else:
        print_report(found, report, faults, warnings, findings)
    raise typer.Exit(JOB_FAILED if faults or errors_of(findings) else OK)


def _place(fault: Fault) -> tuple[bool, int]:
    return fault.file.endswith(".csv"), fault.line or 0
