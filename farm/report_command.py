"""Report: one page of what a model can do, to look at and to hand around."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.completion import complete_actor, complete_model
from farm.context import ProductionOption, find_and_load
from farm.option_groups import JsonOption

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.models import ModelSummary

SCHEMA_VERSION = 1


def report(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A model, or the beginning of its name.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor",
            "-a",
            help="Whose model.",
            show_default=False,
            autocompletion=complete_actor,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Else reports/ACTOR-MODEL.html of the production.",
            show_default=False,
        ),
    ] = None,
    clip_seconds: Annotated[
        float,
        typer.Option(
            "--clip", metavar="SECONDS", min=0.1, max=60.0, help="Length of the moving face."
        ),
    ] = 4.0,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda, cuda:1, …; else a GPU where there is one.", show_default=False
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML page about a model: its error, where and when it errs, and a moving face.

    The newest model, unless one is named. Its validation shots are solved anew for it, which needs
    their frames and targets in the store; nothing else of the farm is started. The page is one file
    that needs no network, and prints.

    Examples:

    farm report

    farm report --actor ada --open

    farm report 20261122-1530-paper --out ada.html --clip 10
    """
    from facecap_core.reports.report import write_report
    from farm.bar import bar

    found = find_and_load(production)
    chosen = _choose(found, actor, model)
    page = out or found.folder / "reports" / f"{chosen.actor}-{chosen.model}.html"
    with bar() as on_progress:
        result = write_report(
            found,
            chosen.actor,
            chosen.model,
            page.absolute(),
            clip_seconds=clip_seconds,
            device=device,
            on_progress=on_progress,
        )
    if as_json:
        error, mean_shape = result.validation_rmse_mm, result.mean_shape_rmse_mm
        facts = {
            "schema_version": SCHEMA_VERSION,
            "actor": result.actor,
            "model": result.model,
            "report": str(result.path),
            "size_bytes": result.size_bytes,
            "validation_frames": result.frames,
            "validation_rmse_mm": error if error == error else None,
            "mean_shape_rmse_mm": mean_shape if mean_shape == mean_shape else None,
            "seconds": round(result.seconds, 2),
        }
        typer.echo(json.dumps(facts))
    else:
        if result.frames:
            typer.echo(
                f"{result.actor} {result.model}: validation RMSE {result.validation_rmse_mm:.3f} mm, "
                f"mean shape {result.mean_shape_rmse_mm:.3f} mm, over {result.frames} frames"
            )
        typer.echo(f"{result.path}  ({result.size_bytes / 1e6:.1f} MB)")
    if open_page:
        typer.launch(result.path.as_uri())


def _choose(production: Production, actor: str | None, model: str | None) -> ModelSummary:
    """The named model of the named actor; of any actor, and the newest, where they are not named."""
    from facecap_core.errors import Fault, ModelError, ProductionError
    from facecap_core.names import did_you_mean
    from jobs.models import choose_model, list_models

    if actor is not None and actor not in production.actors:
        remedy = did_you_mean(actor, production.actors)
        raise ProductionError([Fault(f"no actor is called {actor!r}", remedy)])
    if actor is not None:
        return choose_model(production.store, actor, model)
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
    return exact[0]
