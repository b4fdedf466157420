"""Evaluate: a model's figures on its validation shots, or of solved footage against a truth."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.context import ProductionOption, find_and_load
from farm.option_groups import DeviceOption, JsonOption, ModelArgument, OfActorOption, out_option

if TYPE_CHECKING:
    from facecap_core.evaluation.evaluation import Evaluation
    from facecap_core.evaluation.subject import EvaluatedShot, Subject
    from facecap_core.productions.production import Production


class Split(StrEnum):
    """Which shots."""

    VALIDATION = "validation"
    TRAIN = "train"
    BULK = "bulk"


def evaluate(
    model: ModelArgument = None,
    actor: OfActorOption = None,
    split: Annotated[
        Split | None,
        typer.Option(help="Else validation; with --vertices, bulk.", show_default=False),
    ] = None,
    shots: Annotated[
        Path | None,
        typer.Option(metavar="LIST", help="A shot list, in place of --split.", show_default=False),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these, for a model of several that was trained to do without some.",
            show_default=False,
        ),
    ] = None,
    vertices: Annotated[
        bool,
        typer.Option("--vertices", help="Take what was solved and stored; nothing is solved anew."),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="CACHES",
            help="Point caches to hold the result against: a folder, or truth/{shot}.pc2."
            " Else the shots' own.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        out_option("DIR", "Else reports/ACTOR-MODEL-SPLIT of the production."),
    ] = None,
    page: Annotated[bool, typer.Option(help="Write the report page too.")] = True,
    device: DeviceOption = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model: error by region and over time, stability, amplitude, lips and lids.

    Writes evaluation.json, frames.csv (a line a frame), shots.csv and report.html. Without --vertices the
    shots are solved anew, which needs their frames in the store. Bulk shots have no cache of their own:
    name one with --against.

    Examples:

    farm evaluate

    farm evaluate paper-5b2e8d01 --split train --no-page

    farm evaluate --camera center

    farm evaluate --vertices --against 'truth/{shot}.pc2'
    """
    from facecap_core.errors import ConfigError
    from facecap_core.evaluation import evaluation
    from facecap_core.evaluation.evaluation_files import evaluation_json, write_evaluation
    from facecap_core.reports.report import write_findings
    from farm.bar import bar
    from farm.output_choice import check_writable, folder_of

    if vertices and camera:
        raise ConfigError(
            "--vertices takes what was solved, with the cameras that each shot had",
            remedy="leave out --camera, or --vertices",
        )
    found = find_and_load(production)
    name = "chosen" if shots else (split or (Split.BULK if vertices else Split.VALIDATION)).value
    listed = _listed(found, shots, actor) if shots else None
    subject = _subject(found, model, actor, listed, name, vertices, device, camera or [])
    names = listed or subject.names(name)
    evaluated = [_shot(subject, shot, vertices, against) for shot in names]
    parts = [
        subject.actor,
        subject.model.facts["model"],
        name,
        *(subject.cameras if camera else ()),
    ]
    folder = folder_of(found, out, f"reports/{'-'.join(parts)}")
    check_writable(folder, "name another folder: --out")
    with bar() as on_progress:
        mean = evaluation.mean_of_training(subject, on_progress)
        measured = evaluation.evaluate(subject, evaluated, mean_shape=mean, on_progress=on_progress)
        write_evaluation(folder, subject, measured, split=name)
        if page:
            write_findings(
                subject,
                evaluated,
                measured,
                folder / "report.html",
                split=name,
                on_progress=on_progress,
            )
    if as_json:
        typer.echo(
            json.dumps({**evaluation_json(subject, measured, split=name), "folder": str(folder)})
        )
        return
    typer.echo(f"{parts[1]} of {parts[0]}, {name} shots")
    _print(measured)
    typer.echo(str(folder))


def _listed(production: Production, shots: Path, actor: str | None) -> list[str]:
    from facecap_core.productions.shot_list import read_shot_list

    return read_shot_list(shots, production, actor=actor)


def _subject(
    production: Production,
    model: str | None,
    actor: str | None,
    listed: list[str] | None,
    split: str,
    vertices: bool,
    device: str | None,
    cameras: list[str],
) -> Subject:
    """The named model, else the one that solved the shots, else the newest."""
    from facecap_core.errors import ConfigError
    from facecap_core.evaluation.solved import solved_by
    from facecap_core.evaluation.subject import open_subject
    from farm.model_choice import choose_of_any

    actors = {production.shots[shot].actor for shot in listed or ()}
    if len(actors) > 1:
        raise ConfigError(
            f"the list has shots of {', '.join(sorted(actors))}", remedy="list those of one actor"
        )
    actor = actor or next(iter(actors), None)
    if vertices and model is None:
        actor = production.actor_named(actor)
        bulk = [shot.name for shot in production.shots_of(actor, split=_column(split))]
        return open_subject(
            production, actor, solved_by(production, actor, listed or bulk), device, cameras
        )
    chosen = choose_of_any(production, actor, model)
    return open_subject(production, chosen.actor, chosen.model, device, cameras)


def _column(split: str) -> str:
    """As shots.csv has it."""
    return "" if split == Split.BULK else split


def _shot(subject: Subject, shot: str, vertices: bool, against: str | None) -> EvaluatedShot:
    """Where the shot's result and target come from."""
    from dataclasses import replace

    from facecap_core.errors import ConfigError
    from facecap_core.evaluation.solved import solved_shot, truth_of

    (evaluated,) = subject.shots([shot])
    if vertices:
        evaluated = solved_shot(subject, evaluated)
    if against is not None:
        return replace(evaluated, target=truth_of(against, shot), cached=True)
    if subject.production.shots[shot].cache is None:
        raise ConfigError(
            f"{shot} has no cache to be held against",
            remedy="name a folder of point caches with --against, or other shots",
        )
    return evaluated


def _print(measured: Evaluation) -> None:
    from facecap_core.evaluation.measure_rows import measure_rows
    from farm.tables import print_table

    def text(value: float) -> str:
        return f"{round(value, 3) + 0.0:.3f}" if value == value else ""

    mean = measure_rows(measured.mean_shape) if measured.mean_shape else []
    rows: list[list[str]] = []
    for place, row in enumerate(measure_rows(measured.all)):
        beside = [text(mean[place].value)] if mean else []
        rows.append([row.name, text(row.value), *beside, row.unit])
    columns = ["measure", "model", *(["mean shape"] if mean else []), "unit"]
    print_table(columns, rows, right=["model", "mean shape"])
    typer.echo("")
    regions = list(measured.all.regions_mm)
    shots = [*measured.by_shot.items()]
    if len(shots) > 1:
        shots.append(("all", measured.all))
    print_table(
        ["shot", "frames", "rmse mm", "95 %", "worst", "at frame", *regions],
        [
            [
                name,
                str(one.frames),
                text(one.rmse_mm),
                text(one.p95_mm),
                text(one.worst_mm),
                str(one.worst_frame),
                *map(text, one.regions_mm.values()),
            ]
            for name, one in shots
        ],
        right=["frames", "rmse mm", "95 %", "worst", "at frame", *regions],
        spare=["at frame", "95 %", "frames", "worst", *reversed(regions)],
    )
