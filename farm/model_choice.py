"""Model choice: the model that a command means by what was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.models import ModelSummary


def choose_of_any(production: Production, actor: str | None, model: str | None) -> ModelSummary:
    """The named model of the named actor; of any actor, and the newest, where they are not named.

    That it is the newest, which nobody named, is told on stderr.

    Raises:
        ProductionError: there is no such actor. ModelError: there is no such model, or several begin with this name.
    """
    from facecap_core.errors import ModelError
    from facecap_core.names import did_you_mean
    from jobs.models import choose_model, list_models

    if actor is not None:
        production.check_actor(actor)
        chosen = choose_model(production.store, actor, model)
        if model is None:
            say_defaults(production, {actor: chosen.model})
        return chosen
    models = list_models(production.store, production.actors)
    matching = [m for m in models if model is None or m.model.startswith(model)]
    if not matching:
        if model is None:
            first = next(iter(production.actors), "ACTOR")
            raise ModelError("there is no model yet", remedy=f"farm submit train --actor {first}")
        raise ModelError(
            f"there is no model {model!r}", remedy=did_you_mean(model, [m.model for m in models])
        )
    # A name that several actors have, or the beginning of several, needs the actor or the rest.
    exact = [m for m in matching if m.model == model] or matching
    if model is not None and len(exact) > 1:
        listed = ", ".join(f"{m.model} of {m.actor}" for m in exact[:6])
        raise ModelError(
            f"{model!r} could be {listed}", remedy="name it whole, and its actor: --actor"
        )
    if model is None:
        say_defaults(production, {exact[0].actor: exact[0].model})
    return exact[0]


def say_defaults(production: Production, models: Mapping[str, str]) -> None:
    """Which model is taken of each actor since it is the newest, on stderr; others are passed over."""
    from jobs.models import list_models

    for actor, model in models.items():
        listed = list_models(production.store, [actor])
        if not listed or listed[0].model != model:
            continue
        typer.echo(f"{model} of {actor}: the newest, and so the default", err=True)
        if told := worse_than_base(listed[0], listed):
            typer.echo(f"warning: {told}", err=True)


def worse_than_base(model: ModelSummary, models: Sequence[ModelSummary]) -> str:
    """What is to be said of a default that lost by fine-tuning; empty where it did not."""
    from jobs.models import better_base

    base = better_base(model, models)
    if base is None:
        return ""
    return (
        f"{model.model} has a validation error of {model.validation_rmse_mm:.3f} mm, {base.model}, from which it was"
        f" tuned, {base.validation_rmse_mm:.3f}: name the model that you want"
    )


def choose_two(
    production: Production, actor: str | None, names: Sequence[str]
) -> tuple[ModelSummary, ModelSummary]:
    """Two models of one actor.

    Raises:
        ModelError: there is no such model, there are more, or they are one, or of two actors.
    """
    from facecap_core.errors import ModelError

    if len(names) > 2:
        raise ModelError(f"{len(names)} models are named", remedy="name one, or two to compare")
    first = choose_of_any(production, actor, names[0])
    second = choose_of_any(production, actor or first.actor, names[1])
    if first.model == second.model:
        raise ModelError(f"{first.model} is named twice", remedy="name two models to compare")
    return first, second
