"""Stage: one kind of task over many shots, from the first that waits to the last that ended."""

from __future__ import annotations

import contextlib
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facecap_core.errors import StoreError
from jobs.cancel import note_cancelled
from jobs.dispatch import Dispatch, Work
from jobs.ledger import Ledger
from jobs.metrics import DriverMetrics
from jobs.nodes import alive_nodes, largest_memory_gb
from jobs.notes import Notes
from jobs.placement import Placement, fits
from jobs.records import DONE, SHOT_STATES, Cause, ShotRecord, Submission
from jobs.retries import Tries, cause_of, given_up, next_try
from jobs.sentences import end_sentence, moment_sentence
from jobs.tasks import work
from jobs.watchdog import Running, Watchdog

LOOP_SECONDS = 0.5
WATCH_SECONDS = 5.0
WIND_DOWN_SECONDS = 15.0


@dataclass
class _Waiting:
    record: ShotRecord
    tries: Tries
    since: float = 0.0  # of the monotonic clock; earlier it is not begun again


@dataclass
class Stage:
    """One stage of a job; `run` takes its tasks through the cluster.

    `say` writes lines into the driver's log; `stopped` tells whether the job was asked to end, and `patient`
    whether its workers may then take a moment to write their last state.
    """

    ledger: Ledger
    name: str
    place: Placement
    submission: Submission
    say: Callable[..., None]
    stopped: Callable[[], bool]
    patient: Callable[[], bool]
    metrics: DriverMetrics
    work: Work = work
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _running: dict[Any, Running] = field(default_factory=dict)
    _done: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    _ends: Counter[str] = field(default_factory=Counter)
    _watched: float = 0.0
    _told: str = ""
    _stuck: str = ""
    _ended: int = 0
    _total: int = 0

    def __post_init__(self) -> None:
        self._dispatch = Dispatch(self.ledger, self.name, self.place, self.submission, self.work)
        self._notes = Notes(self.ledger)

    def run(self, records: Sequence[ShotRecord]) -> bool:
        """Take what is missing through the cluster; True when all is solved (or skipped).

        Raises:
            StoreError: the ends of some shots could not be written down.
        """
        missing = [record for record in records if record.state not in ("solved", "skipped")]
        if not missing:
            return True
        self.say(
            f"{self.name}: {len(missing)} to do, {len(records) - len(missing)} {DONE[self.name]} already;"
            f" {self.place} each"
        )
        memory = self.submission.options.memory
        for record in missing:
            queued = self._queued(record)
            if record.state != "queued" or record.cause is not None:
                self._notes.write(queued)
            self._waiting.append(_Waiting(queued, Tries(memory_gb=memory)))
        self._total = len(missing)
        self._ends["solved"] = len(records) - len(missing)
        solved = True
        while self._waiting or self._running:
            if self.stopped():
                self._cancel()
                return False
            self._start()
            for final in self._step():
                solved = solved and final.state in ("solved", "skipped")
            self._watch()
        self._notes.write_rest()
        if self._notes.unwritten:
            raise StoreError(
                f"the ends of {self._notes.unwritten} shots could not be written down",
                remedy="free some space, then run the same command again",
                file=self.ledger.folder,
            )
        return solved

    # -- to the cluster ------------------------------------------------------------------------

    def _start(self) -> None:
        limit = self.submission.options.max_parallel
        now = time.monotonic()
        nodes = alive_nodes() if self._waiting else []
        for _ in range(len(self._waiting)):
            if limit is not None and len(self._running) >= limit:
                return
            waiting = self._waiting.popleft()
            if waiting.since > now:
                self._waiting.append(waiting)
                continue
            reference = self._dispatch.submit(waiting.record, waiting.tries, nodes)
            self._running[reference] = Running(waiting.record, waiting.tries, seen=now)
            # Told of each end, the loop need not ask for all: that takes the longer the more there are.
            reference.future().add_done_callback(lambda _, ended=reference: self._done.put(ended))

    # -- and back ------------------------------------------------------------------------------

    def _step(self) -> list[ShotRecord]:
        """Wait a moment for ends; the final records of what ended for good."""
        ended, lines = [], []
        for reference in self._ready():
            final = self._end(self._running.pop(reference), reference)
            if final is not None:
                self._ended += 1
                self._ends[final.state] += 1
                lines.append(end_sentence(final, self._ended, self._total))
                ended.append(final)
        if ended:
            self.say(*lines)
            self._notes.write_rest()
        return ended

    def _ready(self) -> list[Any]:
        """References of the tasks that have ended by now; waits a moment for the first."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._done.get(timeout=LOOP_SECONDS))
            while True:
                found.append(self._done.get_nowait())
        return [reference for reference in found if reference in self._running]  # not given up

    def _end(self, running: Running, reference: Any) -> ShotRecord | None:
        """The final record of an ended task; None when it is tried again."""
        import ray

        try:
            record = ShotRecord.model_validate(ray.get(reference))
        except Exception as error:
            # The worker could not write its own end: it was killed, or its machine was lost.
            cause = cause_of(error, self.ledger.job)
            record = self._notes.current(running.record).model_copy(
                update={"state": "failed", "progress": None, "cause": cause, "ended": time.time()}
            )
            self._notes.log(record, f"ended: {cause.type}: {error}")
        if record.state == "failed" and running.hung is not None:
            record = record.model_copy(update={"cause": self._hung_cause(record)})
        if record.state != "failed" or record.cause is None:
            return record
        return self._again(record, running.tries)

    def _again(self, record: ShotRecord, tries: Tries) -> ShotRecord | None:
        cause = record.cause
        assert cause is not None
        nodes = alive_nodes()
        # Of those that could run it: a larger one without a GPU is of no use to what takes one.
        largest = largest_memory_gb([n for n in nodes if fits(self.place, [n])] or nodes)
        pause_seconds = next_try(
            tries, cause, node=record.node, peak_gb=record.peak_memory_gb, largest_gb=largest
        )
        if pause_seconds is None or self.stopped():
            final = record.model_copy(update={"cause": given_up(tries, cause, largest)})
            self._notes.write(final)
            self._notes.log(final, f"failed: {final.cause}")
            return final
        queued = self._queued(record).model_copy(
            update={"lost": tries.lost, "memory_gb": tries.memory_gb}
        )
        self._notes.write(queued)
        reserved = "" if tries.memory_gb is None else f" with {tries.memory_gb:.1f} GB reserved"
        text = f"is tried again{reserved}: {cause.message}"
        self._notes.log(queued, text)
        self.say(f"{self.name} {record.name}: {text}")
        self.metrics.retried(self.name, cause.kind)
        since = time.monotonic() + pause_seconds
        self._waiting.appendleft(_Waiting(queued, tries, since))
        return None

    # -- watching ------------------------------------------------------------------------------

    def _watch(self) -> None:
        now = time.monotonic()
        hung_seconds = 60 * self.submission.options.hung_minutes
        if now - self._watched < min(WATCH_SECONDS, hung_seconds / 4):
            return
        self._watched = now
        self._notes.write_rest()
        records = self._notes.look({r: running.record for r, running in self._running.items()})
        dog = Watchdog(hung_seconds)
        for reference in dog.standing_still(self._running, records, now):
            if records[reference] == self._notes.current(records[reference]):
                self._end_hung(reference, self._running[reference], records[reference], now)
            else:  # the listing was old
                self._running[reference].seen = now
        for reference in dog.given_up(self._running, now):
            running = self._running.pop(reference)  # not even its death is heard of
            ended = {"state": "failed", "cause": self._hung_cause(records[reference])}
            self._again(records[reference].model_copy(update=ended), running.tries)
        counts: Counter[str] = Counter(record.state for record in records.values())
        counts["queued"] += len(self._waiting)
        known = counts + self._ends
        self.metrics.shots({state: known[state] for state in SHOT_STATES})
        for record in records.values():
            if record.stage == "train":
                self._tell_training(record)
        self._tell_stuck(counts)

    def _end_hung(self, reference: Any, running: Running, record: ShotRecord, now: float) -> None:
        import ray

        running.hung = now
        where = f" on {record.host}" if record.host else ""
        self.say(f"{self.name} {record.name}: no progress{where}, is ended")
        ray.cancel(reference, force=True)

    def _hung_cause(self, record: ShotRecord) -> Cause:
        minutes = self.submission.options.hung_minutes
        where = f" on {record.host}" if record.host else ""
        return Cause(
            type="Hung",
            message=f"made no progress for {minutes:g} minutes{where}",
            remedy="look at its footage, or allow it longer with --hung-after MINUTES",
            kind="hung",
        )

    def _tell_stuck(self, counts: Mapping[str, int]) -> None:
        """Say once that everything waits for machines that are not there."""
        stuck = ""
        if self._running and not counts.get("running") and not fits(self.place, alive_nodes()):
            stuck = f"{self.name}: waits for a machine with {self.place}; there is none now"
        if stuck and stuck != self._stuck:
            self.say(stuck)
        self._stuck = stuck

    def _tell_training(self, record: ShotRecord) -> None:
        """Repeat a training's epochs, and what comes after them, in the driver's log."""
        now = record.progress
        if now is None:
            return
        at = f"epoch {int(now.figures['epoch'])}" if "epoch" in now.figures else now.what
        if at != self._told:
            self._told = at
            self.say(f"train {record.name}: {moment_sentence(now)}")

    # -- the ledger ----------------------------------------------------------------------------

    def _queued(self, record: ShotRecord) -> ShotRecord:
        return record.queued().model_copy(update={"stage": self.name})

    def _cancel(self) -> None:
        """End what runs; workers see cancel.json themselves and leave nothing half done."""
        import ray

        self.say(f"cancelling {len(self._running) + len(self._waiting)} tasks")
        for reference, running in self._running.items():
            if self._notes.current(running.record).state == "queued":
                ray.cancel(reference, force=False)
        deadline = time.monotonic() + (WIND_DOWN_SECONDS if self.patient() else 0.0)
        left = list(self._running)
        while left and time.monotonic() < deadline:
            _, left = ray.wait(left, num_returns=len(left), timeout=LOOP_SECONDS)
        for reference in left:
            ray.cancel(reference, force=True)
        records = [running.record for running in self._running.values()]
        records += [waiting.record for waiting in self._waiting]
        note_cancelled([self._notes.current(record) for record in records], self._notes.write)
        self._running.clear()
        self._waiting.clear()
