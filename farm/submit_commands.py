"""Submit commands: footage into the store, or through a model; train, export, review have files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from farm.completion import complete_model
from farm.context import find_and_load
from farm.handing_in import earlier, hand_in
from farm.option_groups import Handing, OneActorOption, Running, grouped

app = typer.Typer(
    no_args_is_help=True, help="Submit a job: ingest, train, infer, export or review."
)

ShotsOption = Annotated[
    Path | None,
    typer.Option(
        "--shots",
        metavar="LIST",
        help="A file with a shot's name or glob (ada_rom_*) a line; # comments.",
        show_default=False,
    ),
]


@app.command()
@grouped("gpus")
def ingest(
    actor: OneActorOption = None,
    shots: ShotsOption = None,
    camera: Annotated[
        str | None, typer.Option(help="Only this camera; else all.", show_default=False)
    ] = None,
    *,
    running: Running,
    handing: Handing,
) -> None:
    """Decode footage and read point caches into the store.

    Training does so itself for what it needs; this is for doing it ahead, or for other cameras.

    Examples:

    farm submit ingest --actor ada --wait

    farm submit ingest --shots today.txt --dry-run
    """
    from facecap_core.productions.shot_list import read_shot_list
    from jobs.planning import plan_ingest

    found = find_and_load(handing.production)
    listed = read_shot_list(shots, found, actor=actor) if shots else None
    request = plan_ingest(found, actor=actor, shots=listed, camera=camera)
    hand_in(found, request, running, handing)


@app.command()
@grouped()
def infer(
    actor: OneActorOption = None,
    shots: ShotsOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model's id; else the actor's newest.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    *,
    running: Running,
    handing: Handing,
) -> None:
    """Solve shots: footage through the actor's model into the vertex store.

    Without --shots, all of the actor's bulk shots (split empty). One bad shot fails alone.
    --after a training that still runs: the shots are solved with the model that it makes.

    Examples:

    farm submit infer --actor ada --wait

    farm submit infer --shots bulk.txt --model cpu-1f3a9c20 --json

    farm submit infer --actor ada --after train-ada --hung-after 20
    """
    from facecap_core.productions.shot_list import read_shot_list
    from farm.model_choice import say_defaults
    from jobs.planning import plan_infer

    found = find_and_load(handing.production)
    listed = read_shot_list(shots, found, actor=actor) if shots else None
    after = earlier(found, handing.after)
    request = plan_infer(found, actor=actor, shots=listed, model=model, after=after)
    if model is None:
        say_defaults(found, request.models)
    hand_in(found, request, running, handing)
