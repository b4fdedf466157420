"""Calibrate: what a model's errors on validation shots say about those on other footage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from farm.bar import bar
from farm.context import ProductionOption, find_and_load
from farm.option_groups import DeviceOption, JsonOption, ModelArgument, OfActorOption

SCHEMA_VERSION = 1


def calibrate(
    model: ModelArgument = None,
    actor: OfActorOption = None,
    device: DeviceOption = None,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a trained model say how far each frame that it solves can be trusted.

    Training ends with this, so it is for models of earlier versions, after more shots became of split
    validation, and where farm verify finds the calibration damaged. Takes the ingested validation shots that the
    model was not trained on, and writes into the model's folder; the network stays as it is. Shots solved before
    are solved again by the next farm submit infer.

    Examples:

    farm calibrate

    farm calibrate paper-5b2e8d01 --actor ada --json
    """
    from facecap_core.evaluation.actor_calibration import calibrate_actor
    from facecap_core.evaluation.subject import open_subject
    from farm.model_choice import choose_of_any
    from farm.tables import number, print_table

    found = find_and_load(production)
    chosen = choose_of_any(found, actor, model)
    subject = open_subject(found, chosen.actor, chosen.model, device, calibrated=False)
    with bar() as on_progress:
        folder = found.paths.model(chosen.actor, chosen.model)
        facts: dict[str, Any] = calibrate_actor(subject, folder, on_progress).facts()
    if as_json:
        told = {"actor": chosen.actor, "model": chosen.model, "calibration": facts}
        typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, **told}))
        return
    left_out = facts["shots_left_out"] or {}
    figures = ["frames", "usual mm", "worst tenth found", "rank correlation"]
    print_table(
        ["model", "actor", *figures],
        [
            [
                chosen.model,
                chosen.actor,
                str(facts["validation"]["frames"]),
                number(facts["usual_mm"], ".3f"),
                number(left_out.get("auroc_of_worst_tenth"), ".3f"),
                number(left_out.get("spearman"), ".3f"),
            ]
        ],
        right=figures,
    )
    typer.echo(what_it_means(facts))
    typer.echo(f"solve with it: farm submit infer --actor {chosen.actor} --model {chosen.model}")


def what_it_means(facts: Mapping[str, Any]) -> str:
    """The figures in words; of one validation shot why there are none."""
    if facts["shots_left_out"] is not None:
        return (
            "worst tenth found: the chance that one of the worst tenth of these frames is trusted less than another;"
            " each shot foretold by the others"
        )
    (only,) = facts["validation"]["shots"]
    return (
        f"worst tenth found, rank correlation: not known of {only} alone, for each validation shot is foretold by the"
        " others; give another tracked shot split validation, and farm calibrate again"
    )
