"""Inference: a shot's footage through a model into its vertex store."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from facecap_core.errors import FootageMissing, ModelError
from facecap_core.fingerprints import fingerprint_footage, fingerprint_weights
from facecap_core.footage.input_stabilisation import Stabiliser
from facecap_core.learning.model import Model, load_model
from facecap_core.pictures_ahead import (
    Clock,
    Decoding,
    Pictures,
    PicturesAhead,
    decode,
)
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.provenance import made
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import stored
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.vertex_writer import VertexWriter


@dataclass(frozen=True)
class InferResult:
    """What is in the store now; `reused` when the same footage and model had made it before."""

    frames: int
    reused: bool
    seconds: float
    waited_seconds: float = 0.0  # that the network waited for pictures
    network_seconds: float = 0.0
    decoder: str = ""  # what decoded, for the log
    weights: str = ""  # what tells the model's from others, see `fingerprint_weights`


def infer_shot(
    model_directory: Path,
    footage: Mapping[str, Path],
    *,
    fps: Fraction,
    destination: ArrayFolder,
    provenance: Mapping[str, Any] | None = None,
    device: str | None = None,
    threads: int | None = None,
    hardware: bool = False,
    decoder: Callable[[Decoding], Pictures] = decode,
    stabiliser_of: Callable[[str], Stabiliser | None] = lambda camera: None,
    on_progress: OnProgress | None = None,
) -> InferResult:
    """Solve one shot, of any length in flat memory: decoding, network and writing overlap.

    Args:
        footage: of each camera that the shot has; cameras that the model does not know do not matter.
        destination: the vertex store to make, see `StorePaths.vertices`.
        provenance: further attributes, such as the shot's name.
        threads: of the CPU for the network; None leaves torch's setting.
        hardware: a device of the machine may decode, see `Footage`.
        decoder: where the pictures come from; the same pictures give the same vertices.
        stabiliser_of: a camera's, asked for where the model was trained on stabilised pictures.

    Raises:
        FootageError: by its named kinds, `PictureSizeError` when the footage is framed otherwise than
            that of training, `FootageMissing` when a camera is missing that the model cannot do
            without. LandmarksError: they are of another shot. ModelError: no usable model, or one that needs
            stabilisers. StoreError: it cannot be written.
    """
    started = time.monotonic()
    if threads is not None:
        torch.set_num_threads(threads)
    version = os.path.realpath(model_directory)  # another training may replace it meanwhile
    model = _cached_model(version, device)
    views = views_of(model, footage)
    identity = _identity(model, version, {view: footage[view] for view in views}, fps)
    still = stabilisers_of(model, views, stabiliser_of)
    if still:
        identity["landmarks"] = {camera: one.identity for camera, one in still.items()}
    found = stored(destination, identity)
    if found is not None:
        return InferResult(
            int(found["frames"]),
            True,
            time.monotonic() - started,
            weights=identity["model_fingerprint"],
        )
    decodings = {
        camera: Decoding(
            Path(footage[camera]), model.crop(camera), fps, model.picture_size(camera), hardware
        )
        for camera in views
    }
    present = [model.cameras.index(camera) for camera in views]
    clock, done, engine = Clock(), 0, None
    # Decoding begins first: a group takes its time to be opened.
    with (
        PicturesAhead(decoder, decodings) as pictures,
        new_group(destination, identity) as group,
    ):
        with VertexWriter(group, model, present, clock, model_directory) as writer:
            while (luma := pictures.next(clock, on_progress, done)) is not None:
                began = time.monotonic()
                for view, one in enumerate(still.values()):
                    luma[:, view] = one(luma[:, view], done)
                if engine is None:
                    engine = model.solver(luma, present)
                result = engine.start(luma)
                clock.solving_seconds += time.monotonic() - began
                writer.put(result)
                done += len(luma)
                report(
                    on_progress, Progress("infer", done, pictures.total, figures=clock.figures())
                )
        for one in still.values():
            one.check_frames(done)
        group.set_attributes(
            {
                **(provenance or {}),
                **_attributes(model, views),
                **(pictures.info.start if pictures.info else {}),
                "footage": Path(footage[views[0]]).name,
                "made": {
                    **made(),
                    "device": str(model.device),
                    "engine": engine.name if engine else None,
                },
            }
        )
    return InferResult(
        done,
        not group.won,
        time.monotonic() - started,
        waited_seconds=clock.waited_seconds,
        network_seconds=clock.network_seconds,
        decoder=pictures.decoder,
        weights=identity["model_fingerprint"],
    )


def _identity(
    model: Model, directory: str, footage: Mapping[str, Path], fps: Fraction
) -> dict[str, Any]:
    """What decides the vertices, besides landmarks: the pictures of these cameras, and the model."""
    fingerprints = {camera: fingerprint_footage(path) for camera, path in footage.items()}
    identity: dict[str, Any] = {
        "footage_fingerprint": next(iter(fingerprints.values())),
        "model": model.facts["model"],
        "model_fingerprint": _model_fingerprint(directory),
        "fps": str(fps),
        "units": model.facts["units"],
    }
    if len(model.cameras) > 1:
        identity["footage_fingerprints"] = fingerprints
    if model.confidence is not None:
        identity["calibration"] = model.facts["confidence"]["fingerprint"]
    return identity


def _attributes(model: Model, views: Sequence[str]) -> dict[str, Any]:
    """What the vertex store says of the model's part in it."""
    confidence = "not estimated: the model has no calibration of this version (farm calibrate)"
    if model.confidence is not None:
        usual = model.confidence.usual_mm
        confidence = f"1 where at most {usual:.3f} mm are expected, as of a usual validation frame"
    return {
        "actor": model.facts["actor"],
        "camera": views[0],
        "cameras": views,
        "missing_cameras": [camera for camera in model.cameras if camera not in views],
        "crops": {camera: list(model.crop(camera)) for camera in views},
        "stabilised_input": model.config.stabilised_input,
        "topology_sha256": model.facts["topology_sha256"],
        "confidence": confidence,
    }


def views_of(model: Model, footage: Mapping[str, Path]) -> list[str]:
    """The model's cameras that the shot has footage of.

    Raises:
        FootageMissing: there is none of a camera that the model cannot do without.
    """
    views = [camera for camera in model.cameras if camera in footage]
    missing = [camera for camera in model.cameras if camera not in footage]
    if not views or (missing and not model.may_miss_views):
        raise FootageMissing(
            f"the shot has no footage of {' and '.join(missing)}, which its model was trained on",
            remedy="fill in that camera's column, or name another model with --model",
        )
    return views


def stabilisers_of(
    model: Model, views: Sequence[str], stabiliser_of: Callable[[str], Stabiliser | None]
) -> dict[str, Stabiliser]:
    """One for each camera of the shot; none for a model that takes the pictures as they are.

    Raises:
        ModelError: it needs one, and a camera has no landmarks.
    """
    if not model.config.stabilised_input:
        return {}
    found = {}
    for camera in views:
        stabiliser = stabiliser_of(camera)
        if stabiliser is None:
            raise ModelError(
                f"was trained on stabilised pictures, and camera {camera} has no landmarks",
                remedy=f'set landmarks of camera {camera} in production.toml, e.g. to "dlib"',
            )
        found[camera] = stabiliser
    return found


@functools.lru_cache(maxsize=2)
def _cached_model(directory: str, device: str | None) -> Model:
    # A worker solves many shots with one model; the resolved path names one version of it.
    return load_model(Path(directory), device)


@functools.lru_cache(maxsize=8)
def _model_fingerprint(directory: str) -> str:
    return fingerprint_weights(Path(directory))
