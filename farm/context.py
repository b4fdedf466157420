"""Context: the production that a command works on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from facecap_core.production import Production

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
    # pydantic takes a tenth of a second to import: `farm --help` shall not wait for it.
    from facecap_core.production import find_production, load_production

    if production is None and (named := os.environ.get(PRODUCTION_VARIABLE)):
        production = Path(named)
    return load_production(production or find_production(Path.cwd()))
