"""Flag: the frames of solved shots that are worth an artist's hour, the worst first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facecap_core.reports.wording import count
from farm.context import ProductionOption, find_and_load
from farm.exit_codes import JOB_FAILED
from farm.option_groups import (
    AllOfActorOption,
    CsvOption,
    JsonOption,
    ShotListOption,
    SolvedShotsArgument,
)

if TYPE_CHECKING:
    from facecap_core.flags.actor_flags import FlaggedShots

SCHEMA_VERSION = 1


def flag(
    shots: SolvedShotsArgument = None,
    listed: ShotListOption = None,
    actor: AllOfActorOption = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Only the N worst ranges.", metavar="N", show_default=False),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=100_000,
            help="Only the worst that are together so many minutes of footage.",
            show_default=False,
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(min=0.01, max=1, help="Flag what is below: 0.5 is twice the usual error."),
    ] = 0.5,
    novelty: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Flag what is so many times as far from training as 95 % of the validation frames.",
        ),
    ] = 2.0,
    jump_mm: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="Flag an acceleration, in mm a frame², that neither the frames about it nor the training"
            " targets have.",
        ),
    ] = 1.0,
    crossing_mm: Annotated[
        float,
        typer.Option(
            min=0.01, help="Flag lips or lids that pass each other by more than in training."
        ),
    ] = 0.5,
    csv: CsvOption = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the ranges of frames to look at, the worst first, each with its reason and the figure.

    Low confidence; a jump (a frame out of line, or a sudden other pose: a blink is none); pictures unlike those of training;
    lips or lids that cross. Severity is how many times the limit the worst frame is. What the actor's own
    training targets do is let pass.

    Examples:

    farm flag --actor ada

    farm flag 'ada_line_*' --minutes 5 --csv monday.csv

    farm flag ada_line_0042 --jump-mm 0.5 --confidence 0.7
    """
    from facecap_core.flags.actor_flags import flag_shots
    from facecap_core.flags.flagged_range import ranked
    from facecap_core.flags.range_rows import range_row, write_csv
    from facecap_core.flags.shot_flags import Limits
    from facecap_core.frame_names import frame_names
    from farm.bar import bar
    from farm.output_choice import file_of
    from farm.shot_choice import solved_shots

    if csv is not None:
        file_of(csv, "--csv")
    found = find_and_load(production)
    names = solved_shots(found, shots or [], listed, actor)
    limits = Limits(confidence, novelty, jump_mm, crossing_mm)
    with bar() as on_progress:
        flagged = flag_shots(found, names, limits, on_progress)
    if flagged.failed and not flagged.frames:
        raise next(iter(flagged.failed.values()))
    frames = None if minutes is None else round(minutes * 60 * found.fps)
    rows = [
        {
            **range_row(rank, each.shot, each.first, each.last, frame_names(found, each.shot)),
            "reason": each.reason,
            "severity": round(each.severity, 3),
            "detail": each.detail,
        }
        for rank, each in enumerate(ranked(flagged.ranges, top=top, frames=frames), 1)
    ]
    if csv is not None:
        write_csv(csv, rows, ["reason", "severity", "detail"])
        typer.echo(f"{csv}: {len(rows)} ranges", err=True)
    if as_json:
        typer.echo(json.dumps(_told(flagged, rows)))
    else:
        _print(flagged, rows)
    for name, error in flagged.failed.items():
        typer.echo(f"{name}: {error}", err=True)
    if flagged.failed:
        raise typer.Exit(JOB_FAILED)


def _told(flagged: FlaggedShots, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "shots": len(flagged.frames),
        "frames": sum(flagged.frames.values()),
        "found": len(flagged.ranges),
        "ranges": rows,
        "not_judged": flagged.not_judged,
        "failed": {name: str(error) for name, error in flagged.failed.items()},
    }


def _print(flagged: FlaggedShots, rows: list[dict[str, Any]]) -> None:
    from farm.tables import print_table

    if rows:
        columns = ["", "shot", "frames", "timecode", "reason", "severity", "why"]
        print_table(
            columns,
            [
                [
                    str(row["rank"]),
                    row["shot"],
                    f"{row['first']}-{row['last']}",
                    row["timecode_in"],
                    row["reason"],
                    f"{row['severity']:.1f}",
                    row["detail"],
                ]
                for row in rows
            ],
            right=["", "severity"],
            spare=["severity", "timecode", "why"],
            prose=["why"],
        )
    listed = "" if len(rows) == len(flagged.ranges) else f"{len(rows)} of "
    typer.echo(
        f"{listed}{count(len(flagged.ranges), 'range')} in {count(len(flagged.frames), 'shot')} of"
        f" {count(sum(flagged.frames.values()), 'frame')}"
    )
    for reason, names in flagged.not_judged.items():
        some = names[0] if len(names) == 1 else f"{len(names)} shots"
        typer.echo(
            f"{reason}: not judged in {some}, whose vertices come without the figure;"
            " farm calibrate gives it to the model: then solve again"
        )
