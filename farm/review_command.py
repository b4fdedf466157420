"""Review: solved shots as videos, contact sheets or in the browser, what the camera saw beside what was solved."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.context import ProductionOption, find_and_load
from farm.exit_codes import JOB_FAILED
from farm.option_groups import (
    AllOfActorOption,
    JsonOption,
    Reviewing,
    ShotListOption,
    SolvedShotsArgument,
    grouped,
)

if TYPE_CHECKING:
    from facecap_core.reviews.review import ReviewResult

SCHEMA_VERSION = 1


@grouped()
def review(
    shots: SolvedShotsArgument = None,
    listed: ShotListOption = None,
    actor: AllOfActorOption = None,
    *,
    reviewing: Reviewing,
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
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a video of each solved shot and a contact sheet of its best, median and worst frames.

    Or show them in the browser (--open).

    SHOT.mp4 is H.264 of 1280x720 pixels at the production's rate: the crop, the result and how far it is from its
    target where there is one, with frame number, timecode and a time line of error (else motion), confidence and
    flagged ranges. SHOT.png is the sheet. With --camera left, where that is not the first that the shot was solved
    from, they are SHOT+left.mp4 and SHOT+left.png. What is there and of the same vertices is not made again. For
    hundreds of shots: farm submit review.

    Examples:

    farm review ada_line_0042 --open

    farm review ada_line_0042 --save ada_line_0042.html

    farm review --actor ada --out /mnt/dailies

    farm review ada_line_0042 --camera left

    farm review 'ada_*' --against 'truth/{shot}.pc2' --sheet
    """
    from facecap_core.evaluation.solved import truth_of
    from facecap_core.progress import OnProgress
    from facecap_core.reviews.measures import Measures, measure
    from facecap_core.reviews.review import flags_of, review_shot
    from facecap_core.reviews.reviewed_shot import ReviewedShot, open_reviewed
    from farm.each_shot import each_shot
    from farm.output_choice import file_of, folder_of, review_options, warn_of_footage
    from farm.review_viewer import save_page, show
    from farm.shot_choice import solved_shots

    found = find_and_load(production)
    names = solved_shots(found, shots or [], listed, actor)
    options = review_options(found, names, reviewing)

    def source(name: str, on_progress: OnProgress | None) -> tuple[ReviewedShot, Measures]:
        truth = truth_of(options.against, name) if options.against else None
        shot = open_reviewed(found, name, truth, corrected=options.corrected, camera=options.camera)
        warn_of_footage(found, name)
        return shot, measure(shot, flags_of(found, shot, on_progress), on_progress)

    if save is not None and len(names) > 1:
        raise typer.BadParameter(f"one shot a file, not {len(names)}", param_hint="--save")
    if save is not None:
        return save_page(source, names[0], file_of(save, "--save"), as_json=as_json)
    if opened:
        return show(source, names, port=port, browser=browser, as_json=as_json)
    folder = folder_of(found, reviewing.out, "reviews")

    def work(name: str, on_progress: OnProgress | None) -> ReviewResult:
        threads = cpus or os.cpu_count() or 1
        return review_shot(found, name, folder, options, threads=threads, on_progress=on_progress)

    def tell(result: ReviewResult, seconds: float) -> None:
        if not as_json:
            typer.echo(_sentence(result, seconds))

    done = each_shot(found, names, work, tell)
    if as_json:
        told = {
            "schema_version": SCHEMA_VERSION,
            "folder": str(folder),
            "shots": [
                {
                    "shot": name,
                    "frames": result.frames,
                    "rmse_mm": result.rmse_mm,
                    "video": _path(result, ".mp4"),
                    "sheet": _path(result, ".png"),
                    "reused": result.reused,
                }
                for name, result in done.made.items()
            ],
            "failed": done.failed,
            "warnings": done.warnings,
        }
        typer.echo(json.dumps(told))
    if done.failed:
        raise typer.Exit(JOB_FAILED)
    return None


def _path(result: ReviewResult, suffix: str) -> str | None:
    return next((str(file) for file in result.files if file.suffix == suffix), None)


def _sentence(result: ReviewResult, seconds: float) -> str:
    rmse = "" if result.rmse_mm is None else f", RMSE {result.rmse_mm:.3f} mm"
    how = "there already" if result.reused else f"in {seconds:.1f} s"
    files = ", ".join(str(file) for file in result.files)
    return f"{result.shot}: {result.frames} frames {how}{rmse}, {files}"
