"""Recording: work on a GPU that is taken down once and played back, without a launch for each kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

WARM_UP = (
    3  # calls before the recording: libraries choose kernels and take memory in the first ones
)

Work = Callable[..., Any]
"""From tensors of fixed shapes to tensors; reads nothing else that changes but random generators' states."""


class Recorded:
    """Calls `work` as it is on the CPU; on a GPU the first few times, then plays it back as a CUDA graph.

    What it returns is overwritten by the next call. Arguments are copied into the recording's own, from
    the CPU without waiting for the GPU.
    """

    def __init__(self, work: Work, device: torch.device) -> None:
        self._work, self._device = work, device
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[torch.Tensor] = []
        self._outputs: Any = None

    def __call__(self, *tensors: torch.Tensor) -> Any:
        self._calls += 1
        if self._device.type != "cuda":
            return self._work(*tensors)
        if self._graph is None:
            self._inputs = [t.to(self._device, copy=True) for t in tensors]
            if self._calls <= WARM_UP:
                return self._aside()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):  # only taken down, not done
                self._outputs = self._work(*self._inputs)
        for own, given in zip(self._inputs, tensors, strict=True):
            # From memory that is not pinned, the copy has left `given` before the call returns.
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._outputs

    def _aside(self) -> Any:
        """On a stream of its own, as a recording will be: handles and workspaces belong to streams."""
        usual, aside = torch.cuda.current_stream(self._device), torch.cuda.Stream(self._device)
        aside.wait_stream(usual)
        with torch.cuda.stream(aside):
            outputs = self._work(*self._inputs)
        usual.wait_stream(aside)
        return outputs
