"""Actor training: one actor of a production, from its stores to a model folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facecap_core.corrections.corrected_examples import (
    CorrectedShot,
    chosen_corrections,
    with_corrections,
)
from facecap_core.errors import TrainingError
from facecap_core.fingerprints import fingerprint_weights
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.examples import Examples
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
from facecap_core.template import Template, read_animated, read_template


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
        TrainingError: no training shots, shots framed differently or ingested by other settings, or not
            stabilised as the configuration wants it.
        StoreError: a shot is not ingested, or the model cannot be written.
        Cancelled: see `train`.
    """
    settings, paths = production.actors[actor], production.paths
    template = read_template(settings.template)
    animated = read_animated(settings.animated, template.vertex_count)
    cameras = tuple(cameras) or (settings.main_camera,)
    stores = _Stores(production, actor, cameras, config, template)
    training, validation = stores.shots("train"), stores.shots("validation")
    if not training:
        raise TrainingError(
            f"{actor} has no shots of split train",
            remedy="set split to train for the tracked shots",
            file=production.shots_path,
        )
    learned = [*training, *validation]
    if config.targets == "stabilised":
        for shot in learned:
            check_stabilised(shot.shot, paths.targets(shot.shot), shot.targets, template)
    facts = {"actor": actor, "model": model, **stores.facts(learned)}
    stores.check_unchanged(learned, corrections or ())
    begun: dict[str, Any] = {
        "fingerprints": {shot.shot: _fingerprints(shot, cameras) for shot in learned}
    }
    start = None
    if base is not None:
        start = load_model(paths.model(actor, base), device, calibrated=False)
        check_base(start.facts, config, facts)
        fingerprint = fingerprint_weights(paths.model(actor, base))
        begun["base"] = {"model": base, "fingerprint": fingerprint}
    examples = stores.load(training)
    if corrections:
        examples = stores.corrected(examples, corrections)
        begun["corrections"] = {shot: list(contents) for shot, contents in corrections.items()}
    return train(
        examples,
        stores.load(validation) if validation else None,
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


@dataclass(frozen=True)
class _Stores:
    """What an actor's training reads of the store, with these cameras and this configuration."""

    production: Production
    actor: str
    cameras: tuple[str, ...]
    config: TrainConfig
    template: Template

    def views(self, shot: str) -> tuple[ArrayFolder, ...]:
        stabilised = self.config.stabilised_input
        return self.production.paths.views(shot, self.cameras, stabilised=stabilised)

    def shots(self, split: str) -> list[ShotPaths]:
        paths, stabilised = self.production.paths, self.config.targets == "stabilised"
        return [
            ShotPaths(
                shot.name, self.views(shot.name), paths.targets(shot.name, stabilised=stabilised)
            )
            for shot in self.production.shots_of(self.actor, split=split)
        ]

    def facts(self, shots: Sequence[ShotPaths]) -> dict[str, Any]:
        """What model.json says of pictures and meshes.

        Raises:
            TrainingError: the shots' pictures differ in size.
        """
        return {
            "cameras": list(self.cameras),
            "crop": {camera: self._crop(camera) for camera in self.cameras},
            "picture_size": {
                camera: list(_picture_size(shots, view)) for view, camera in enumerate(self.cameras)
            },
            **self._meshes(),
        }

    def check_unchanged(self, shots: Sequence[ShotPaths], corrected: Iterable[str]) -> None:
        """Refuse what was ingested by another production.toml than the one by which the model will be used.

        Args:
            corrected: shots of which only corrected frames are learned, so that they need no targets.

        Raises:
            TrainingError: it was changed since.
        """
        for shot in shots:
            _check_made_with(shot.shot, shot.targets, self._meshes())
        views = {shot.shot: shot.views for shot in shots}
        views |= {shot: self.views(shot) for shot in corrected}
        for name, folders in views.items():
            for camera, folder in zip(self.cameras, folders, strict=True):
                made = {"fps": str(self.production.fps), "crop": self._crop(camera)}
                _check_made_with(name, folder, made)

    def load(self, shots: Sequence[ShotPaths]) -> Examples:
        """The shots in memory, see `load_examples`."""
        size = self.config.network.input_size
        return load_examples(shots, units=self.production.units, input_size=size)

    def corrected(self, examples: Examples, corrections: Mapping[str, Sequence[str]]) -> Examples:
        """The examples with the corrections of these contents, see `with_corrections`."""
        paths = self.production.paths
        corrected = [
            CorrectedShot(
                shot, self.views(shot), chosen_corrections(paths, self.actor, shot, contents)
            )
            for shot, contents in corrections.items()
        ]
        return with_corrections(
            examples,
            corrected,
            units=self.production.units,
            topology_sha256=self.template.topology_sha256,
            input_size=self.config.network.input_size,
        )

    def _crop(self, camera: str) -> list[int]:
        return list(self.production.actors[self.actor].cameras[camera].crop)

    def _meshes(self) -> dict[str, str]:
        return {
            "fps": str(self.production.fps),
            "units": self.production.units,
            "topology_sha256": self.template.topology_sha256,
        }


def _fingerprints(shot: ShotPaths, cameras: Sequence[str]) -> dict[str, str]:
    """What the shot was ingested from: the first camera is `footage`, as long as there was one only."""
    told = {}
    for place, (camera, view) in enumerate(zip(cameras, shot.views, strict=True)):
        name = f"footage of {camera}" if place else "footage"
        told[name] = open_frames(view).attributes["footage_fingerprint"]
    return {**told, "cache": open_targets(shot.targets).attributes["cache_fingerprint"]}


def _check_made_with(shot: str, folder: ArrayFolder, settings: Mapping[str, Any]) -> None:
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
