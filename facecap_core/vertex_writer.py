"""Vertex writer: a shot's results into its vertex store, on a thread of their own beside the network."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from facecap_core.errors import ModelError
from facecap_core.learning.confidence import FrameFigures, not_estimated
from facecap_core.learning.engine import Result
from facecap_core.learning.model import Model
from facecap_core.pictures_ahead import QUEUED_BATCHES, Clock
from facecap_core.stores.group_writer import GroupWriter


class VertexWriter:
    """Writes results in their order, of which only a few may wait; errors come back to the caller.

    Args:
        group: gets `positions` in the production's units, and the figures of each frame.
        views: which of the model's cameras saw the frames.
        model_directory: named where the model is at fault.
    """

    def __init__(
        self,
        group: GroupWriter,
        model: Model,
        views: Sequence[int],
        clock: Clock,
        model_directory: Path,
    ) -> None:
        self._model, self._views, self._clock = model, views, clock
        self._model_directory = model_directory
        self._positions = group.positions(model.vertex_count)
        self._figures = {field.name: group.figure(field.name) for field in fields(FrameFigures)}
        self._waiting: queue.Queue[Result | None] = queue.Queue(QUEUED_BATCHES)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="write", daemon=True)

    def __enter__(self) -> VertexWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, result: Result) -> None:
        """Hand in the next result; raises what went wrong with an earlier one.

        Raises:
            ModelError: it is not numbers. StoreError: it cannot be written.
        """
        if self._error is not None:
            raise self._error
        self._waiting.put(result)

    def _work(self) -> None:
        while (result := self._waiting.get()) is not None:
            if self._error is None:  # after an error the queue is only emptied
                try:
                    self._write(result)
                except BaseException as error:
                    self._error = error

    def _write(self, result: Result) -> None:
        began = time.monotonic()
        solved = result()
        self._clock.fetching_seconds += time.monotonic() - began
        if not np.isfinite(solved[:, 0]).all():  # one that is not spreads to all vertices
            raise ModelError(
                "puts out positions that are not numbers",
                remedy="train again",
                file=self._model_directory,
            )
        self._positions.append(solved)
        expected = self._expected(result)
        for name, figure in self._figures.items():
            figure.append(getattr(expected, name))

    def _expected(self, result: Result) -> FrameFigures:
        """What is expected of the frames of a result."""
        signals = result.signals()
        if self._model.confidence is None or signals is None:
            return not_estimated(len(result()))
        return self._model.confidence.figures(signals, self._views)
