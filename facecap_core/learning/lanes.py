"""Lanes: batches on their way through a GPU, one uploaded and one fetched while another is solved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from facecap_core.learning.engine import Engine, Result

LANES = 2
WARM_UPS = 3  # cuDNN chooses its kernels in them, which a graph must not record


class Lanes:
    """An engine's batches, in flight on streams of their own; `start` never waits for the GPU.

    Batches are of one size, which the first one sets; what is shorter is padded. On a GPU each lane replays a
    graph of it: a hundred kernels of a few microseconds are otherwise a hundred launches. Without a
    GPU the same steps run one after the other.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gpu = engine.device.type == "cuda"
        self._lanes: list[_Lane] = []
        self._next = 0
        self._streams = [torch.cuda.Stream(engine.device) for _ in range(3)] if self._gpu else []
        self.name = engine.name + (", CUDA graphs" if self._gpu else "")
        self.device, self.half = engine.device, engine.half

    def start(self, luma: np.ndarray | torch.Tensor) -> Result:
        """Begin to solve uint8 pictures [frame, view, y, x], at most as many as the first time or the
        graphs are made anew; pinned tensors are uploaded from where they are."""
        source = torch.from_numpy(luma) if isinstance(luma, np.ndarray) else luma
        frames = len(source)
        if not self._lanes or not self._lanes[0].takes(source):
            self._make(source.shape)
        lane = self._lanes[self._next]
        self._next = (self._next + 1) % LANES
        if self._gpu and not source.is_pinned():
            source = source.pin_memory()
        with self._on(0, after=lane.computed):
            lane.luma[:frames].copy_(source, non_blocking=True)
            uploaded = self._event()
        with self._on(1, after=uploaded, also=lane.fetched):
            lane.solve()
            lane.computed = self._event()
        with self._on(2, after=lane.computed):
            coordinates, apart = (
                None if part is None else part[:frames].to("cpu", non_blocking=True)
                for part in (lane.coordinates, lane.apart)  # into pinned memory
            )
            lane.fetched = arrived = self._event()
        assert coordinates is not None
        if arrived is None:
            return Result(coordinates, apart)
        return Result(coordinates, apart, arrived.synchronize)

    def _make(self, shape: torch.Size) -> None:
        if self._gpu:
            torch.cuda.synchronize(self._engine.device)  # nothing in flight is pulled away
        self._lanes = [_Lane(self._engine, shape) for _ in range(LANES)]

    @contextmanager
    def _on(self, stream: int, after: Any, also: Any = None) -> Iterator[None]:
        """Work on one of the streams, which first waits for events."""
        if not self._gpu:
            yield
            return
        with torch.cuda.stream(self._streams[stream]):
            for event in (after, also):
                if event is not None:
                    self._streams[stream].wait_event(event)
            yield

    def _event(self) -> torch.cuda.Event | None:
        if not self._gpu:
            return None
        event = torch.cuda.Event(blocking=True)  # decoding needs the cores
        event.record()
        return event


class _Lane:
    """The buffers of one batch on the device, and its graph."""

    def __init__(self, engine: Engine, shape: torch.Size) -> None:
        self.luma = torch.zeros(shape, dtype=torch.uint8, device=engine.device)
        self.computed: torch.cuda.Event | None = None
        self.fetched: torch.cuda.Event | None = None
        self.coordinates: torch.Tensor = torch.empty(0)
        self.apart: torch.Tensor | None = None
        self._engine = engine
        self._graph: torch.cuda.CUDAGraph | None = None
        if engine.device.type == "cuda":
            self._record()

    def takes(self, luma: torch.Tensor) -> bool:
        """Whether these pictures are of its size, and not too many."""
        return luma.shape[1:] == self.luma.shape[1:] and len(luma) <= len(self.luma)

    def solve(self) -> None:
        """Coordinates and signals of what lies in `luma`, into `coordinates` and `apart`."""
        if self._graph is not None:
            self._graph.replay()
        else:
            self.coordinates, self.apart = self._engine.solve(self.luma)

    def _record(self) -> None:
        aside = torch.cuda.Stream(self.luma.device)
        aside.wait_stream(torch.cuda.current_stream(self.luma.device))
        with torch.cuda.stream(aside), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            for _ in range(WARM_UPS):
                self.coordinates, self.apart = self._engine.solve(self.luma)
        aside.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            self.coordinates, self.apart = self._engine.solve(self.luma)
        torch.cuda.synchronize(self.luma.device)
        self._graph = graph
