"""Metrics: what jobs tell Prometheus through Ray's metrics page of each machine.

Ray adds its prefix: `farm_frames` is `ray_farm_frames_total` on the page. The job's label is `farm_job`,
for `job` is Prometheus's own and would come out as `exported_job`. Outside of Ray nothing happens.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SHOT_SECONDS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Upper ends of the histogram's buckets."""


@dataclass(frozen=True)
class _Metric:
    """One metric and its labels, of which Ray wants every one with every value."""

    type: Literal["Counter", "Gauge", "Histogram"]
    name: str
    description: str
    labels: tuple[str, ...]

    def tell(self, value: float, *labels: str) -> None:
        """Set, add or observe; whatever goes wrong with it is no reason to fail a shot."""
        ray: Any = sys.modules.get("ray")  # a process without Ray does not pay for its import
        with contextlib.suppress(Exception):
            if ray is None or not ray.is_initialized():
                return
            tags = dict(zip(self.labels, labels, strict=True))
            made = self._made()
            if self.type == "Gauge":
                made.set(value, tags=tags)
            elif self.type == "Histogram":
                made.observe(value, tags=tags)
            elif value > 0:  # Ray raises for an addition of nothing
                made.inc(value, tags=tags)

    def _made(self) -> Any:
        from ray.util import metrics

        with _lock:  # Ray warns of a second metric of the same name in a process
            if self.name not in _made:
                more = {"boundaries": list(SHOT_SECONDS)} if self.type == "Histogram" else {}
                make = getattr(metrics, self.type)
                _made[self.name] = make(self.name, self.description, tag_keys=self.labels, **more)
            return _made[self.name]


_made: dict[str, Any] = {}
_lock = threading.Lock()

_SHOTS = _Metric("Gauge", "farm_shots", "Shots of a job, by state", ("farm_job", "kind", "state"))
_RETRIES = _Metric(
    "Counter",
    "farm_retries",
    "Tasks that were tried again, by what ended them",
    ("farm_job", "stage", "kind"),
)
_FRAMES = _Metric("Counter", "farm_frames", "Frames decoded or solved", ("farm_job", "stage"))
_GPU_WAIT = _Metric(
    "Counter", "farm_gpu_wait_seconds", "Time that a network waited for pictures", ("farm_job",)
)
_NETWORK = _Metric("Counter", "farm_network_seconds", "Time that a network worked", ("farm_job",))
_SHOT_SECONDS = _Metric("Histogram", "farm_shot_seconds", "Time that a shot took", ("stage",))


class DriverMetrics:
    """What a job's driver knows."""

    def __init__(self, job: str, kind: str) -> None:
        self._job, self._kind = job, kind

    def shots(self, counts: Mapping[str, int]) -> None:
        """How many shots are in each state now."""
        for state, count in counts.items():
            _SHOTS.tell(count, self._job, self._kind, state)

    def retried(self, stage: str, kind: str) -> None:
        """A task is tried again after a cause of this kind: lost, memory, hung or transient."""
        _RETRIES.tell(1, self._job, stage, kind)


class TaskMetrics:
    """What one task of a job knows."""

    def __init__(self, job: str, stage: str) -> None:
        self._job, self._stage = job, stage

    def frames(self, count: int) -> None:
        """So many more frames are decoded, solved or, in training, learned from."""
        _FRAMES.tell(count, self._job, self._stage)

    def gpu_wait(self, seconds: float) -> None:
        """The network waited so long for pictures."""
        _GPU_WAIT.tell(seconds, self._job)

    def network(self, seconds: float) -> None:
        """The network worked so long."""
        _NETWORK.tell(seconds, self._job)

    def shot_seconds(self, seconds: float) -> None:
        """The shot is solved, and took so long."""
        _SHOT_SECONDS.tell(seconds, self._stage)
