"""Each shot: the same work on many shots, of which one may fail without the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import typer

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from facecap_core.progress import OnProgress

Made = TypeVar("Made")


@dataclass
class Done(Generic[Made]):
    """What came of the shots, by their names; `failed` says why, `warnings` are of those that were made."""

    made: dict[str, Made] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def each_shot(
    production: Production,
    names: Sequence[str],
    work: Callable[[str, OnProgress | None], Made],
    tell: Callable[[Made, float], None],
) -> Done[Made]:
    """Do the work on one after the other; faults and warnings go to stderr.

    Args:
        tell: says of one that it is there, and the seconds that it took.

    Raises:
        Cancelled: by the user. FacecapError: of the work, where there is one shot alone.
    """
    from facecap_core.errors import Cancelled, FacecapError
    from farm.bar import bar
    from farm.output_choice import warn_of_footage

    done: Done[Made] = Done()
    for name in names:
        began = time.monotonic()
        try:
            with bar() as on_progress:
                done.made[name] = work(name, on_progress)
        except Cancelled:
            raise
        except FacecapError as error:
            if len(names) == 1:
                raise
            done.failed[name] = str(error)
            typer.echo(f"{name}: {error}", err=True)
            continue
        done.warnings += warn_of_footage(production, name)
        tell(done.made[name], time.monotonic() - began)
    return done
