"""Worker: one task's life in the ledger: its state, its log, its progress, its end when asked."""

from __future__ import annotations

import resource
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from facecap_core.errors import Cancelled, FacecapError
from facecap_core.progress import OnProgress, Progress
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.metrics import TaskMetrics
from jobs.processes import this_host, this_node
from jobs.records import Cause, Lot, Moment, ShotRecord
from jobs.sentences import moment_sentence

LOOK_SECONDS = 1.0  # how often a worker looks for cancel.json
TELL_SECONDS = 2.0  # how often its state file shows progress
LOG_SECONDS = 10.0  # how often its log does


@dataclass(frozen=True)
class Outcome:
    """What a task made."""

    frames: int
    reused: bool = False
    figures: dict[str, float] = field(default_factory=dict)
    sentence: str = ""
    versions: dict[str, str] = field(default_factory=dict)  # of the stores, see `versions_of`
    weights: dict[str, str] = field(default_factory=dict)  # see `ShotRecord.weights`
    warnings: tuple[str, ...] = ()


Task = Callable[[OnProgress, Log], Outcome]
"""The work itself; told where to report and where to write log lines."""


def carry_out(ledger: Ledger, record: ShotRecord, lot: Lot, task: Task) -> ShotRecord:
    """Run a task and write its states; returns the final record, whatever became of it.

    A user's fault (FacecapError) and any other exception end as `failed` with the cause; only the death
    of the process itself is left to the driver.
    """
    log = Log(ledger.log_path(record))
    record = _begun(record, lot)
    ledger.write(record)
    log.line(f"{record.stage} {record.name}: attempt {record.attempt} on {record.host}")
    reporter = _Reporter(ledger, record, log)
    began = time.perf_counter()
    record = _worked(reporter, log, task)
    seconds = time.perf_counter() - began
    record = record.model_copy(
        update={
            "progress": None,
            "seconds": round(seconds, 3),
            "ended": time.time(),
            "peak_memory_gb": _peak_memory_gb(),
        }
    )
    if record.state == "solved":
        reporter.metrics.shot_seconds(seconds)
    # Else it was given up and begun elsewhere meanwhile.
    if ledger.attempt(record) <= record.attempt:
        ledger.write(record)
    return record


def _begun(record: ShotRecord, lot: Lot) -> ShotRecord:
    """Another attempt at it, here."""
    return record.model_copy(
        update={
            "state": "running",
            "attempt": record.attempt + 1,
            "lost": lot.lost,
            "memory_gb": lot.memory_gb,
            "host": this_host(),
            "node": this_node(),
            "started": time.time(),
            "ended": None,
            "cause": None,
            "progress": None,
            "warnings": [],
        }
    )


def _worked(reporter: _Reporter, log: Log, task: Task) -> ShotRecord:
    """Do the work; the record with what became of it."""
    try:
        if reporter.unwanted():
            name = reporter.record.name
            raise Cancelled(f"{name} was {reporter.unwanted()} before it began")
        outcome = task(reporter, log)
    except Cancelled as error:
        state = reporter.unwanted() or "cancelled"
        log.line(f"{state}: {error}")
        return reporter.record.model_copy(update={"state": state, "cause": Cause.of(error)})
    except Exception as error:
        cause = Cause.of(error)
        log.line(f"failed: {cause.type}: {cause}")
        if not isinstance(error, FacecapError):
            log.line(traceback.format_exc())
        return reporter.record.model_copy(update={"state": "failed", "cause": cause})
    log.lines([f"warning: {warning}" for warning in outcome.warnings])
    log.line(outcome.sentence or f"{outcome.frames} frames")
    return reporter.record.model_copy(
        update={
            "state": "solved",
            "frames": outcome.frames,
            "reused": outcome.reused,
            "figures": outcome.figures,
            "store_versions": outcome.versions,
            "weights": outcome.weights,
            "warnings": list(outcome.warnings),
        }
    )


def _peak_memory_gb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 3)


class _Reporter:
    """Takes the work's progress to the ledger, and the ledger's cancellation to the work."""

    def __init__(self, ledger: Ledger, record: ShotRecord, log: Log) -> None:
        self.record = record
        self.metrics = TaskMetrics(ledger.job, record.stage)
        self._ledger, self._log = ledger, log
        now = time.monotonic()
        self._looked, self._told, self._logged = now, now, now
        self._counted: dict[str, float] = {}

    def unwanted(self) -> Literal["cancelled", "skipped"] | None:
        """What this shot or its job was asked to be instead of done."""
        if self._ledger.cancel_requested():
            return "cancelled"
        if self.record.stage != "train" and self._ledger.skip_requested(self.record.name):
            return "skipped"
        return None

    def __call__(self, progress: Progress) -> bool:
        now = time.monotonic()
        last = progress.total is not None and progress.done >= progress.total
        self._count(progress)
        if now - self._told >= TELL_SECONDS:
            self._told = now
            if self._ledger.attempt(self.record) > self.record.attempt:
                return False  # it was given up and begun elsewhere, and its state is another's
            update = {"progress": _moment(progress), "peak_memory_gb": _peak_memory_gb()}
            self.record = self.record.model_copy(update=update)
            self._ledger.write(self.record)
        if now - self._logged >= LOG_SECONDS or last:
            self._logged = now
            self._log.line(moment_sentence(progress))
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            return self.unwanted() is None
        return True

    def _count(self, progress: Progress) -> None:
        """Tell the metrics what came to be since the last time."""
        figures = {**progress.figures}
        if progress.unit == "frames":
            figures["frames"] = progress.done
        for name, tell in (
            ("frames", lambda value: self.metrics.frames(int(value))),
            ("waited_seconds", self.metrics.gpu_wait),
            ("network_seconds", self.metrics.network),
        ):
            if name in figures:
                # Another stage of the same task (a second camera, the targets) counts from nothing again.
                before = self._counted.get(name, 0.0)
                tell(figures[name] - before if figures[name] >= before else figures[name])
                self._counted[name] = figures[name]


def _moment(progress: Progress) -> Moment:
    return Moment(
        what=progress.what,
        done=progress.done,
        total=progress.total,
        unit=progress.unit,
        figures=dict(progress.figures),
    )
