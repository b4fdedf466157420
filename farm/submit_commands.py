"""Submit commands: ingest, train and infer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.context import ProductionOption, find_and_load

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.preflight import Plan
    from jobs.request import Request

SCHEMA_VERSION = 1

app = typer.Typer(no_args_is_help=True, help="Submit a job: ingest, train or infer.")

ActorOption = Annotated[
    str | None,
    typer.Option("--actor", "-a", help="The actor, where there are several.", show_default=False),
]
ShotsOption = Annotated[
    Path | None,
    typer.Option(
        "--shots",
        metavar="LIST",
        help="A file with a shot's name or glob (ada_rom_*) a line; # comments.",
        show_default=False,
    ),
]
CpusOption = Annotated[
    float | None,
    typer.Option(help="Processors a task takes; else 1, for training all.", show_default=False),
]
GpusOption = Annotated[
    float | None,
    typer.Option(
        help="GPUs (or a part of one) a task takes; else as there are.", show_default=False
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done, and submit nothing.")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Stay until the job ends.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="Dashboard of a cluster, http://HOST:8265; else RAY_ADDRESS; else the local head.",
        show_default=False,
    ),
]


@app.command()
def ingest(
    actor: ActorOption = None,
    shots: ShotsOption = None,
    camera: Annotated[
        str | None, typer.Option(help="Only this camera; else all.", show_default=False)
    ] = None,
    cpus: CpusOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    as_json: JsonOption = False,
    address: AddressOption = None,
    production: ProductionOption = None,
) -> None:
    """Decode footage and read point caches into the store.

    Training does so itself for what it needs; this is for doing it ahead, or for other cameras.

    Examples:

    farm submit ingest --actor ada --wait

    farm submit ingest --shots today.txt --dry-run
    """
    from facecap_core.productions.production import read_shot_list
    from jobs.planning import plan_ingest

    found = find_and_load(production)
    listed = read_shot_list(shots, found) if shots else None
    request = plan_ingest(found, actor=actor, shots=listed, camera=camera)
    _submit(found, request, cpus, None, address, dry_run=dry_run, wait=wait, as_json=as_json)


@app.command()
def train(
    actor: ActorOption = None,
    preset: Annotated[
        str,
        typer.Option(help="paper, fast, cpu or demo; auto: fast with a GPU, else cpu."),
    ] = "auto",
    epochs: Annotated[
        float | None, typer.Option(help="Instead of the preset's.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any setting of the preset.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of every random draw.", show_default=False)
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Else center, or the first.", show_default=False)
    ] = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    as_json: JsonOption = False,
    address: AddressOption = None,
    production: ProductionOption = None,
) -> None:
    """Train a model of an actor on its shots of split train; ingests what is missing first.

    Examples:

    farm submit train --actor ada --wait

    farm submit train --actor ada --preset paper --epochs 100 --set network.dropout=0.1 --seed 7

    farm submit train --actor ada --preset paper --dry-run --json
    """
    from facecap_core.learning.config import resolve
    from jobs.planning import plan_train

    found = find_and_load(production)
    if preset == "auto":
        preset = _preset(address)
        typer.echo(f"preset {preset}", err=True)
    overrides = list(settings or [])
    overrides += [] if epochs is None else [f"schedule.epochs={epochs:g}"]
    overrides += [] if seed is None else [f"seed={seed}"]
    config = resolve(preset, overrides)
    request = plan_train(found, actor=actor, config=config, camera=camera)
    _submit(found, request, cpus, gpus, address, dry_run=dry_run, wait=wait, as_json=as_json)


@app.command()
def infer(
    actor: ActorOption = None,
    shots: ShotsOption = None,
    model: Annotated[
        str | None,
        typer.Option(help="A model's id; else the actor's newest.", show_default=False),
    ] = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    as_json: JsonOption = False,
    address: AddressOption = None,
    production: ProductionOption = None,
) -> None:
    """Solve shots: footage through the actor's model into the vertex store.

    Without --shots, all of the actor's bulk shots (split empty). One bad shot fails alone.

    Examples:

    farm submit infer --actor ada --wait

    farm submit infer --shots bulk.txt --model cpu-1f3a9c20 --json
    """
    from facecap_core.productions.production import read_shot_list
    from jobs.planning import plan_infer

    found = find_and_load(production)
    listed = read_shot_list(shots, found) if shots else None
    request = plan_infer(found, actor=actor, shots=listed, model=model)
    _submit(found, request, cpus, gpus, address, dry_run=dry_run, wait=wait, as_json=as_json)


def _submit(
    production: Production,
    request: Request,
    cpus: float | None,
    gpus: float | None,
    address: str | None,
    *,
    dry_run: bool,
    wait: bool,
    as_json: bool,
) -> None:
    from farm.follow import finish
    from farm.submission import plan, submit
    from jobs.preflight import preflight
    from jobs.records import options

    chosen = options(cpus, gpus)
    if dry_run:
        _print_plan(plan(production, request, chosen, address), request, as_json=as_json)
        return
    for shot in preflight(production, request, chosen, None).warnings:
        typer.echo(f"warning: {shot.shot}: {shot.warning}", err=True)
    submitted = submit(production, request, chosen, address)
    ledger = submitted.ledger
    typer.echo(f"{ledger.job} {submitted.sentence}", err=True)
    if wait:
        raise typer.Exit(finish(ledger, timeout=None, as_json=as_json))
    submission = ledger.submission()
    if as_json:
        answer = {
            "schema_version": SCHEMA_VERSION,
            "job": ledger.job,
            "new": submitted.new,
            "state": ledger.status().state,
            "dashboard": submission.dashboard if submission else None,
            "folder": str(ledger.folder),
        }
        typer.echo(json.dumps(answer))
    else:
        typer.echo(ledger.job)


def _preset(address: str | None) -> str:
    """The preset that suits the cluster, which is started for the question."""
    from farm.submission import started_cluster

    nodes = started_cluster(address).nodes()
    return "fast" if any(node.get("GPU") for node in nodes) else "cpu"


def _print_plan(plan: Plan, request: Request, *, as_json: bool) -> None:
    from dataclasses import asdict

    from farm.tables import print_table

    if as_json:
        whole = {
            "schema_version": SCHEMA_VERSION,
            **asdict(plan),
            "to_do": plan.to_do,
            "request": request.model_dump(mode="json"),
        }
        typer.echo(json.dumps(whole))
        return
    print_table(
        ["shot", "action", "reads", "warning"],
        [[s.shot, s.action, "\n".join(s.inputs), s.warning] for s in plan.shots],
    )
    typer.echo(
        f"{plan.job}: {plan.to_do} of {len(plan.shots)} shots to do, {len(plan.warnings)} warnings"
    )
    if plan.model:
        typer.echo(f"then the model {plan.model}")
    for stage, place in plan.stages.items():
        typer.echo(f"{stage}: a task takes {place}")
    if not plan.stages:
        typer.echo("no cluster runs yet: submitting starts the local head")
    typer.echo("nothing was submitted (--dry-run)")
