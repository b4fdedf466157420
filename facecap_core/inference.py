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
from facecap_core.object_folder import ArrayFolder
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.provenance import made
from facecap_core.stores import new_group, stored

BATCH_FRAMES = 16
QUEUED_BATCHES = 4  # memory stays flat: what waits between two stages is bounded


@dataclass(frozen=True)
class InferResult:
    """What is in the store now; `reused` when the same footage and model had made it before."""

    frames: int
    reused: bool
    seconds: float


def infer_shot(
    model_directory: Path,
    footage: Path,
    *,
    fps: Fraction,
    destination: ArrayFolder,
    provenance: Mapping[str, Any] | None = None,
    device: str | None = None,
    threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> InferResult:
    """Solve one shot, of any length in flat memory: decoding, network and writing overlap.

    Args:
        destination: the vertex store to make, see `StorePaths.vertices`.
        provenance: further attributes, such as the shot's name.
        threads: of the CPU for the network; None leaves torch's setting.

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
    source = Footage(footage, crop=model.crop, fps=fps, picture_size=model.picture_size)
    total = source.info.frames_from_header
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

        done = 0
        with _Stage(write) as writer:
            for batch in _ahead(source.batches(BATCH_FRAMES)):
                writer.put(model.predict(batch.luma))
                done += len(batch.luma)
                report(on_progress, Progress("infer", done, total))
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
    return InferResult(done, not group.won, time.monotonic() - started)


@functools.lru_cache(maxsize=2)
def _cached_model(directory: str, device: str | None) -> Model:
    # A worker solves many shots with one model; the resolved path names one version of it.
    return load_model(Path(directory), device)


@functools.lru_cache(maxsize=8)
def _model_fingerprint(directory: str) -> str:
    weights = (Path(directory) / "weights.safetensors").read_bytes()
    return hashlib.sha256(weights).hexdigest()[:32]


def _ahead(batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
    """The same batches, decoded on another thread up to a few ahead."""
    waiting: queue.Queue[FrameBatch | BaseException | None] = queue.Queue(QUEUED_BATCHES)
    stop = threading.Event()

    def put(item: FrameBatch | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def decode() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=decode, name="decode", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


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
