"""Review: solved shots as videos or in the browser, what the camera saw beside what was solved."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from farm.context import ProductionOption, find_and_load
from farm.exit_codes import JOB_FAILED
from farm.option_groups import (
    AllOfActorOption,
    CorrectedOption,
    JsonOption,
    ShotListOption,
    SolvedShotsArgument,
)

SCHEMA_VERSION = 1


def review(
    shots: SolvedShotsArgument = None,
    listed: ShotListOption = None,
    actor: AllOfActorOption = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="CACHES",
            help="Point caches to hold the result against: a folder, or truth/{shot}.pc2."
            " Else the target of a tracked shot.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Else reviews/ of the production.",
            show_default=False,
        ),
    ] = None,
    cpus: Annotated[
        int | None, typer.Option(min=1, help="Processors; else all.", show_default=False)
    ] = None,
    opened: Annotated[
        bool,
        typer.Option(
            "--open",
            help="Write no video: show them in the browser, to be turned and played, with curves"
            " and flagged frames.",
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write no video, but what --open shows of one shot, as one HTML file.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Of --open, on the loopback address; 0: any free one."),
    ] = 0,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Open one, or only print the address."),
    ] = True,
    corrected: CorrectedOption = True,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a video of each solved shot: the crop, the result, and how far it is from its target where there is one.

    Or show them in the browser (--open).

    SHOT.mp4 is H.264 of 1280x720 pixels at the production's rate, with frame number and timecode; a curve shows
    the error of each frame, or how far the face moves where there is no target.

    Examples:

    farm review ada_line_0042 --open

    farm review ada_line_0042 --save ada_line_0042.html

    farm review --actor ada --out /mnt/dailies

    farm review 'ada_*' --against 'truth/{shot}.pc2'
    """
    from facecap_core.errors import Cancelled, FacecapError
    from facecap_core.evaluation.solved import truth_of
    from facecap_core.reviews.playblast import PlayblastResult, write_playblast
    from facecap_core.reviews.reviewed_shot import ReviewedShot, open_reviewed
    from farm.bar import bar
    from farm.review_viewer import ShotOpener, save_page, show
    from farm.shot_choice import solved_shots

    found = find_and_load(production)
    names = solved_shots(found, shots or [], listed, actor)

    def reviewed(name: str) -> ReviewedShot:
        truth = truth_of(against, name) if against else None
        return open_reviewed(found, name, truth, corrected=corrected)

    if save is not None and len(names) > 1:
        raise typer.BadParameter(f"one shot a file, not {len(names)}", param_hint="--save")
    opener = ShotOpener(found, reviewed)
    if save is not None:
        return save_page(names[0], opener, save.absolute(), as_json=as_json)
    if opened:
        return show(names, opener, port=port, browser=browser, as_json=as_json)
    folder = (out or found.folder / "reviews").absolute()
    made: dict[str, PlayblastResult] = {}
    failed: dict[str, str] = {}
    for name in names:
        began = time.monotonic()
        try:
            with bar() as on_progress:
                made[name] = write_playblast(
                    folder / f"{name}.mp4",
                    reviewed(name),
                    threads=cpus or os.cpu_count() or 1,
                    on_progress=on_progress,
                )
        except Cancelled:
            raise
        except FacecapError as error:
            if len(names) == 1:
                raise
            failed[name] = str(error)
            typer.echo(f"{name}: {error}", err=True)
            continue
        if not as_json:
            result = made[name]
            rmse = f", RMSE {result.rmse_mm:.3f} mm" if result.rmse_mm == result.rmse_mm else ""
            seconds = time.monotonic() - began
            typer.echo(f"{name}: {result.frames} frames in {seconds:.1f} s{rmse}, {result.path}")
    if as_json:
        told = {
            "schema_version": SCHEMA_VERSION,
            "folder": str(folder),
            "shots": [
                {
                    "shot": name,
                    "frames": result.frames,
                    "rmse_mm": result.rmse_mm if result.rmse_mm == result.rmse_mm else None,
                    "video": str(result.path),
                }
                for name, result in made.items()
            ],
            "failed": failed,
        }
        typer.echo(json.dumps(told))
    if failed:
        raise typer.Exit(JOB_FAILED)
    return None
