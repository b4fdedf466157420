"""Suggest: which bulk footage to track next, so that the model gains most."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farm.context import ProductionOption, find_and_load
from farm.option_groups import CsvOption, JsonOption, OneActorOption

if TYPE_CHECKING:
    from facecap_core.suggestions.footage_poses import FootagePoses

SCHEMA_VERSION = 1


def suggest(
    actor: OneActorOption = None,
    minutes: Annotated[
        float,
        typer.Option(min=0.01, max=100_000, help="How much footage will be tracked, at most."),
    ] = 2.0,
    clip_seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=100_000,
            help="Length of a clip. A shorter shot is taken whole; clips that touch are told as one.",
        ),
    ] = 4.0,
    csv: CsvOption = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the clips of solved bulk footage that are worth tracking next, the best first.

    Each is chosen for what it takes off the error that all bulk footage is expected to have, given those before
    it: poses far from every tracked one, that come up often, where the model expects to be wrong.
    Deliver their caches as shots of split train, or as corrections (farm correct), and train again.

    Examples:

    farm suggest --actor ada

    farm suggest --actor ada --minutes 5 --clip-seconds 8 --csv to-track.csv
    """
    from facecap_core.flags.range_rows import range_row, write_csv
    from facecap_core.frame_names import frame_names
    from facecap_core.suggestions.footage_poses import read_poses
    from facecap_core.suggestions.suggestion import suggest as choose
    from farm.bar import bar
    from farm.output_choice import file_of

    if csv is not None:
        file_of(csv, "--csv")
    found = find_and_load(production)
    actor = found.actor_named(actor)
    began = time.monotonic()
    with bar() as on_progress:
        footage = read_poses(found, actor, on_progress)
        chosen = choose(
            footage,
            frames=round(minutes * 60 * found.fps),
            clip_frames=max(1, round(clip_seconds * found.fps)),
            on_progress=on_progress,
        )
    seconds = time.monotonic() - began
    rows = [
        {
            **range_row(rank, each.shot, each.first, each.last, frame_names(found, each.shot)),
            "worth_percent": round(100 * each.worth, 2),
            "farthest_mm": _figure(each.farthest_mm),
            "expected_rmse_mm": _figure(each.expected_rmse_mm),
        }
        for rank, each in enumerate(chosen, 1)
    ]
    if csv is not None:
        write_csv(csv, rows, ["worth_percent", "farthest_mm", "expected_rmse_mm"])
    if as_json:
        typer.echo(json.dumps(_told(footage, rows, actor)))
    else:
        _print(footage, rows, seconds, clip_seconds)


def _figure(value: float) -> float | None:
    """None for what is not known, or is endless because nothing is tracked yet."""
    return round(value, 3) if abs(value) < float("inf") else None


def _frames(footage: FootagePoses) -> int:
    return sum(shot.frames for shot in footage.shots)


def _told(footage: FootagePoses, rows: list[dict[str, Any]], actor: str) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "actor": actor,
        "shots": len(footage.shots),
        "frames": _frames(footage),
        "unsolved": footage.unsolved,
        "ranges": rows,
    }


def _print(
    footage: FootagePoses, rows: list[dict[str, Any]], seconds: float, clip_seconds: float
) -> None:
    from farm.tables import number, print_table

    columns = ["", "shot", "frames", "timecode", "seconds", "worth", "from tracked", "expected"]
    print_table(
        columns,
        [
            [
                str(row["rank"]),
                row["shot"],
                f"{row['first']}-{row['last']}",
                row["timecode_in"],
                f"{row['seconds']:.1f}",
                f"{row['worth_percent']:.1f} %",
                number(row["farthest_mm"], ".2f") and f"{row['farthest_mm']:.2f} mm",
                number(row["expected_rmse_mm"], ".2f") and f"{row['expected_rmse_mm']:.2f} mm",
            ]
            for row in rows
        ],
        right=["", "seconds", "worth", "from tracked", "expected"],
        spare=["seconds", "timecode", "from tracked", "expected"],
    )
    worth = sum(row["worth_percent"] for row in rows)
    frames = _frames(footage)
    typer.echo(
        f"{sum(row['seconds'] for row in rows):.0f} s of {len(footage.shots)} bulk shots; {worth:.0f} % of the"
        f" squared error that is expected of them ({frames} frames, {frames / seconds:.0f} a second)"
    )
    typer.echo(
        f"in clips of {clip_seconds:g} s (--clip-seconds); a shorter shot is taken whole, clips that touch are told"
        " as one"
    )
    if footage.unsolved:
        typer.echo(f"{len(footage.unsolved)} bulk shots are not solved yet: not considered")
    if not any(row["expected_rmse_mm"] is not None for row in rows):
        typer.echo("no expected errors in these stores: chosen by the poses alone")
