"""Inference: a shot's footage through a model into its vertex store."""

from __future__ import annotations

import functools
import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facecap_core.fingerprints import fingerprint_footage
from facecap_core.footage.footage import Footage, FrameBatch
from facecap_core.learning.model import Model, load_model
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.provenance import made
from facecap_core.stores.groups import new_group, stored
from facecap_core.stores.object_folder import ArrayFolder

BATCH_FRAMES = 16
QUEUED_BATCHES = 4  # memory stays flat: what waits between two stages is bounded
PATIENCE_SECONDS = 1.0  # without a picture, until the caller is told so


@dataclass(frozen=True)
class InferResult:
    """What is in the store now; `reused` when the same footage and model had made it before."""

    frames: int
    reused: bool
    seconds: float
    waited_seconds: float = 0.0  # that the network waited for pictures
    network_seconds: float = 0.0


@dataclass(frozen=True)
class Decoding:
    """What has to be decoded for a model, here or on another machine."""

    footage: Path
    crop: tuple[int, int, int, int]
    fps: Fraction
    picture_size: tuple[int, int]


@dataclass(frozen=True)
class Pictures:
    """A shot's pictures on their way: how many there are, if that is known, and they themselves."""

    total: int | None
    batches: Iterator[FrameBatch]


def decode(decoding: Decoding) -> Pictures:
    """The pictures, decoded in this process.

    Raises:
        FootageError: by its named kinds.
    """
    source = Footage(
        decoding.footage,
        crop=decoding.crop,
        fps=decoding.fps,
        picture_size=decoding.picture_size,
    )
    return Pictures(source.info.frames_from_header, source.batches(BATCH_FRAMES))


def infer_shot(
    model_directory: Path,
    footage: Path,
    *,
    fps: Fraction,
    destination: ArrayFolder,
    provenance: Mapping[str, Any] | None = None,
    device: str | None = None,
    threads: int | None = None,
    decoder: Callable[[Decoding], Pictures] = decode,
    on_progress: OnProgress | None = None,
) -> InferResult:
    """Solve one shot, of any length in flat memory: decoding, network and writing overlap.

    Args:
        destination: the vertex store to make, see `StorePaths.vertices`.
        provenance: further attributes, such as the shot's name.
        threads: of the CPU for the network; None leaves torch's setting.
        decoder: where the pictures come from; the same pictures give the same vertices.

    Raises:
        FootageError: by its named kinds, `PictureSizeError` when the footage is framed otherwise than
            that of training. ModelError: no usable model. StoreError: it cannot be written.
    """
    started = time.monotonic()
    if threads is not None:
        torch.set_num_threads(threads)
    model = _cached_model(os.path.realpath(model_directory), device)
    identity = {
        "footage_fingerprint": fingerprint_footage(footage),
        "model": model.facts["model"],
        "model_fingerprint": _model_fingerprint(os.path.realpath(model_directory)),
        "fps": str(fps),
        "units": model.facts["units"],
    }
    found = stored(destination, identity)
    if found is not None:
        return InferResult(int(found["frames"]), True, time.monotonic() - started)
    decoding = Decoding(Path(footage), model.crop, fps, model.picture_size)
    clock = _Clock()
    with new_group(destination, identity) as group:
        positions = group.array(
            "positions",
            row_shape=(model.vertex_count, 3),
            dtype="float32",
            dimension_names=("frame", "vertex", "xyz"),
        )
        confidence = group.array(
            "confidence", row_shape=(), dtype="float32", dimension_names=("frame",)
        )

        def write(solved: np.ndarray) -> None:
            positions.append(solved)
            confidence.append(np.full(len(solved), np.nan, np.float32))

        done, total = 0, None
        with _Stage(write) as writer, _Ahead(decoder, decoding) as pictures:
            while (batch := pictures.next(clock, on_progress, done)) is not None:
                began = time.monotonic()
                writer.put(model.predict(batch.luma))
                clock.network_seconds += time.monotonic() - began
                done, total = done + len(batch.luma), pictures.total
                report(on_progress, Progress("infer", done, total, figures=clock.figures()))
        group.set_attributes(
            {
                **(provenance or {}),
                "actor": model.facts["actor"],
                "camera": model.camera,
                "topology_sha256": model.facts["topology_sha256"],
                "start_frame": 0,
                "footage": Path(footage).name,
                "confidence": "not estimated by this version: NaN",
                "made": {**made(), "device": str(model.device)},
            }
        )
    return InferResult(
        done,
        not group.won,
        time.monotonic() - started,
        waited_seconds=clock.waited_seconds,
        network_seconds=clock.network_seconds,
    )


@functools.lru_cache(maxsize=2)
def _cached_model(directory: str, device: str | None) -> Model:
    # A worker solves many shots with one model; the resolved path names one version of it.
    return load_model(Path(directory), device)


@functools.lru_cache(maxsize=8)
def _model_fingerprint(directory: str) -> str:
    weights = (Path(directory) / "weights.safetensors").read_bytes()
    return hashlib.sha256(weights).hexdigest()[:32]


@dataclass
class _Clock:
    """Where the time of a shot goes."""

    waited_seconds: float = 0.0
    network_seconds: float = 0.0

    def figures(self) -> dict[str, float]:
        return vars(self).copy()


class _Ahead:
    """The decoder's batches, decoded on another thread up to a few ahead."""

    def __init__(self, decoder: Callable[[Decoding], Pictures], decoding: Decoding) -> None:
        self.total: int | None = None
        self._decoder, self._decoding = decoder, decoding
        self._waiting: queue.Queue[FrameBatch | BaseException | None] = queue.Queue(QUEUED_BATCHES)
        self._stop = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._decode, name="decode", daemon=True)

    def __enter__(self) -> _Ahead:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def next(self, clock: _Clock, on_progress: OnProgress | None, done: int) -> FrameBatch | None:
        """The next batch, None at the end; tells the caller now and then that it waits."""
        began = time.monotonic()
        while True:
            try:
                item = self._waiting.get(timeout=PATIENCE_SECONDS)
                break
            except queue.Empty:
                waited = time.monotonic() - began
                if self._begun.is_set():
                    report(on_progress, Progress("infer", done, self.total))
                else:  # its decoder waits for a processor: that is no standstill
                    report(on_progress, Progress("queue", int(waited), None, "s"))
        clock.waited_seconds += time.monotonic() - began
        if isinstance(item, BaseException):
            raise item
        return item

    def _put(self, item: FrameBatch | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _decode(self) -> None:
        try:
            pictures = self._decoder(self._decoding)
            self.total = pictures.total
            self._begun.set()
            for batch in pictures.batches:
                if not self._put(batch):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)


class _Stage:
    """Calls a function on its own thread, in order, with a bounded queue; errors come back to the caller."""

    def __init__(self, function: Callable[[np.ndarray], None]) -> None:
        self._function = function
        self._waiting: queue.Queue[np.ndarray | None] = queue.Queue(QUEUED_BATCHES)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="write", daemon=True)

    def __enter__(self) -> _Stage:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, item: np.ndarray) -> None:
        if self._error is not None:
            raise self._error
        self._waiting.put(item)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self._error is None:  # after an error the queue is only emptied
                try:
                    self._function(item)
                except BaseException as error:
                    self._error = error
