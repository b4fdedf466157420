"""Retries: what is tried again after which end, how often, with how much memory and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from facecap_core.errors import FacecapError
from jobs.records import Cause, CauseKind

LIMITS: Mapping[str, int] = {"lost": 6, "machine": 30, "transient": 4, "memory": 3, "hung": 2}
"""How often each end is followed by another try. A machine that is taken away is no fault of its shots;
a worker that dies may be, for footage can crash a decoder."""
BACKOFF_SECONDS = 2.0
LEAST_MEMORY_GB = 1.0

_MACHINE = ("NodeDiedError", "LocalRayletDiedError", "MachineLost")


@dataclass
class Tries:
    """What one shot went through in this attempt of its job."""

    ends: Counter[str] = field(default_factory=Counter)
    memory_gb: float | None = None
    avoid: frozenset[str] = frozenset()  # machines on which it made no progress

    @property
    def lost(self) -> int:
        """How often its worker or its machine died."""
        return self.ends["lost"] + self.ends["machine"]


def next_try(
    tries: Tries, cause: Cause, *, node: str, peak_gb: float | None, largest_gb: float
) -> float | None:
    """What follows a task's end: another try after so many seconds, for which `tries` is changed, or None: it has failed.

    Args:
        node: the machine where it ended.
        peak_gb: what its worker had used at last, if it said so.
        largest_gb: memory of the largest machine.
    """
    kind = "machine" if cause.type in _MACHINE else cause.kind
    limit = LIMITS.get(kind)
    if limit is None:
        return None
    tries.ends[kind] += 1
    if tries.ends[kind] > limit:
        return None
    if kind == "memory":
        if tries.memory_gb is not None and tries.memory_gb >= largest_gb:
            return None
        wanted = 2 * max(tries.memory_gb or peak_gb or LEAST_MEMORY_GB, LEAST_MEMORY_GB)
        tries.memory_gb = min(wanted, largest_gb)
    if node and (kind == "hung" or (kind == "lost" and tries.ends[kind] > 1)):
        tries.avoid |= {node}
    pause = {"transient": BACKOFF_SECONDS * 2 ** (tries.ends[kind] - 1), "memory": BACKOFF_SECONDS}
    return pause.get(kind, 0.0)


def given_up(tries: Tries, cause: Cause, largest_gb: float) -> Cause:
    """The cause in the words of all tries."""
    if cause.kind == "memory" and tries.ends["memory"] > 1:
        last = (
            "" if tries.memory_gb is None else f", at last with {tries.memory_gb:.1f} GB reserved"
        )
        message = (
            f"ran out of memory {tries.ends['memory']} times{last};"
            f" the largest machine has {largest_gb:.1f} GB: {cause.message}"
        )
        return cause.model_copy(
            update={
                "message": message,
                "remedy": "give it a machine with more memory, or reserve more with --memory GB",
            }
        )
    count = sum(tries.ends.values())
    if count > 1:
        return cause.model_copy(update={"message": f"{cause.message} ({count} tries)"})
    return cause


def cause_of(error: BaseException, job: str) -> Cause:
    """The cause of a task's end that the task itself could not write down."""
    told = getattr(error, "cause", None)  # of an exception that came from our own code
    if isinstance(told, FacecapError):
        return Cause.of(told)
    name = type(error).__name__
    text = str(error).strip().split("\n", 1)[0] or name
    kind: CauseKind = "lost"
    if name in _MACHINE:
        text = "its machine was lost"
    elif name == "WorkerCrashedError":
        text = "its worker process died: it was killed, or the work crashed it"
    if name == "OutOfMemoryError":
        kind = "memory"
    elif told is not None or name == "TaskUnschedulableError":
        kind = "bug"
    return Cause(type=name, message=text, remedy=f"farm retry {job}", kind=kind)
