"""Correct: frames that an artist put right, taken in, listed and taken out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farm.completion import complete_shot
from farm.context import ProductionOption, find_and_load
from farm.correction_list import (
    as_objects,
    frames_in_words,
    list_corrections,
    places,
    print_corrections,
)
from farm.option_groups import JsonOption

if TYPE_CHECKING:
    from facecap_core.corrections.correction import Correction
    from facecap_core.corrections.delivery import Delivery
    from facecap_core.productions.production import Production

SCHEMA_VERSION = 1
JUMP_MM = 1.0  # at the end of a corrected range, that an eye may see


def correct(
    shot: Annotated[
        str | None,
        typer.Argument(metavar="SHOT", show_default=False, autocompletion=complete_shot),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="PC2, MDD, NPY, USD, Alembic, or OBJ files (face.%04d.obj, or a folder of them).",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST-LAST",
            help="The frames that are corrected, both included; the file has these alone, or the whole shot."
            " Else those in which a file of the whole shot differs from the shot as it is now.",
            show_default=False,
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Kept with it.", show_default=False)] = "",
    units: Annotated[
        str | None,
        typer.Option(
            help="mm, cm, dm, m, in or ft; else as the file says, or SHOT.json of the export beside it,"
            " else the production's.",
            show_default=False,
        ),
    ] = None,
    up_axis: Annotated[
        str | None, typer.Option(help="y or z; else likewise.", show_default=False)
    ] = None,
    start_frame: Annotated[
        int | None,
        typer.Option(
            help="What the shot's first frame is called in --frames and in the file; else likewise, else 0.",
            show_default=False,
        ),
    ] = None,
    blend: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Frames over which it fades out beyond both ends."),
    ] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Take what is absurdly far from the solve.")
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="What there is, of this shot or of all.")
    ] = False,
    remove: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Let correction N count no more; it is kept.", show_default=False
        ),
    ] = None,
    restore: Annotated[
        int | None,
        typer.Option(metavar="N", help="Let a removed one count again.", show_default=False),
    ] = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in frames of a solved shot that an artist put right.

    They are held against the solve (mesh, polygons, rate, units, distance in mm) and kept beside it with who
    sent them, when, and what they correct. From then on `farm export` and `farm review` show them, and
    `farm submit train` learns from them; `farm submit train --from MODEL` does so in a fraction of the time.
    Where several corrections have the same frame, the latest counts.

    Examples:

    farm correct ada_line_0042 fixed.abc --frames 120-180 --note "lips"

    farm correct ada_line_0042 new.usd --frames 1121-1181 --start-frame 1001

    farm correct ada_line_0042 fixed/ada_line_0042.pc2

    farm correct --list

    farm correct ada_line_0042 --remove 2
    """
    from facecap_core.corrections.correction import put_back, take_out
    from facecap_core.errors import ConfigError

    found = find_and_load(production)
    asked = [file is not None, listing, remove is not None, restore is not None]
    if sum(asked) != 1 or (shot is None and not listing):
        raise ConfigError(
            "say one thing: a shot and a file, a shot and --remove N or --restore N, or --list",
            remedy="farm correct SHOT FILE --frames FIRST-LAST, or farm correct SHOT --remove N",
        )
    added, unchanged, warnings = None, False, []
    shots = [shot] if shot is not None else list(found.shots)
    for name in shots:
        _check_shot(found, name)
    if file is not None:
        assert shot is not None
        reading = {"units": units, "up_axis": up_axis, "start_frame": start_frame}
        correction, delivery, unchanged = _take_in(
            found, shot, file, {**reading, "frames": _range(frames)}, note, blend, force
        )
        added, warnings = correction.number, _warnings(delivery, blend)
        for warning in warnings:
            typer.echo(f"warning: {warning}", err=True)
        if not as_json:
            _tell(correction, delivery, unchanged)
    for number, act in ((remove, take_out), (restore, put_back)):
        if number is not None:
            assert shot is not None
            _check_number(found, shot, number)
            act(found.paths, found.shots[shot].actor, shot, number)
    listed = [one for name in shots for one in list_corrections(found, name)]
    if as_json:
        whole = {"schema_version": SCHEMA_VERSION, "added": added, "unchanged": unchanged}
        typer.echo(json.dumps({**whole, "warnings": warnings, **as_objects(listed)}))
    elif file is None:
        print_corrections(listed)


def _take_in(
    production: Production,
    shot: str,
    file: Path,
    reading: dict[str, Any],
    note: str,
    blend: int,
    force: bool,
) -> tuple[Correction, Delivery, bool]:
    """The correction, what it was made of, and whether it was there already."""
    from facecap_core.corrections.correction import add_correction
    from facecap_core.corrections.delivery import Reading, read_delivery
    from facecap_core.solved_shot import open_solved
    from farm.bar import bar

    solved = open_solved(production, shot)
    with bar() as on_progress:
        delivery = read_delivery(
            production, solved, file, Reading(**reading), force=force, on_progress=on_progress
        )
        if solved.corrections is not None:
            before = solved.corrections.counting_whole(delivery.content, blend)
            if before is not None:
                return before, delivery, True
        added = add_correction(
            production.paths,
            solved.actor.name,
            shot,
            frames=delivery.frames,
            blocks=delivery.blocks(),
            facts={**delivery.facts(), "note": note, "blend": blend},
        )
        return added, delivery, False


def _check_shot(production: Production, shot: str) -> None:
    from facecap_core.errors import Fault, ProductionError
    from facecap_core.names import did_you_mean

    if shot not in production.shots:
        remedy = did_you_mean(shot, production.shots)
        raise ProductionError(
            [Fault(f"no shot is called {shot!r}", remedy, str(production.shots_path))]
        )


def _check_number(production: Production, shot: str, number: int) -> None:
    from facecap_core.corrections.correction import written_numbers
    from facecap_core.errors import ConfigError

    every = written_numbers(production.paths, production.shots[shot].actor, shot)
    if number not in every:
        numbers = ", ".join(map(str, every))
        raise ConfigError(
            f"{shot} has no correction {number}",
            remedy=f"it has {numbers}" if numbers else "it has none",
        )


def _range(text: str | None) -> tuple[int, int] | None:
    from facecap_core.errors import ConfigError

    if text is None:
        return None
    match = re.fullmatch(r"\s*(-?\d+)\s*(?:-\s*(-?\d+)\s*)?", text)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise ConfigError(
            f"--frames: {text!r} is no range of frames", remedy="write FIRST-LAST, such as 120-180"
        )
    return int(match[1]), int(match[2] or match[1])


def _warnings(delivery: Delivery, blend: int) -> list[str]:
    warnings = list(delivery.warnings)
    high = {end: mm for end, mm in delivery.jumps_mm.items() if mm > JUMP_MM}
    if high and not blend:
        end = max(high, key=lambda frame: high[frame])
        warnings.append(
            f"at frame {end + delivery.start_frame} it lies {high[end]:.1f} mm beside what was solved, where it"
            " begins or ends: --blend 4 fades it out over the frames beyond"
        )
    return warnings


def _tell(correction: Correction, delivery: Delivery, unchanged: bool) -> None:
    shown = ", ".join(
        frames_in_words(first + delivery.start_frame, last + delivery.start_frame)
        for first, last in correction.ranges[:8]
    )
    counted = f" ({places(correction)} counted from 0)" if delivery.start_frame else ""
    if unchanged:
        facts = correction.facts
        when = str(facts["made"]["date"])[:16].replace("T", " ")
        typer.echo(
            f"correction {correction.number} of {correction.shot} is there already, by {facts['by']} of {when}:"
            f" {len(correction.frames)} frames, {shown}{counted}; nothing was changed"
        )
        return
    axes = f"{delivery.axes.units}, {delivery.axes.up_axis} up"
    typer.echo(
        f"correction {correction.number} of {correction.shot}: {len(correction.frames)} frames, {shown}{counted};"
        f" {correction.facts['rmse_mm']:.2f} mm from what {correction.facts['solve']['model']} solved,"
        f" {correction.facts['worst_mm']:.2f} at most ({delivery.format}, {axes})"
    )
