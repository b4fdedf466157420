"""Compare: the shots that another model changes, so that only these need to be looked at again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farm.completion import complete_model, complete_shot
from farm.context import ProductionOption, find_and_load
from farm.exit_codes import JOB_FAILED
from farm.option_groups import CsvOption, JsonOption, OfActorOption, ShotListOption

if TYPE_CHECKING:
    from facecap_core.changes.shot_change import ShotChange

SCHEMA_VERSION = 1
SHOWN_RANGES = 4


def compare(
    model_a: Annotated[
        str,
        typer.Argument(
            metavar="MODEL_A",
            help="The one that solved the shots; the beginning of its name will do.",
            autocompletion=complete_model,
        ),
    ],
    model_b: Annotated[
        str,
        typer.Argument(metavar="MODEL_B", help="The other one.", autocompletion=complete_model),
    ],
    shots: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SHOT",
            help="Shots, or globs of their names; else all of the actor that are solved.",
            show_default=False,
            autocompletion=complete_shot,
        ),
    ] = None,
    listed: ShotListOption = None,
    actor: OfActorOption = None,
    threshold_mm: Annotated[
        float,
        typer.Option(
            "--threshold-mm",
            min=0,
            help="List what changes by more: RMSE of a frame over the animated vertices.",
        ),
    ] = 0.3,
    every: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help="Compare every K-th frame; what lasts for fewer may be missed. 1 compares all.",
            metavar="K",
        ),
    ] = 4,
    csv: CsvOption = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the shots that a new model changes, and where, the worst first: only these need review again.

    What one of the models has solved is read from the store, which holds one solve a shot; for the other
    the shot is solved in memory, every K-th frame, and nothing is kept: about the time of decoding it. So
    it can be told before anything is solved anew. Frames that artists corrected are theirs with any model
    and are left out. Ranges with less than half a second between them are one.

    Examples:

    farm compare cpu-1f3a9c20 cpu_tuned-5b2e8d01

    farm compare cpu-1f cpu_tuned 'ada_line_*' --threshold-mm 0.5 --every 1

    farm compare cpu-1f cpu_tuned --shots bulk.txt --csv changed.csv
    """
    from facecap_core.changes.model_results import open_compared
    from facecap_core.changes.shot_change import compare_models
    from facecap_core.flags.range_rows import write_csv
    from farm.bar import bar
    from farm.model_choice import choose_of_any
    from farm.output_choice import file_of
    from farm.shot_choice import solved_shots

    if csv is not None:
        file_of(csv, "--csv")
    found = find_and_load(production)
    old = choose_of_any(found, actor, model_a)
    new = choose_of_any(found, old.actor, model_b)
    chosen = solved_shots(found, shots or [], listed, old.actor)
    with bar() as on_progress:
        changes, failed = compare_models(
            open_compared(found, old.actor, old.model),
            open_compared(found, old.actor, new.model),
            chosen,
            every=every,
            on_progress=on_progress,
        )
    for shot, reason in failed.items():
        typer.echo(f"{shot}: {reason}", err=True)
    if csv is not None:
        write_csv(csv, _rows(changes, threshold_mm), ["worst_mm"])
    if as_json:
        told = {
            "schema_version": SCHEMA_VERSION,
            "model_a": old.model,
            "model_b": new.model,
            "threshold_mm": threshold_mm,
            "every": every,
            "shots": [_as_json(change, threshold_mm) for change in changes],
            "failed": failed,
        }
        typer.echo(json.dumps(told))
    else:
        _print(changes, threshold_mm, csv)
    if failed:
        raise typer.Exit(JOB_FAILED)


def _print(changes: list[ShotChange], threshold_mm: float, csv: Path | None) -> None:
    from farm.tables import print_table

    changed = [change for change in changes if change.changed_frames(threshold_mm)]
    if changed:
        print_table(
            ["shot", "frames", "changed", "worst mm", "at frame", "rmse mm", "where"],
            [
                [
                    change.shot,
                    str(change.frames),
                    str(change.changed_frames(threshold_mm)),
                    f"{change.worst_mm:.3f}",
                    str(change.names.number(change.worst_frame)),
                    f"{change.pooled_mm:.3f}",
                    _where(change, threshold_mm),
                ]
                for change in changed
            ],
            right=["frames", "changed", "worst mm", "at frame", "rmse mm"],
            spare=["rmse mm", "frames", "at frame"],
            prose=["where"],
        )
    few, all_frames = (
        sum(c.changed_frames(threshold_mm) for c in changed),
        sum(c.frames for c in changes),
    )
    typer.echo(
        f"{len(changed)} of {len(changes)} shots, {few} of {all_frames} frames, change by more than"
        f" {threshold_mm:g} mm"
    )
    anew = Counter(model for change in changes for model in change.solved_anew)
    for model, count in anew.items():
        every = changes[0].every
        which = "every frame" if every == 1 else f"one frame of {every}"
        typer.echo(f"{model} was solved for it in {count} shots, {which}", err=True)
    if csv is not None:
        typer.echo(str(csv))


def _where(change: ShotChange, threshold_mm: float) -> str:
    """The worst ranges, in their order in the shot."""
    ranges = change.ranges(threshold_mm)
    worst = sorted(sorted(ranges, key=lambda found: -found[2])[:SHOWN_RANGES])
    number = change.names.number
    shown = ", ".join(f"{number(first)}-{number(last)}" for first, last, _ in worst)
    more = len(ranges) - len(worst)
    return shown + (f" and {more} more" if more else "")


def _rows(changes: list[ShotChange], threshold_mm: float) -> list[dict[str, Any]]:
    """A row a range, the worst first."""
    from facecap_core.flags.range_rows import range_row

    every = [
        (worst, change, first, last)
        for change in changes
        for first, last, worst in change.ranges(threshold_mm)
    ]
    every.sort(key=lambda found: (-found[0], found[1].shot, found[2]))
    return [
        {**range_row(rank, change.shot, first, last, change.names), "worst_mm": round(worst, 4)}
        for rank, (worst, change, first, last) in enumerate(every, start=1)
    ]


def _as_json(change: ShotChange, threshold_mm: float) -> dict[str, Any]:
    return {
        "shot": change.shot,
        "frames": change.frames,
        "changed_frames": change.changed_frames(threshold_mm),
        "corrected_frames": int(change.corrected.sum()),
        "worst_mm": change.worst_mm,
        "worst_frame": change.names.number(change.worst_frame),
        "rmse_mm": change.pooled_mm if change.pooled_mm == change.pooled_mm else None,
        "solved_anew": list(change.solved_anew),
        "ranges": [
            {
                "first": change.names.number(first),
                "last": change.names.number(last),
                "worst_mm": worst,
            }
            for first, last, worst in change.ranges(threshold_mm)
        ],
    }
