"""Planning: from a production and a user's choice to a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from facecap_core.errors import FacecapError, Fault, ModelError, ProductionError
from facecap_core.fingerprints import fingerprint_weights
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.fine_tuning import check_base
from facecap_core.names import did_you_mean
from facecap_core.productions.production import Production
from facecap_core.template import read_template
from jobs.corrections import corrections_to_learn
from jobs.inputs import content, file_content, stamp
from jobs.job_settings import actors_of, settings_of
from jobs.ledger import Ledger
from jobs.models import choose_model, model_facts
from jobs.request import Base, InferRequest, IngestRequest, Request, TrainRequest, one_or_several
from jobs.shots import STABILISED, footage_of, numbers_of


def plan_ingest(
    production: Production, *, actor: str | None, shots: Sequence[str] | None, camera: str | None
) -> IngestRequest:
    """Ingest the listed shots, or all shots of the actor that have a split.

    Raises:
        ProductionError: an unknown actor or camera, or nothing to do.
    """
    if shots is None:
        name = production.actor_named(actor)
        shots = [shot.name for shot in production.shots_of(name) if shot.split]
        if not shots:
            raise _error(
                production,
                f"{name} has no shots of split train or validation",
                "set their split, or name shots with --shots",
            )
    actors = actors_of(production, shots)
    for name in actors:
        if camera is not None:
            _cameras(production, name, [camera])
    request = IngestRequest(
        settings=settings_of(production, actors),
        actors=tuple(actors),
        shots=tuple(shots),
        cameras=(camera,) if camera else (),
    )
    return request.model_copy(update={"inputs": _inputs(production, request, stamp)})


def plan_train(
    production: Production,
    *,
    actor: str | None,
    config: TrainConfig,
    cameras: Sequence[str] = (),
    base: str | None = None,
    corrected: bool = True,
) -> TrainRequest:
    """Train on the actor's shots of split train, validate on those of split validation.

    Args:
        cameras: that the network sees together; none: those of the base, else the actor's main one.
        base: a model to start from, see `choose_base`.
        corrected: learn from the corrections of artists too, see `corrections_to_learn`.

    Raises:
        ProductionError: an unknown actor or camera, or no training shots. ModelError: no such base, or one
            that is of another network, other pictures or another mesh. StoreError: a correction is damaged,
            or of other footage.
    """
    name = production.actor_named(actor)
    training = [shot.name for shot in production.shots_of(name, split="train")]
    validation = [shot.name for shot in production.shots_of(name, split="validation")]
    if not training:
        raise _error(
            production,
            f"{name} has no shots of split train",
            "set split to train for the tracked shots",
        )
    start = None
    if base is not None:
        facts = model_facts(production.store, name, base)
        cameras = cameras or facts["cameras"]
        check_base(facts, config, _pictured(production, name, cameras))
        fingerprint = fingerprint_weights(production.paths.model(name, base))
        start = Base(model=base, fingerprint=fingerprint)
    cameras = _cameras(production, name, cameras)
    _check_stabilised(production, name, config, cameras, training + validation)
    settings, loss = settings_of(production, [name]), config.loss
    if production.actors[name].regions is not None and (loss.regions or loss.lips or loss.lids):
        regions = file_content(production.actors[name].regions)
        settings["actors"][name]["regions_content"] = regions
    request = TrainRequest(
        settings=settings,
        actor=name,
        camera=one_or_several(cameras),
        training=tuple(training),
        validation=tuple(validation),
        config=config.model_dump(mode="json"),
        base=start,
        corrections=corrections_to_learn(production, name, cameras)[0] if corrected else {},
    )
    return request.model_copy(update={"inputs": _inputs(production, request, content)})


def choose_base(production: Production, actor: str | None, model: str) -> tuple[str, str]:
    """The actor and the whole name of the model that a training shall start from.

    Raises:
        ProductionError: an unknown actor. ModelError: no such model.
    """
    name = production.actor_named(actor)
    return name, choose_model(production.store, name, model).model


def learns_nothing_new(production: Production, request: TrainRequest) -> bool:
    """Whether a fine-tuning has the very shots and corrections that its base learned from.

    Told from the base's own job: where the ledger has it no more, nothing is said.
    """
    if request.base is None:
        return False
    digest = request.base.model.rpartition("-")[2]
    ledger = Ledger(production.paths.jobs / f"train-{request.actor}-{digest}")
    try:
        before = ledger.request()
    except FacecapError:
        return False
    if not isinstance(before, TrainRequest) or before.model != request.base.model:
        return False
    skipped = any(ledger.shot(shot).state == "skipped" for shot in _learned(before)[2])
    return not skipped and _learned(before) == _learned(request)


def _learned(request: TrainRequest) -> tuple[set[str], dict[str, tuple[str, ...]], dict[str, str]]:
    """Training shots, corrections, and what was in the files of both."""
    shots = {*request.training, *request.corrections}
    return (
        set(request.training),
        request.corrections,
        {shot: request.inputs.get(shot, "") for shot in shots},
    )


def plan_infer(
    production: Production,
    *,
    actor: str | None,
    shots: Sequence[str] | None,
    model: str | None,
    after: Ledger | None = None,
) -> InferRequest:
    """Solve the listed shots, or the actor's shots without a split.

    Args:
        model: None takes each actor's newest.
        after: a job that ends before; of a training, the model that it makes is taken.

    Raises:
        ProductionError: an unknown actor, or nothing to do. ModelError: no such model, or one of other units.
    """
    before = after.request() if after is not None else None
    if not isinstance(before, TrainRequest) or model is not None:
        before = None
    elif shots is None and actor is None:
        actor = before.actor
    if shots is None:
        name = production.actor_named(actor)
        shots = [shot.name for shot in production.shots_of(name, split="")]
        if not shots:
            raise _error(
                production,
                f"{name} has no bulk shots (split empty)",
                "add some, or name shots with --shots",
            )
    actors = actors_of(production, shots)
    if model is not None and len(actors) > 1:
        raise _error(
            production,
            f"--model names one actor's model; the list has shots of {', '.join(actors)}",
            "submit a list for each actor",
        )
    models: dict[str, str] = {}
    cameras: dict[str, str | tuple[str, ...]] = {}
    settings = settings_of(production, actors)
    for name in actors:
        if before is not None and before.actor == name:
            models[name], cameras[name] = before.model, before.camera
            stabilised = before.config.get(STABILISED)
            _check_units(production, name, before.model, before.settings.get("units"))
        else:
            chosen = choose_model(production.store, name, model)
            models[name], cameras[name] = chosen.model, one_or_several(chosen.cameras)
            if chosen.calibration:  # another one gives other confidences
                settings["actors"][name]["calibration"] = chosen.calibration
            stabilised = chosen.stabilised_input
            _check_units(production, name, chosen.model, chosen.units)
        if stabilised:  # other landmarks give other vertices
            settings["actors"][name][STABILISED] = True
    request = InferRequest(settings=settings, models=models, cameras=cameras, shots=tuple(shots))
    return request.model_copy(update={"inputs": _inputs(production, request, stamp)})


def can_be_stabilised(
    production: Production, actor: str | None, cameras: Sequence[str] = ()
) -> bool:
    """Whether the pictures that a training would see have landmarks by which to stabilise them.

    Raises:
        ProductionError: an unknown actor or camera.
    """
    name = production.actor_named(actor)
    known = production.actors[name].cameras
    return all(known[camera].landmarks for camera in _cameras(production, name, cameras))


def _cameras(production: Production, actor: str, cameras: Sequence[str]) -> Sequence[str]:
    known = production.actors[actor].cameras
    for camera in cameras:
        if camera not in known:
            raise _error(
                production, f"{actor} has no camera {camera!r}", did_you_mean(camera, known)
            )
    if len(set(cameras)) < len(cameras):
        raise _error(production, "a camera is named twice", "name each camera once")
    return cameras or (production.actors[actor].main_camera,)


def _check_stabilised(
    production: Production,
    actor: str,
    config: TrainConfig,
    cameras: Sequence[str],
    shots: Sequence[str],
) -> None:
    """What the configuration wants stabilised has to be so, or to become so at ingest."""
    for camera in cameras if config.stabilised_input else ():
        if production.actors[actor].cameras[camera].landmarks is None:
            raise _error(
                production,
                f"stabilised_input: camera {camera} of {actor} has no landmarks",
                'give it landmarks = "dlib", or a file: landmarks = "landmarks/{shot}.npy"',
            )
    if config.targets == "stabilised":
        paths = production.paths
        missing = [s for s in shots if not paths.targets(s, stabilised=True).exists()]
        if missing:
            raise _error(
                production,
                f"targets=stabilised: {len(missing)} shots are not stabilised yet, {missing[0]} first",
                f"farm stabilise --actor {actor} --apply",
            )


def _check_units(production: Production, actor: str, model: str, units: str | None) -> None:
    """What a model puts out is in the units that it was trained in, and its shots would say so."""
    if units and units != production.units:
        raise ModelError(
            f"{model} was trained in {units}, the production is in {production.units} now",
            remedy=f"put units in production.toml back, or train {actor} again",
            file=production.paths.model(actor, model),
        )


def _pictured(production: Production, actor: str, cameras: Sequence[str]) -> dict[str, Any]:
    """What a model of these cameras would say of its pictures and its mesh."""
    settings = production.actors[actor]
    return {
        "cameras": list(cameras),
        "crop": {c: list(settings.cameras[c].crop) for c in cameras if c in settings.cameras},
        "topology_sha256": read_template(settings.template).topology_sha256,
        "units": production.units,
    }


def _inputs(
    production: Production,
    request: Request,
    digest: Callable[[Sequence[Path], Sequence[Path]], str],
) -> dict[str, str]:
    return {
        shot: digest(footage_of(production, request, shot), numbers_of(production, request, shot))
        for shot in request.shots
    }


def _error(production: Production, message: str, remedy: str) -> ProductionError:
    return ProductionError([Fault(message, remedy, str(production.settings_path))])
