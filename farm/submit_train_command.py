"""Submit train command: a model of an actor, from nothing or from another model's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from farm.completion import complete_model, complete_network, complete_preset
from farm.context import find_and_load
from farm.handing_in import hand_in
from farm.option_groups import Handing, OneActorOption, Running, grouped

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.request import TrainRequest

NETWORK = "convolutional"
UNSTABILISED = (
    "warning: the fully connected network needs pictures in which the head stands still (Appendix B):"
    ' give the camera landmarks = "dlib" in production.toml, and train again'
)


@grouped()
def train(
    actor: OneActorOption = None,
    preset: Annotated[
        str,
        typer.Option(
            help="paper, fast, cpu or demo; auto: fast with a GPU, else cpu.",
            autocompletion=complete_preset,
        ),
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
        list[str] | None,
        typer.Option(
            help="Given twice or more: the network sees all of them, and does without some where a shot lacks"
            " them (two to four cameras). Else center, or the first.",
            show_default=False,
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            help="convolutional (Section 3.1 of the paper) or fully-connected (Appendix B).",
            autocompletion=complete_network,
        ),
    ] = NETWORK,
    base: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from this model of the actor (fine-tuning): its network, cameras and settings, an eighth"
            " of its epochs, a lower rate.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    corrected: Annotated[
        bool,
        typer.Option(
            "--with-corrections/--without-corrections",
            help="Learn from the frames that artists corrected (farm correct), of any shot.",
        ),
    ] = True,
    *,
    running: Running,
    handing: Handing,
) -> None:
    """Train a model of an actor on its shots of split train; ingests what is missing first.

    Frames that artists corrected are learned from as well, each several times an epoch where there are few
    (corrections.share); those of validation shots are not. With --from this takes a fraction of the time, and
    `farm compare` then says which shots the new model changes.

    Examples:

    farm submit train --actor ada --wait

    farm submit train --camera center --camera left

    farm submit train --actor ada --network fully-connected

    farm submit train --actor ada --set 'loss.regions={"lips": 4}'

    farm submit train --actor ada --from cpu-1f3a9c20

    farm submit train --actor ada --preset paper --epochs 100 --seed 7

    farm submit train --actor ada --preset paper --dry-run --json

    farm submit train --memory 24 --on-done 'notify-send trained'
    """
    from facecap_core.learning.fine_tuning import fine_tuned
    from facecap_core.learning.presets import resolve
    from jobs.models import model_facts
    from jobs.planning import can_be_stabilised, choose_base, learns_nothing_new, plan_train

    found = find_and_load(handing.production)
    overrides = list(settings or [])
    overrides += [] if epochs is None else [f"schedule.epochs={epochs:g}"]
    overrides += [] if seed is None else [f"seed={seed}"]
    if base is not None:
        _refuse_beside_base(preset, network)
        actor, base = choose_base(found, actor, base)
        config = fine_tuned(model_facts(found.store, actor, base), overrides)
        request = plan_train(
            found, actor=actor, config=config, cameras=camera or (), base=base, corrected=corrected
        )
        _tell_corrections(found, request, corrected)
        if not overrides and learns_nothing_new(found, request):
            typer.echo(_nothing_new(request, base), err=True)
        hand_in(found, request, running, handing)
        return
    stabilised = can_be_stabilised(found, actor, camera or ())
    if preset == "auto":
        resolve(
            "cpu", overrides, network=network
        )  # misspelt settings are told before a head starts
        preset = _preset(handing.address, start=not handing.dry_run)
        typer.echo(f"preset {preset}", err=True)
    if network == "fully-connected" and stabilised:
        overrides.insert(0, "stabilised_input=true")
    config = resolve(preset, overrides, network=network, cameras=len(camera or ()))
    request = plan_train(
        found, actor=actor, config=config, cameras=camera or (), corrected=corrected
    )
    _tell_corrections(found, request, corrected)
    if network == "fully-connected" and not config.stabilised_input:
        typer.echo(UNSTABILISED, err=True)
    hand_in(found, request, running, handing)


def _refuse_beside_base(preset: str, network: str) -> None:
    from facecap_core.errors import ConfigError

    for option, given in (("--preset", preset != "auto"), ("--network", network != NETWORK)):
        if given:
            raise ConfigError(
                f"{option} beside --from: settings and network are those of the model",
                remedy=f"leave out {option}; --set changes what need not stay",
            )


def _tell_corrections(production: Production, request: TrainRequest, corrected: bool) -> None:
    """Which corrections are learned from, and which are not, on stderr."""
    from jobs.corrections import corrections_to_learn, lost_corrections

    if not corrected:
        return
    for shot, what in lost_corrections(production, request.actor).items():
        typer.echo(f"warning: corrections of {shot}: {what} (farm verify --all)", err=True)
    _, left_out = corrections_to_learn(production, request.actor, request.cameras)
    for shot, reason in left_out.items():
        typer.echo(f"corrections of {shot} are left out: it {reason}", err=True)
    if request.corrections:
        typer.echo(f"learns from corrections of {', '.join(request.corrections)}", err=True)


def _nothing_new(request: TrainRequest, base: str) -> str:
    """A warning and no refusal: more epochs on the same lower the error a little, and may be what is meant."""
    return (
        f"warning: {base} learned from the same shots and corrections: there is nothing new in them, only"
        f" {request.config['schedule']['epochs']:g} epochs more. Hand in corrections first (farm flag and farm suggest"
        " say where: farm correct), or give more shots split train"
    )


def _preset(address: str | None, *, start: bool) -> str:
    """The preset that suits the cluster, which is started for the question if it may be.

    Else it is asked of this machine, on which the local head would start.
    """
    from farm.submission import running_cluster, started_cluster

    cluster = started_cluster(address) if start else running_cluster(address)
    if cluster is None:
        from facecap_core.learning.model import choose_device

        return "fast" if choose_device(None).type == "cuda" else "cpu"
    return "fast" if any(node.get("GPU") for node in cluster.nodes()) else "cpu"
