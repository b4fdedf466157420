"""Correction list: what artists corrected, as text for people and as objects for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from farm.tables import print_table

if TYPE_CHECKING:
    from facecap_core.corrections.correction import Correction
    from facecap_core.errors import Fault
    from facecap_core.productions.production import Production


@dataclass(frozen=True)
class DamagedCorrection:
    """A correction that cannot be read."""

    shot: str
    number: int
    fault: Fault
    removed: bool


def list_corrections(production: Production, shot: str) -> list[Correction | DamagedCorrection]:
    """All corrections of a shot; those that are damaged are told on stderr too."""
    from facecap_core.corrections.correction import (
        is_taken_out,
        read_correction,
        written_numbers,
    )
    from facecap_core.errors import StoreError

    paths, actor = production.paths, production.shots[shot].actor
    found: list[Correction | DamagedCorrection] = []
    for number in written_numbers(paths, actor, shot):
        try:
            found.append(read_correction(paths, actor, shot, number))
        except StoreError as error:
            removed = is_taken_out(paths, actor, shot, number)
            if not removed:
                typer.echo(f"warning: {error}", err=True)
            found.append(DamagedCorrection(shot, number, error.fault, removed))
    return found


def frames_in_words(first: int, last: int) -> str:
    """`120-180`, both included, or `120`."""
    return str(first) if first == last else f"{first}-{last}"


def places(correction: Correction, most: int = 8) -> str:
    """The first ranges that it corrects, in frames counted from 0."""
    ranges = [frames_in_words(*pair) for pair in correction.ranges]
    return ", ".join(ranges[:most]) + (" …" if ranges[most:] else "")


def print_corrections(listed: list[Correction | DamagedCorrection]) -> None:
    """A row each, on stdout."""
    rows = [
        _damaged_row(one) if isinstance(one, DamagedCorrection) else _row(one) for one in listed
    ]
    columns = ["shot", "no", "frames", "count", "mm", "by", "date", "corrects", "state", "note"]
    print_table(
        columns,
        rows,
        right=["no", "count", "mm"],
        spare=["corrects", "count", "date", "by", "note"],
        prose=["frames", "note"],
    )


def _row(one: Correction) -> list[str]:
    return [
        one.shot,
        str(one.number),
        places(one),
        str(len(one.frames)),
        f"{one.facts['rmse_mm']:.2f}",
        str(one.facts["by"]),
        str(one.facts["made"]["date"])[:16].replace("T", " "),
        str(one.facts["solve"]["model"]),
        "" if one.removed is None else f"removed by {one.removed['by']}",
        str(one.facts.get("note", "")),
    ]


def _damaged_row(one: DamagedCorrection) -> list[str]:
    state = "damaged, removed" if one.removed else "damaged"
    return [one.shot, str(one.number), *[""] * 6, state, ""]


def as_objects(listed: list[Correction | DamagedCorrection]) -> dict[str, Any]:
    """Those that can be read, and those that cannot."""
    return {
        "corrections": [
            _as_object(one) for one in listed if not isinstance(one, DamagedCorrection)
        ],
        "damaged": [
            {
                "shot": one.shot,
                "number": one.number,
                "message": one.fault.message,
                "remedy": one.fault.remedy,
                "removed": one.removed,
            }
            for one in listed
            if isinstance(one, DamagedCorrection)
        ],
    }


def _as_object(one: Correction) -> dict[str, Any]:
    facts = one.facts
    return {
        "shot": one.shot,
        "number": one.number,
        "frames": len(one.frames),
        "ranges": [list(pair) for pair in one.ranges],
        "by": facts["by"],
        "date": facts["made"]["date"],
        "note": facts["note"],
        "blend": one.blend,
        "model": facts["solve"]["model"],
        "rmse_mm": facts["rmse_mm"],
        "worst_mm": facts["worst_mm"],
        "removed": one.removed,
    }
