"""Stabilise: what holds the targets of each shot still, shown in mm before it is applied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from farm.bar import bar
from farm.context import ProductionOption, find_and_load
from farm.option_groups import JsonOption, OneActorOption

if TYPE_CHECKING:
    from facecap_core.errors import Fault
    from facecap_core.learning.target_stabilisation import ShotStabilisation
    from facecap_core.productions.production import Production, Shot

SCHEMA_VERSION = 1


class Row(NamedTuple):
    """A shot of the table: what would be done to it, and how far it is from the others."""

    shot: Shot
    result: ShotStabilisation
    apart_mm: float


def stabilise(
    actor: OneActorOption = None,
    shots: Annotated[
        Path | None,
        typer.Option(
            "--shots",
            metavar="LIST",
            help="Only these: a file with a shot's name or glob (ada_rom_*) a line; # comments.",
            show_default=False,
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the stabilised targets beside the originals.")
    ] = False,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far the targets of each tracked shot are from holding still, and mend it with --apply.

    For targets whose head stabilisation differs from shot to shot. One affine transform a shot brings
    the half of its frames that are most like the template nearest to it (Appendix A.2 of the paper).
    Without --apply nothing is written. Targets that are stable already only get worse. Training takes
    the stabilised ones with --set targets=stabilised.

    Examples:

    farm stabilise --actor ada

    farm stabilise --shots first-day.txt --json

    farm stabilise --actor ada --apply
    """
    found = find_and_load(production)
    found.paths.check_arrays()
    chosen = _choose(found, actor, shots)
    rows = _stabilised(found, chosen, apply=apply)
    if as_json:
        typer.echo(json.dumps(_json(found, rows, applied=apply)))
        return
    _print_table(rows)
    for line in _conclusions(found, rows, applied=apply):
        typer.echo(line)


def _choose(production: Production, actor: str | None, listed: Path | None) -> list[Shot]:
    """The listed shots, else the actor's tracked ones; every one of them is ingested."""
    from facecap_core.errors import Fault, ProductionError
    from facecap_core.productions.shot_list import read_shot_list

    if actor is not None:
        production.check_actor(actor)
    if listed is not None:
        chosen = [
            production.shots[name] for name in read_shot_list(listed, production, actor=actor)
        ]
    else:
        name = production.actor_named(actor)
        chosen = [shot for shot in production.shots_of(name) if shot.split]
    if not chosen:
        message = "no shot to stabilise"
        remedy = "give shots a cache and a split, or name some with --shots"
        raise ProductionError([Fault(message, remedy, str(production.shots_path))])
    faults = [fault for shot in chosen if (fault := _fault(production, shot)) is not None]
    if faults:
        raise ProductionError(faults)
    return chosen


def _fault(production: Production, shot: Shot) -> Fault | None:
    """Why the shot has no targets to look at."""
    from facecap_core.errors import Fault, StoreError
    from facecap_core.stores.groups import open_targets

    place = str(production.shots_path)
    if shot.cache is None:
        remedy = "leave it out, or name its point cache"
        return Fault(f"shot {shot.name} has no targets", remedy, place, shot.line)
    try:
        open_targets(production.paths.targets(shot.name))
    except StoreError as error:
        if error.transient:
            raise
        remedy = f"farm submit ingest --actor {shot.actor} --wait"
        return Fault(f"shot {shot.name} is not ingested", remedy, place, shot.line)
    return None


def _stabilised(production: Production, shots: list[Shot], *, apply: bool) -> list[Row]:
    from facecap_core.learning.target_stabilisation import apart_mm, stabilise, write_stabilised
    from facecap_core.progress import Progress
    from facecap_core.template import read_template

    mm_per_unit = production.mm_per_unit
    found: dict[str, list[tuple[Shot, ShotStabilisation]]] = {shot.actor: [] for shot in shots}
    templates = {name: read_template(production.actors[name].template) for name in found}
    with bar() as on_progress:
        for number, shot in enumerate(shots, 1):
            template, targets = templates[shot.actor], production.paths.targets(shot.name)
            result = stabilise(targets, template, mm_per_unit=mm_per_unit)
            if apply:
                destination = production.paths.targets(shot.name, stabilised=True)
                write_stabilised(targets, destination, template, result)
            found[shot.actor].append((shot, result))
            on_progress(Progress("stabilise", number, len(shots), "shots"))
    rows = []
    for actor, pairs in found.items():
        results = [result for _, result in pairs]
        apart = apart_mm(results, templates[actor], mm_per_unit=mm_per_unit)
        rows += [Row(*pair, mm) for pair, mm in zip(pairs, apart, strict=True)]
    return rows


def _print_table(rows: list[Row]) -> None:
    from farm.tables import print_table

    figures = ["before mm", "after mm", "apart mm", "shift mm", "turn °", "scale", "shear"]
    cells = [
        [
            row.shot.name,
            f"{row.result.frames_used} of {row.result.frames}",
            f"{row.result.before_mm:.2f}",
            f"{row.result.after_mm:.2f}",
            f"{row.apart_mm:.2f}",
            f"{row.result.translation_mm:.2f}",
            f"{row.result.rotation_degrees:.2f}",
            f"{row.result.scale:.4f}",
            f"{row.result.shear:.4f}",
        ]
        for row in rows
    ]
    print_table(["shot", "frames used", *figures], cells, right=["frames used", *figures])
    typer.echo(
        "before, after: mean distance to the template over the frames used; apart: how far the shot"
        " stands from the others"
    )


def _conclusions(production: Production, rows: list[Row], *, applied: bool) -> list[str]:
    from facecap_core.learning.target_stabilisation import STABLE_MM

    lines = []
    for actor in sorted({row.shot.actor for row in rows}):
        apart = [row.apart_mm for row in rows if row.shot.actor == actor]
        mean = sum(apart) / len(apart)
        lines.append(f"{actor}: {len(apart)} shots, {mean:.2f} mm apart")
        if mean < STABLE_MM:
            lines.append(
                f"warning: below {STABLE_MM:g} mm that is no sign of instability, but of what the face"
                " does; stabilising what is stable can only make it worse (Appendix A.3)"
            )
    if not applied:
        return [*lines, "nothing is written: --apply writes the stabilised targets"]
    lines.append(f"{len(rows)} shots are written; the originals stay")
    for actor in sorted({row.shot.actor for row in rows}):
        tracked = [shot.name for shot in production.shots_of(actor) if shot.split]
        stores = [production.paths.targets(name, stabilised=True) for name in tracked]
        lacking = sum(not store.exists() for store in stores)
        if lacking:
            lines.append(
                f"training needs all tracked shots: of {actor} {lacking} are not stabilised"
            )
        lines.append(f"train with them: farm submit train --actor {actor} --set targets=stabilised")
    return lines


def _json(production: Production, rows: list[Row], *, applied: bool) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema_version": SCHEMA_VERSION,
        "applied": applied,
        "shots": [
            {
                "shot": row.shot.name,
                "actor": row.shot.actor,
                **asdict(row.result),
                "apart_mm": row.apart_mm,
                "written": str(production.paths.targets(row.shot.name, stabilised=True))
                if applied
                else None,
            }
            for row in rows
        ],
    }
