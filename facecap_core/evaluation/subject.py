"""Subject: the model that is evaluated, with its actor's mesh and shots."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecap_core.errors import ModelError, StoreError
from facecap_core.evaluation.yardstick import Yardstick, yardstick
from facecap_core.learning.model import Model, load_model
from facecap_core.productions.production import Production
from facecap_core.regions import FaceRegions, actor_regions
from facecap_core.stores.groups import GroupReader, is_of_mesh
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.template import Template, read_animated, read_template


@dataclass(frozen=True)
class EvaluatedShot:
    """A shot, the pictures of it, what is evaluated, and what that is held against."""

    shot: str
    views: tuple[ArrayFolder, ...]  # a frame store a camera of the model
    target: ArrayFolder  # a target store, or the path of a point cache
    cached: bool = False  # whether the target is a point cache
    solved: ArrayFolder | None = None  # the vertex store; None: the model solves the shot anew


@dataclass(frozen=True)
class Subject:
    """A model of an actor; everything on a page about it is made from this."""

    production: Production
    actor: str
    directory: Path
    model: Model
    template: Template
    regions: FaceRegions
    stick: Yardstick
    categories: Mapping[str, str]
    cameras: tuple[str, ...]  # those of the model that it is evaluated with, in the model's order

    @property
    def views(self) -> list[int]:
        """Places of these cameras among the model's."""
        return [self.model.cameras.index(camera) for camera in self.cameras]

    @property
    def animated(self) -> np.ndarray:
        """int64 [n]."""
        return self.stick.animated

    def shots(self, names: Iterable[str]) -> list[EvaluatedShot]:
        """Shots of these names, as the model is trained on them, in the stores of frames and targets."""
        store, config = self.production.paths, self.model.config
        return [
            EvaluatedShot(
                name,
                store.views(name, self.cameras, stabilised=config.stabilised_input),
                store.targets(name, stabilised=config.targets == "stabilised"),
            )
            for name in names
        ]

    def check_crops(self, shot: EvaluatedShot) -> None:
        """Raises StoreError where the shot's stored pictures are of another crop than the model sees."""
        for camera, view in zip(self.cameras, shot.views, strict=True):
            told, crop = GroupReader(view).attributes.get("crop"), list(self.model.crop(camera))
            if told not in (None, crop):
                raise StoreError(
                    f"{shot.shot} was ingested with the crop {told} of {camera}, the model sees {crop}",
                    remedy="put that crop back in production.toml and submit an ingest, or take a newer model",
                    file=str(view),
                )

    def check_mesh(self, shot: EvaluatedShot) -> None:
        """Raises ModelError where the shot's stored targets are of another mesh than the model's."""
        template = self.template
        if not is_of_mesh(
            GroupReader(shot.target), template.topology_sha256, template.vertex_count
        ):
            raise ModelError(
                f"the targets of {shot.shot} are of another mesh than the model",
                remedy="submit an ingest of the shot, or choose a model of its mesh",
                file=str(shot.target),
            )

    def names(self, split: str) -> list[str]:
        """The shots that it was trained on ("train"), those held back ("validation"), or all "bulk" ones."""
        if split == "bulk":
            return [shot.name for shot in self.production.shots_of(self.actor, split="")]
        part = "training" if split == "train" else split
        return list(self.model.facts[part]["shots"])


def open_subject(
    production: Production,
    actor: str,
    model: str,
    device: str | None = None,
    cameras: Sequence[str] = (),
    *,
    calibrated: bool = True,
) -> Subject:
    """Load a model, its actor's template, animated vertices and regions.

    Args:
        cameras: to evaluate it with, fewer than it has where it was trained to do without; none: all.
        calibrated: False leaves its calibration unread, in whatever state that is.

    Raises:
        ModelError: the model is missing or damaged, cannot do with these cameras, or its actor's template
            or the production's units have changed since.
        TemplateError: template, animated vertices or regions cannot be read.
        ConfigError: there is no such device.
    """
    # Resolved once: a model that is replaced meanwhile does not get into half of the work.
    directory = Path(os.path.realpath(production.paths.model(actor, model)))
    loaded = load_model(directory, device, calibrated=calibrated)
    settings = production.actors[actor]
    template = read_template(settings.template)
    if template.topology_sha256 != loaded.facts["topology_sha256"]:
        raise ModelError(
            "was trained on another template than the actor's present one",
            remedy=f"put the old template back, or train {actor} again",
            file=directory,
        )
    if loaded.facts["units"] != production.units:
        raise ModelError(
            f"was trained in {loaded.facts['units']}, the production is in {production.units} now",
            remedy=f"put units in production.toml back, or train {actor} again",
            file=directory,
        )
    animated = read_animated(settings.animated, template.vertex_count)
    regions = actor_regions(settings, template)
    stick = yardstick(template.positions, animated, regions, production.mm_per_unit)
    categories = {shot.name: shot.category for shot in production.shots.values()}
    return Subject(
        production,
        actor,
        directory,
        loaded,
        template,
        regions,
        stick,
        categories,
        _cameras(loaded, cameras, directory),
    )


def _cameras(model: Model, chosen: Sequence[str], directory: Path) -> tuple[str, ...]:
    unknown = [camera for camera in chosen if camera not in model.cameras]
    if unknown:
        raise ModelError(
            f"was not trained on camera {', '.join(unknown)}",
            remedy=f"name of these: {', '.join(model.cameras)}",
            file=directory,
        )
    kept = tuple(camera for camera in model.cameras if camera in chosen) or model.cameras
    if kept != model.cameras and not model.may_miss_views:
        raise ModelError(
            f"needs all of its cameras: {', '.join(model.cameras)}",
            remedy="train one that may do without, with --set network.view_dropout=0.2",
            file=directory,
        )
    return kept
