"""Regions: which vertices of an actor's face are lips, lids, jaw or brows, to look at or to change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from farm.context import ProductionOption, find_and_load
from farm.option_groups import JsonOption, OneActorOption

SCHEMA_VERSION = 1


def regions(
    actor: OneActorOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE.json", help="Write them to edit.", show_default=False
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Draw the face in their colours.", show_default=False
        ),
    ] = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the regions of an actor's face by which errors are told apart and weighted.

    They come from the file that production.toml names (regions = "actors/NAME/regions.json"), else from the
    template: its openings at eyes and mouth. What is nowhere else is `rest`. Pairs of vertices opposite
    each other measure how far lips and lids are apart.

    Examples:

    farm regions --actor ada --picture regions.png

    farm regions --actor ada --out actors/ada/regions.json
    """
    from facecap_core.files import write_text_atomically
    from facecap_core.regions import actor_regions, regions_json
    from facecap_core.template import read_template
    from farm.output_choice import file_of
    from farm.tables import print_table

    for option, path in (("--out", out), ("--picture", picture)):
        if path is not None:
            file_of(path, option)
    found = find_and_load(production)
    actor = found.actor_named(actor)
    settings = found.actors[actor]
    template = read_template(settings.template)
    these = actor_regions(settings, template)
    if out is not None:
        write_text_atomically(out.absolute(), regions_json(these))
    if picture is not None:
        from facecap_core.reports.region_picture import region_picture, write_png

        write_png(picture.absolute(), region_picture(template, these))
    if as_json:
        told = {
            "schema_version": SCHEMA_VERSION,
            "actor": actor,
            "origin": these.origin,
            "vertices": {name: len(group) for name, group in these.groups.items()},
            "lip_pairs": len(these.lip_pairs),
            "lid_pairs": len(these.lid_pairs),
        }
        typer.echo(json.dumps(told))
        return
    total = template.vertex_count
    print_table(
        ["region", "vertices", "part"],
        [
            [name, str(len(group)), f"{len(group) / total:.0%}"]
            for name, group in these.groups.items()
        ],
        right=["vertices", "part"],
    )
    typer.echo(
        f"{len(these.lip_pairs)} pairs across the mouth, {len(these.lid_pairs)} across the eyes"
    )
    typer.echo(these.origin)
    for path in filter(None, (out, picture)):
        typer.echo(str(path))
