"""Report: one page of what a model can do, or of what came of a job, to be handed around."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.completion import complete_job, complete_model
from farm.context import ProductionOption, find_and_load
from farm.night_report import report_night
from farm.option_groups import DeviceOption, JsonOption, OfActorOption, out_option

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from facecap_core.reports.report import ReportResult
    from facecap_core.reports.side_by_side import ComparisonResult
    from jobs.models import ModelSummary

SCHEMA_VERSION = 1


def report(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] [MODEL]",
            help="A model, or the beginning of its name; two, to see them side by side.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(
            "--job",
            "-j",
            metavar="JOB",
            help="A job's name, or the beginning of one: a page about it instead.",
            show_default=False,
            autocompletion=complete_job,
        ),
    ] = None,
    actor: OfActorOption = None,
    out: Annotated[
        Path | None,
        out_option(
            "FILE",
            "Else in reports/ of the production: ACTOR-MODEL.html, ACTOR-MODEL-MODEL.html or JOB.html.",
        ),
    ] = None,
    clip_seconds: Annotated[
        float,
        typer.Option(
            "--clip", metavar="SECONDS", min=0.1, max=60.0, help="Length of the moving face."
        ),
    ] = 4.0,
    device: DeviceOption = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML page about a model: its error, where and when it errs, and a moving face.

    The newest model, unless one is named. Its validation shots are solved anew for it, which needs
    their frames and targets in the store; nothing else of the farm is started. The page is one file
    that needs no network, and prints. Two models are measured on the validation shots that both have.

    With --job, a page about a night's work: what failed and what mends it, frames a second of each
    machine, confidence, and the shots to look at first. It is read from the ledger and the stores, so
    the cluster may be down, and the job may still run.

    Examples:

    farm report

    farm report --actor ada --open

    farm report paper-5b2e8d01 --out ada.html --clip 10

    farm report paper-5b2e8d01 fast-1f3a9c20

    farm report --job infer-ada --open
    """
    from facecap_core.errors import ConfigError
    from facecap_core.reports.report import write_report
    from facecap_core.reports.side_by_side import write_comparison
    from farm.bar import bar
    from farm.model_choice import choose_two
    from farm.output_choice import check_writable, file_of

    found = find_and_load(production)
    if out is not None:
        out = file_of(out, "--out")
    else:
        check_writable(found.folder / "reports", "name a file elsewhere: --out")
    names = models or []
    if job is not None:
        if names or actor:
            raise ConfigError(
                "--job is a page about a job alone", remedy="leave out model and actor"
            )
        path = report_night(found, job, out, as_json=as_json)
        if open_page:
            typer.launch(path.as_uri())
        return
    result: ReportResult | ComparisonResult
    with bar() as on_progress:
        if len(names) > 1:
            first, second = choose_two(found, actor, names)
            page = (
                out or found.folder / "reports" / f"{first.actor}-{first.model}-{second.model}.html"
            )
            result = write_comparison(
                found,
                first.actor,
                (first.model, second.model),
                page,
                device=device,
                on_progress=on_progress,
            )
        else:
            chosen = _model(found, actor, names[0] if names else None)
            page = out or found.folder / "reports" / f"{chosen.actor}-{chosen.model}.html"
            result = write_report(
                found,
                chosen.actor,
                chosen.model,
                page,
                clip_seconds=clip_seconds,
                device=device,
                on_progress=on_progress,
            )
    _say(result, as_json)
    if open_page:
        typer.launch(result.path.as_uri())


def _model(production: Production, actor: str | None, name: str | None) -> ModelSummary:
    from facecap_core.errors import ModelError
    from farm.model_choice import choose_of_any
    from jobs.job_list import ledgers

    try:
        return choose_of_any(production, actor, name)
    except ModelError:
        if name and any(ledger.job.startswith(name) for ledger in ledgers(production.paths.jobs)):
            raise ModelError(
                f"{name} is a job, and no model", remedy=f"farm report --job {name}"
            ) from None
        raise


def _say(result: ReportResult | ComparisonResult, as_json: bool) -> None:
    from facecap_core.reports.report import ReportResult

    if isinstance(result, ReportResult):
        model, error, other = result.model, result.validation_rmse_mm, result.mean_shape_rmse_mm
        told = {
            "model": model,
            "mean_shape_rmse_mm": other if other == other else None,
        }
        beside = f"mean shape {other:.3f} mm"
    else:
        (model, against), (error, other) = result.models, result.rmse_mm
        told = {
            "model": model,
            "mean_shape_rmse_mm": None,
            "against": against,
            "against_rmse_mm": other,
        }
        beside = f"{against} {other:.3f} mm"
    if as_json:
        facts = {
            "schema_version": SCHEMA_VERSION,
            "actor": result.actor,
            **told,
            "report": str(result.path),
            "size_bytes": result.size_bytes,
            "validation_frames": result.frames,
            "validation_rmse_mm": error if error == error else None,
            "seconds": round(result.seconds, 2),
        }
        typer.echo(json.dumps(facts))
        return
    if result.frames:
        typer.echo(
            f"{result.actor} {model}: validation RMSE {error:.3f} mm, {beside}, "
            f"over {result.frames} frames"
        )
    typer.echo(f"{result.path}  ({result.size_bytes / 1e6:.1f} MB)")
