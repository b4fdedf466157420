"""Actor training: one actor of a production, from its stores to a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facecap_core.corrections.corrected_examples import (
    CorrectedShot,
    chosen_corrections,
    with_corrections,
)
from facecap_core.errors import TrainingError
from facecap_core.fingerprints import fingerprint_weights
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.fine_tuning import check_base
from facecap_core.learning.model import load_model
from facecap_core.learning.target_stabilisation import check_stabilised
from facecap_core.learning.training import TrainResult, train
from facecap_core.learning.trainingset import ShotPaths, load_examples
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from facecap_core.regions import actor_regions
from facecap_core.stores.groups import GroupReader, open_frames, open_targets
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.template import read_animated, read_template


def train_actor(
    production: Production,
    actor: str,
    config: TrainConfig,
    *,
    model: str,
    cameras: Sequence[str] = (),
    base: str | None = None,
    corrections: Mapping[str, Sequence[str]] | None = None,
    device: str | None = None,
    threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> TrainResult:
    """Train `actor` on its ingested shots of split train, and validate on those of split validation.

    Args:
        model: the name of the model to make, a folder under `store/models/<actor>`.
        cameras: the views that the network sees; none: the actor's main camera.
        base: a model of the actor, from whose weights to start.
        corrections: of each shot the contents of the corrections to learn from, the oldest first.

    Raises:
        ModelError: the base is missing or damaged, or of another network, other pictures or another mesh.
        TrainingError: no training shots, shots framed differently, or not stabilised as the configuration
        wants it. StoreError: a shot is not
        ingested, or the model cannot be written. Cancelled: see `train`.
    """
    settings = production.actors[actor]
    cameras = tuple(cameras) or (settings.main_camera,)
    paths = production.paths
    template = read_template(settings.template)
    animated = read_animated(settings.animated, template.vertex_count)

    def views(shot: str) -> tuple[ArrayFolder, ...]:
        stabilised = config.stabilised_input
        return tuple(paths.frames(shot, camera, stabilised=stabilised) for camera in cameras)

    def shots(split: str) -> list[ShotPaths]:
        return [
            ShotPaths(
                shot.name,
                views(shot.name),
                paths.targets(shot.name, stabilised=config.targets == "stabilised"),
            )
            for shot in production.shots_of(actor, split=split)
        ]

    training, validation = shots("train"), shots("validation")
    if not training:
        raise TrainingError(
            f"{actor} has no shots of split train",
            remedy="set split to train for the tracked shots",
            file=production.shots_path,
        )
    if config.targets == "stabilised":
        for shot in (*training, *validation):
            check_stabilised(shot.shot, paths.targets(shot.shot), shot.targets, template)
    facts = {
        "actor": actor,
        "model": model,
        "cameras": list(cameras),
        "crop": {camera: list(settings.cameras[camera].crop) for camera in cameras},
        "picture_size": {
            camera: list(_picture_size([*training, *validation], view))
            for view, camera in enumerate(cameras)
        },
        "fps": str(production.fps),
        "units": production.units,
        "topology_sha256": template.topology_sha256,
    }
    pictured: dict[str, Any] = {"fps": str(production.fps)}
    tracked = {**pictured, "units": production.units, "topology_sha256": template.topology_sha256}
    for shot in (*training, *validation):
        _check_made_with(shot.shot, shot.targets, tracked)
    learned = {shot.shot: shot.views for shot in (*training, *validation)}
    for name, folders in (learned | {shot: views(shot) for shot in corrections or ()}).items():
        for camera, folder in zip(cameras, folders, strict=True):
            crop = list(settings.cameras[camera].crop)
            _check_made_with(name, folder, {**pictured, "crop": crop})
    begun: dict[str, Any] = {
        "fingerprints": {
            shot.shot: _fingerprints(shot, cameras) for shot in (*training, *validation)
        }
    }
    size = config.network.input_size
    start = None
    if base is not None:
        start = load_model(paths.model(actor, base), device, calibrated=False)
        check_base(start.facts, config, facts)
        begun["base"] = {
            "model": base,
            "fingerprint": fingerprint_weights(paths.model(actor, base)),
        }
    examples = load_examples(training, units=production.units, input_size=size)
    if corrections:
        corrected = [
            CorrectedShot(shot, views(shot), chosen_corrections(paths, actor, shot, contents))
            for shot, contents in corrections.items()
        ]
        examples = with_corrections(
            examples,
            corrected,
            units=production.units,
            topology_sha256=template.topology_sha256,
            input_size=size,
        )
        begun["corrections"] = {shot: list(contents) for shot, contents in corrections.items()}
    return train(
        examples,
        load_examples(validation, units=production.units, input_size=size) if validation else None,
        config,
        animated=animated,
        regions=actor_regions(settings, template),
        facts={**facts, "training": begun},
        model_directory=paths.model(actor, model),
        state_directory=paths.training_state(actor, model),
        base=start,
        device=device,
        threads=threads,
        on_progress=on_progress,
    )


def _fingerprints(shot: ShotPaths, cameras: Sequence[str]) -> dict[str, str]:
    """What the shot was ingested from: the first camera is `footage`, as long as there was one only."""
    told = {}
    for place, (camera, view) in enumerate(zip(cameras, shot.views, strict=True)):
        name = f"footage of {camera}" if place else "footage"
        told[name] = open_frames(view).attributes["footage_fingerprint"]
    return {**told, "cache": open_targets(shot.targets).attributes["cache_fingerprint"]}


def _check_made_with(shot: str, folder: ArrayFolder, settings: Mapping[str, Any]) -> None:
    """What was ingested is what production.toml says now, by which the model will be used.

    Raises:
        TrainingError: it was changed since.
    """
    told = GroupReader(folder).attributes
    differs = [
        f"{name} {told[name]} (now {value})"
        for name, value in settings.items()
        if told.get(name, value) != value
    ]
    if differs:
        raise TrainingError(
            f"{shot} was ingested with {', '.join(differs)}",
            remedy="submit the training again, or put production.toml back as it was",
            file=str(folder),
        )


def _picture_size(shots: Sequence[ShotPaths], view: int) -> tuple[int, int]:
    sizes: dict[tuple[int, int], str] = {}
    for shot in shots:
        width, height = open_frames(shot.views[view]).attributes["picture_size"]
        sizes.setdefault((width, height), shot.shot)
    if len(sizes) > 1:
        listed = ", ".join(f"{w}x{h} ({shot})" for (w, h), shot in sizes.items())
        raise TrainingError(
            f"pictures differ in size: {listed}", remedy="train on footage framed alike"
        )
    return next(iter(sizes))
