"""Model results: what a model makes of a shot, from the store where it is that model's, else solved anew in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from facecap_core.errors import ModelError
from facecap_core.fingerprints import fingerprint_footage, fingerprint_weights
from facecap_core.footage.footage import Footage
from facecap_core.footage.input_stabilisation import Stabiliser, stabiliser
from facecap_core.inference import stabilisers_of, views_of
from facecap_core.learning.model import Model, load_model, read_model_facts
from facecap_core.pictures_ahead import Clock, Decoding, Pictures, PicturesAhead
from facecap_core.productions.production import Production
from facecap_core.solved_shot import fingerprints_solved
from facecap_core.stores.groups import GroupReader, open_frames, open_vertices

BLOCK = 64  # frames at once: a chunk of the stores

Blocks = Iterator[tuple[int, int, np.ndarray]]
"""First frame, number of frames, and positions float32 [frame, vertex, xyz] of every `every`-th frame of the
shot that lies in them."""


@dataclass(frozen=True)
class ComparedModel:
    """A model of an actor; its network is read when the first shot has to be solved anew."""

    production: Production
    actor: str
    name: str
    directory: Path
    fingerprint: str

    @cached_property
    def network(self) -> Model:
        return load_model(self.directory)

    def stored(self, shot: str) -> GroupReader | None:
        """The shot's vertex store, where this model solved it, and the footage is still the same."""
        path = self.production.paths.vertices(self.actor, shot)
        if not path.exists():
            return None
        store = open_vertices(path)
        if store.attributes.get("model_fingerprint") != self.fingerprint:
            return None
        main = self.production.actors[self.actor].main_camera
        for camera, known in fingerprints_solved(store.attributes, main).items():
            footage = self.production.shots[shot].footage.get(camera)
            if footage is None or not footage.exists():
                continue  # nothing to hold it against: what was solved is what there is
            if fingerprint_footage(footage) != known:
                return None
        return store

    def results(self, shot: str, every: int) -> Blocks:
        """Every `every`-th frame, in blocks of 64 frames; the shot is solved anew where it has to be.

        Raises:
            FootageError, LandmarksError, ModelError, StoreError: it cannot be.
        """
        store = self.stored(shot)
        return self._solved(shot, every) if store is None else _read(store, every)

    def _solved(self, shot: str, every: int) -> Blocks:
        footage, model = self.production.shots[shot].footage, self.network
        cameras = views_of(model, footage)
        views = [model.cameras.index(camera) for camera in cameras]
        still = stabilisers_of(model, cameras, lambda camera: self._stabiliser(shot, camera))
        done = 0
        for luma in self._pictures(shot, cameras):
            for view, one in enumerate(still.values()):
                luma[:, view] = one(luma[:, view], done)
            kept = luma[-done % every :: every]
            yield (
                done,
                len(luma),
                model.predict(kept, views)
                if len(kept)
                else np.empty((0, model.vertex_count, 3), np.float32),
            )
            done += len(luma)

    def _stabiliser(self, shot: str, camera: str) -> Stabiliser | None:
        return stabiliser(self.production.actors[self.actor].cameras[camera], shot)

    def _pictures(self, shot: str, cameras: list[str]) -> Iterator[np.ndarray]:
        """The shot's pictures, uint8 [frame, view, y, x]: decoded, or from the frame stores if they are of the
        same footage and crop, which is many times as fast."""
        model, footage = self.network, self.production.shots[shot].footage
        stores = [self._frames(shot, camera) for camera in cameras]
        if all(store is not None for store in stores):
            for first in range(0, stores[0].frames if stores[0] else 0, BLOCK):
                yield np.stack([s.read("luma", first, first + BLOCK) for s in stores if s], axis=1)
            return
        decodings = {
            camera: Decoding(
                Path(footage[camera]),
                model.crop(camera),
                self.production.fps,
                model.picture_size(camera),
            )
            for camera in cameras
        }
        clock, done = Clock(), 0
        with PicturesAhead(_decode, decodings) as pictures:
            while (luma := pictures.next(clock, None, done)) is not None:
                yield luma
                done += len(luma)

    def _frames(self, shot: str, camera: str) -> GroupReader | None:
        path = self.production.paths.frames(shot, camera)
        if not path.exists():
            return None
        store = open_frames(path)
        about = store.attributes
        same = fingerprint_footage(self.production.shots[shot].footage[camera])
        crop = list(self.network.crop(camera))
        if about.get("footage_fingerprint") != same or about.get("crop") != crop:
            return None
        return store


def open_compared(production: Production, actor: str, name: str) -> ComparedModel:
    """A model of the actor, by its whole name.

    Raises:
        ModelError: it is missing, or of another mesh than the actor's template.
    """
    directory = Path(os.path.realpath(production.paths.model(actor, name)))
    read_model_facts(directory)
    return ComparedModel(production, actor, name, directory, fingerprint_weights(directory))


def check_alike(old: ComparedModel, new: ComparedModel) -> None:
    """Both have to put out the same mesh in the same units.

    Raises:
        ModelError: they do not.
    """
    facts = [read_model_facts(model.directory) for model in (old, new)]
    for key, words in (("topology_sha256", "mesh"), ("units", "units")):
        if facts[0].get(key) != facts[1].get(key):
            raise ModelError(
                f"{old.name} and {new.name} differ in their {words}",
                remedy="compare models of the same template and units",
            )


def frames_of(production: Production, actor: str, shot: str) -> int:
    """How many frames the shot has, as far as that is known without decoding it; else 0."""
    vertices = production.paths.vertices(actor, shot)
    if vertices.exists():
        return open_vertices(vertices).frames
    footage = production.shots[shot].footage
    camera = next(iter(footage), None)
    if camera is None:
        return 0
    crop = production.actors[actor].cameras[camera].crop
    with Footage(footage[camera], crop=crop, fps=production.fps) as source:
        return source.info.frames_from_header or 0


def _read(store: GroupReader, every: int) -> Blocks:
    for first in range(0, store.frames, BLOCK):
        block = store.read("positions", first, min(first + BLOCK, store.frames))
        yield first, len(block), block[-first % every :: every]


def _decode(decoding: Decoding) -> Pictures:
    source = Footage(
        decoding.footage,
        crop=decoding.crop,
        fps=decoding.fps,
        picture_size=decoding.picture_size,
    )
    return Pictures(source.info, source.batches(BLOCK))
