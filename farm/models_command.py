"""Models: the table of trained models."""

from __future__ import annotations

import json

import typer

from farm.context import ProductionOption, find_and_load
from farm.option_groups import JsonOption, OnlyActorOption

SCHEMA_VERSION = 1


def models(
    actor: OnlyActorOption = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the trained models, the newest first.

    The newest of an actor is the default: what is taken by farm submit infer and others where no model is named.
    Errors are in mm over the validation shots; `mean shape` is that of never moving the face.

    Examples:

    farm models

    farm models --actor ada --json
    """
    from dataclasses import asdict

    from farm.model_choice import worse_than_base
    from farm.tables import number, print_table
    from jobs.models import list_models

    found = find_and_load(production)
    if actor is not None:
        found.check_actor(actor)
    listed = list_models(found.store, [actor] if actor else found.actors)
    defaults = list({model.actor: model for model in reversed(listed)}.values())
    if as_json:
        rows = [
            {**asdict(model), "camera": model.cameras[0], "default": model in defaults}
            for model in listed
        ]
        for row in rows:
            del row["validated_on"]  # for comparing two, not for reading
        typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, "models": rows}))
        return
    if not listed:
        typer.echo("no models yet: farm submit train --actor " + next(iter(found.actors), "ACTOR"))
        return
    columns = ["model", "actor", "default", "cameras", "validation mm", "mean shape mm", "frames"]
    print_table(
        [*columns, "trained in min", "device", "made"],
        [
            [
                model.model,
                model.actor,
                "yes" if model in defaults else "",
                ", ".join(model.cameras),
                number(model.validation_rmse_mm, ".3f"),
                number(model.mean_shape_rmse_mm, ".3f"),
                number(model.training_frames, "d"),
                number(model.seconds / 60 if model.seconds is not None else None, ".1f"),
                model.device,
                model.date[:16].replace("T", " "),
            ]
            for model in listed
        ],
        right=("validation mm", "mean shape mm", "frames", "trained in min"),
        spare=("device", "trained in min", "mean shape mm", "frames", "cameras", "made"),
    )
    for model in defaults:
        if told := worse_than_base(model, listed):
            typer.echo(told)
