"""farm demo: a made-up actor, all the way from footage to a report, on a local Ray head."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.bar import bar
from farm.exit_codes import OF_JOB_STATE
from farm.option_groups import JsonOption

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.request import Request

SCHEMA_VERSION = 1
STEPS = 6


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to make the production.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Of the actor, the motion and the training.")] = 2017,
    scale: Annotated[float, typer.Option(help="Length of the shots, against the usual.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """A made-up actor: footage, check, ingest, train, infer and a report, in minutes.

    Everything runs as it would with your own footage: the folder that it makes is a production like
    any other, and the jobs run on a local Ray head, which is started for it and ended after it
    unless it ran before. Run it again and only what is missing is done.

    Examples:

    farm demo

    farm demo /tmp/demo --seed 7 --json
    """
    from facecap_core.errors import ProductionError
    from facecap_core.plain_path import plain_path
    from facecap_core.productions.production import load_production
    from farm.head import LocalHead
    from jobs.planning import plan_infer, plan_train

    started = time.monotonic()
    # Ended from outside, as by a farm's time limit, it still takes its head down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = plain_path(folder)
    _footage(folder, seed, scale)
    production = load_production(folder)
    _say(2, "check what a studio would have handed over")
    from facecap_core.checks.production_check import check_production

    with bar() as on_progress:
        checked = check_production(production, on_progress=on_progress)
    if checked.faults:
        raise ProductionError(checked.faults)
    typer.echo(f"      {len(production.shots)} shots, no faults", err=True)
    head = LocalHead()
    ran_before = head.state() is not None
    _say(3, "start a Ray head on this machine")
    state = head.up()
    typer.echo(f"      dashboard: {state.dashboard} (token: farm dashboard)", err=True)
    try:
        from facecap_core.learning.presets import resolve

        actor = next(iter(production.actors))
        _say(4, "ingest the tracked shots, train the actor's network")
        config = resolve("demo", [f"seed={seed}"])
        training = plan_train(production, actor=actor, config=config)
        _run(production, training, as_json=as_json)
        _say(5, "solve the bulk shots")
        solving = plan_infer(production, actor=actor, shots=None, model=None)
        _run(production, solving, as_json=as_json)
    finally:
        if not ran_before:
            head.down()
    _say(6, "score against the truth that no real shoot has, write the report")
    print_result(production, actor, started, as_json=as_json)


def _footage(folder: Path, seed: int, scale: float) -> None:
    from facecap_core.errors import ConfigError
    from facecap_core.files import write_text_atomically
    from facecap_core.madeup.production import make_production

    made = folder / "made.txt"
    request = f"seed {seed}, scale {scale:g}\n"
    _say(1, f"film a made-up actor in {folder}")
    if made.exists() and made.read_text() == request:
        typer.echo("      is there already", err=True)
        return
    begun = folder / "making.txt"  # tells our own interrupted work from somebody's production
    if (folder / "production.toml").exists() and not (made.exists() or begun.exists()):
        raise ConfigError("holds a production already", remedy="name another folder", file=folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(begun, request)
    made.unlink(missing_ok=True)
    with bar() as on_progress:
        make_production(
            folder, seed=seed, scale=scale, workers=os.cpu_count() or 1, on_progress=on_progress
        )
    write_text_atomically(made, request)
    begun.unlink()


def _run(production: Production, request: Request, *, as_json: bool) -> None:
    from farm.follow import follow, status_json
    from farm.status_tables import print_result as print_job
    from farm.submission import submit
    from jobs.records import Options

    submitted = submit(production, request, Options(), None)
    status = follow(submitted.ledger, timeout=None)
    if OF_JOB_STATE[status.state]:
        if as_json:
            typer.echo(json.dumps(status_json(status)))
        else:
            print_job(status)
        raise typer.Exit(OF_JOB_STATE[status.state])


def print_result(production: Production, actor: str, started: float, *, as_json: bool) -> None:
    """The errors of a demo that has run, and where its results are; writes its report."""
    from facecap_core.reports.report import write_report
    from farm.tables import print_table
    from jobs.models import choose_model, model_facts

    model = choose_model(production.store, actor, None)
    validation = model_facts(production.store, actor, model.model)["validation"]
    bulk_shots, bulk_mm = _score(production, actor)
    page = production.folder / "report.html"
    with bar() as on_progress:
        write_report(production, actor, model.model, page, on_progress=on_progress)
    network, mean_shape = validation["rmse_mm"], validation["mean_shape_rmse_mm"]
    vertices, seconds = production.store / "vertices" / actor, time.monotonic() - started
    if as_json:
        answer = {
            "schema_version": SCHEMA_VERSION,
            "folder": str(production.folder),
            "actor": actor,
            "model": model.model,
            "validation_rmse_mm": network,
            "mean_shape_rmse_mm": mean_shape,
            "pca_floor_rmse_mm": validation["pca_floor_rmse_mm"],
            "bulk_shots": bulk_shots,
            "bulk_rmse_mm": bulk_mm,
            "report": str(page),
            "vertices": str(vertices),
            "seconds": round(seconds, 1),
        }
        typer.echo(json.dumps(answer))
        return
    rows = [
        ["mean shape of the training frames", f"{validation['frames']} validation", mean_shape],
        ["the network", f"{validation['frames']} validation", network],
        ["the network, against the truth", f"{bulk_shots} bulk shots", bulk_mm],
        ["floor of the PCA basis", "validation", validation["pca_floor_rmse_mm"]],
    ]
    print_table(
        ["error over the animated vertices", "frames", "rmse mm"],
        [[what, frames, f"{value:.3f}"] for what, frames, value in rows],
        right=["rmse mm"],
    )
    typer.echo(
        f"{mean_shape / network:.1f} times better than the mean shape, {seconds:.0f} s in all"
    )
    typer.echo(f"look at {page}")
    typer.echo(f"the vertices: {vertices}")
    typer.echo("your own footage: farm init DIR")


def _score(production: Production, actor: str) -> tuple[int, float]:
    """How many bulk shots there are, and their error against the truth, in mm."""
    import numpy as np

    from facecap_core.learning.rmse import pooled_rmse_mm
    from facecap_core.scoring import score_shot
    from facecap_core.template import read_animated, read_template

    settings = production.actors[actor]
    template = read_template(settings.template)
    animated = read_animated(settings.animated, template.vertex_count)
    bulk = production.shots_of(actor, split="")
    errors = [
        score_shot(
            production.paths.vertices(actor, shot.name),
            production.folder / "truth" / f"{shot.name}.pc2",
            template=template,
            animated=animated,
            mm_per_unit=production.mm_per_unit,
        )
        for shot in bulk
    ]
    return len(bulk), pooled_rmse_mm(np.concatenate(errors))


def _say(step: int, text: str) -> None:
    typer.echo(f"[{step}/{STEPS}] {text}", err=True)
