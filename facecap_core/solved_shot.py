"""Solved shot: a shot's vertex store with the actor's mesh that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from facecap_core.corrections.correction import standing
from facecap_core.corrections.shot_corrections import ShotCorrections, combine
from facecap_core.errors import StoreError
from facecap_core.frame_names import FrameNames
from facecap_core.outputs import digest_of
from facecap_core.productions.production import Actor, Production
from facecap_core.stores.groups import GroupReader, open_vertices
from facecap_core.template import Template, read_template
from facecap_core.units import MM_PER_UNIT


@dataclass(frozen=True)
class SolvedShot:
    """A result, with the frames that an artist corrected in their place."""

    name: str
    actor: Actor
    store: GroupReader
    template: Template
    corrections: ShotCorrections | None = (
        None  # None: there are none, or it is taken as it was solved
    )

    @property
    def facts(self) -> dict[str, Any]:
        """What the store says of itself: model, fps, units, start_frame, made, …"""
        return self.store.attributes

    @property
    def frames(self) -> int:
        return self.store.frames

    @property
    def fps(self) -> Fraction:
        return self.names.fps

    @cached_property
    def names(self) -> FrameNames:
        """How its frames are called."""
        return FrameNames.of(self.facts, self.store.path)

    @property
    def start_frame(self) -> int:
        """Number of the first frame, as videos, pages and files show it."""
        return self.names.start_frame

    @property
    def model(self) -> str:
        return str(self.facts.get("model", ""))

    @cached_property
    def confidence(self) -> np.ndarray | None:
        """float32 [frame] from 0 to 1, which is as good as a usual validation frame: half of it is an error
        that is expected to be twice the usual one. Of corrected frames 1. None where none was estimated."""
        confidence = self._figure("confidence")
        if confidence is None or self.corrections is None:
            return confidence
        return np.where(self.corrections.corrected, np.float32(1), confidence)

    @cached_property
    def predicted_rmse_mm(self) -> np.ndarray | None:
        """float32 [frame], the error that is expected over the animated vertices; None: not estimated."""
        return self._figure("predicted_rmse_mm")

    @cached_property
    def novelty(self) -> np.ndarray | None:
        """float32 [frame], how far the picture is from those of training as the network sees it; 1 is the
        95th percentile of the validation frames. None where none was estimated."""
        return self._figure("novelty")

    @property
    def camera(self) -> str:
        """That it was solved from; of several, the first."""
        return _camera(self.facts, self.actor)

    @property
    def cameras(self) -> tuple[str, ...]:
        """All that it was solved from."""
        told = self.facts.get("cameras")
        return tuple(map(str, told)) if isinstance(told, list) and told else (self.camera,)

    @property
    def missing_cameras(self) -> tuple[str, ...]:
        """Those of its model that the shot had no footage of, as far as its store knows."""
        told = self.facts.get("missing_cameras")
        return tuple(map(str, told)) if isinstance(told, list) else ()

    @property
    def solver(self) -> str:
        """What it was solved by, in words: the model, and from which cameras where there are several."""
        if len({*self.actor.cameras, *self.cameras, *self.missing_cameras}) == 1:
            return self.model
        without = f", without {' and '.join(self.missing_cameras)}" if self.missing_cameras else ""
        return f"{self.model} from {' and '.join(self.cameras)}{without}"

    def footage(
        self, production: Production, camera: str | None = None
    ) -> tuple[Path, tuple[int, int, int, int]]:
        """What a camera saw, and the crop of it, see `crop`.

        Args:
            camera: one of those that it was solved from; None: the first.

        Raises:
            StoreError: it was not solved from this camera, or the production has no such camera or no footage
                of it any more.
        """
        camera = camera or self.camera
        if camera not in self.cameras:
            raise StoreError(
                f"was not solved from a camera {camera!r}",
                remedy=f"choose of {', '.join(self.cameras)}",
                file=str(self.store.path),
            )
        place, crop = production.shots[self.name].footage.get(camera), self.crop(camera)
        if place is None or crop is None:
            raise StoreError(
                f"was solved from the camera {camera}, of which the production has no footage any more",
                remedy=f"put the camera back in production.toml and shots.csv, or solve {self.name} again",
                file=str(self.store.path),
            )
        return place, crop

    def crop(self, camera: str) -> tuple[int, int, int, int] | None:
        """x, y, width, height of what the model saw, which the production may have changed since; None: not known."""
        told = self.facts.get("crops")
        if isinstance(told, dict) and camera in told:
            x, y, width, height = (int(v) for v in told[camera])
            return x, y, width, height
        known = self.actor.cameras.get(camera)  # stores of earlier versions do not tell it
        return known.crop if known is not None else None

    def read(self, start: int, stop: int) -> np.ndarray:
        """Frames [start, stop), float32 [frame, vertex, xyz] in the production's units."""
        if self.corrections is not None:
            return self.corrections.read(start, stop, self.read_solved)
        return self.read_solved(start, stop)

    def read_solved(self, start: int, stop: int) -> np.ndarray:
        """The same as they were solved, whatever was corrected: float32 [frame, vertex, xyz]."""
        return self.store.read("positions", start, stop)

    def _figure(self, name: str) -> np.ndarray | None:
        if not self.store.has(name):  # of an earlier version
            return None
        figure = self.store.read(name)
        return figure if np.isfinite(figure).any() else None


def open_solved(
    production: Production, shot: str, *, corrected: bool = True, template: Template | None = None
) -> SolvedShot:
    """The shot's result.

    Args:
        corrected: with the corrections of the shot that count; False: as it was solved.
        template: the actor's, where it was read already: for many shots that is most of the time.

    Raises:
        StoreError: it is not solved, its store is damaged, it was solved on another template or in other
            units, or it has corrections of other footage.
        TemplateError: the actor's template cannot be read.
    """
    actor = production.actors[production.shots[shot].actor]
    store, template = _store(production, shot), template or read_template(actor.template)
    if store.attributes.get("topology_sha256") != template.topology_sha256:
        raise StoreError(
            "was solved on another template than the actor's present one",
            remedy="put the old template back, or solve the shot again",
            file=str(store.path),
        )
    if store.attributes.get("units") not in MM_PER_UNIT:
        raise StoreError(
            f"says units {store.attributes.get('units')!r}, which are not known",
            remedy="delete it and run the inference of this shot again",
            file=str(store.path),
        )
    if store.attributes["units"] != production.units:
        raise StoreError(
            f"was solved in {store.attributes['units']}, the production is in {production.units} now",
            remedy="put units in production.toml back, or train again and solve the shot with that model",
            file=str(store.path),
        )
    corrections = None
    if corrected:
        corrections = combine(
            standing(production.paths, actor.name, shot),
            store.frames,
            footage_fingerprint=store.attributes.get("footage_fingerprint"),
            topology_sha256=template.topology_sha256,
        )
    return SolvedShot(shot, actor, store, template, corrections)


def vertices_identity(production: Production, shot: str, *, corrected: bool = True) -> str:
    """Digest of what a shot's vertices are, with its corrections or without; other vertices, other digest.

    Raises:
        StoreError: it is not solved, or its store is damaged.
    """
    actor = production.shots[shot].actor
    corrections = standing(production.paths, actor, shot) if corrected else ()
    contents = [[one.content, one.blend] if one.blend else one.content for one in corrections]
    return digest_of([_store(production, shot).attributes, contents])


def camera_of(production: Production, shot: str) -> str:
    """The first camera that a shot was solved from, see `SolvedShot.camera`.

    Raises:
        StoreError: it is not solved, or its store is damaged.
    """
    actor = production.actors[production.shots[shot].actor]
    return _camera(_store(production, shot).attributes, actor)


def fingerprints_solved(facts: Mapping[str, Any], main: str) -> dict[str, str | None]:
    """Of the footage that a shot was solved from, by camera, as its vertex store says of itself; None: it does not.

    Args:
        main: the camera, where the store names none.
    """
    told = facts.get("footage_fingerprints")
    if isinstance(told, dict):  # of a model of several cameras
        return told
    return {str(facts.get("camera", main)): facts.get("footage_fingerprint")}


def _camera(facts: Mapping[str, Any], actor: Actor) -> str:
    return str(facts.get("camera", actor.main_camera))


def _store(production: Production, shot: str) -> GroupReader:
    actor = production.shots[shot].actor
    path = production.paths.vertices(actor, shot)
    if not path.exists():
        # All of an actor are the bulk shots.
        which = (
            "--shots FILE, with its name in it"
            if production.shots[shot].split
            else f"--actor {actor}"
        )
        raise StoreError(
            "the shot is not solved", remedy=f"farm submit infer {which}", file=str(path)
        )
    return open_vertices(path)
