"""Watchdog: which of the tasks at work stand still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jobs.records import ShotRecord
from jobs.retries import Tries

KILL_SECONDS = 30.0
"""How long at most a hung task's end is waited for, before it is begun elsewhere all the same."""


@dataclass
class Running:
    """A task that was handed to Ray; times are of the monotonic clock."""

    record: ShotRecord
    tries: Tries
    seen: float  # when its state file last said something new
    sign: object = None  # what it said
    begun: float | None = (
        None  # when Ray was seen to run it, though its state file says nothing yet
    )
    hung: float | None = None  # when it was told to end for want of progress


class Watchdog:
    """Looks at state files, which tell progress, and asks Ray only about tasks that never wrote one."""

    def __init__(
        self, hung_seconds: float, running_now: Callable[[], set[str]] | None = None
    ) -> None:
        self._hung_seconds = hung_seconds
        self._running_now = running_now or _running_tasks

    def standing_still(
        self, running: dict[Any, Running], records: dict[Any, ShotRecord], now: float
    ) -> Iterator[Any]:
        """References of tasks to end now: no progress for `hung_seconds`.

        Args:
            records: what the state file of each says now.
        """
        silent = {}
        for reference, task in running.items():
            record = records[reference]
            if record.state == "running":
                moment = record.progress
                sign = (record.attempt, moment and (moment.what, moment.done))
                if sign != task.sign:
                    task.sign, task.seen = sign, now
            if task.hung is None and now - task.seen > self._hung_seconds:
                if record.state == "running":
                    yield reference
                elif record.state == "queued":
                    silent[reference] = task
        yield from self._silent(silent, now)

    def given_up(self, running: dict[Any, Running], now: float) -> list[Any]:
        """References of tasks that were told to end, and of whose end nothing was heard."""
        patience = min(KILL_SECONDS, self._hung_seconds)
        return [
            reference
            for reference, task in running.items()
            if task.hung is not None and now - task.hung > patience
        ]

    def _silent(self, silent: dict[Any, Running], now: float) -> Iterator[Any]:
        """Of those that never wrote their state: they wait for a machine, or stood still at once."""
        if not silent:
            return
        running_now = self._running_now()
        for reference, task in silent.items():
            if reference.task_id().hex() not in running_now:
                task.begun = None
            elif task.begun is None:
                task.begun = now
            elif now - task.begun > self._hung_seconds:
                yield reference


# A worker tells of its own tasks now and then: what is stopped before stays "submitted to a worker".
AT_A_WORKER = ("SUBMITTED_TO_WORKER", "RUNNING")


def _running_tasks() -> set[str]:
    """Ids of the tasks that Ray says are at a worker; none where it cannot be asked."""
    from ray.util.state import list_tasks

    found: set[str] = set()
    try:
        for state in AT_A_WORKER:
            tasks = list_tasks(filters=[("state", "=", state)], limit=10000, timeout=5)
            found |= {task["task_id"] for task in tasks}
    except Exception as error:  # its dashboard may be away: a hint is missing, no more
        print(f"tasks cannot be listed: {error}", flush=True)  # noqa: T201
        return set()
    return found
