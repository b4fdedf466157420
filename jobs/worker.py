"""Worker: one task's life in the ledger: its state, its log, its progress, its end when asked."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from facecap_core.errors import Cancelled, FacecapError
from facecap_core.progress import OnProgress, Progress
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.processes import this_host
from jobs.records import Cause, Moment, ShotRecord
from jobs.sentences import moment_sentence

LOOK_SECONDS = 0.5  # how often a worker looks for cancel.json
TELL_SECONDS = 2.0  # how often its state file shows progress
LOG_SECONDS = 10.0  # how often its log does


@dataclass(frozen=True)
class Outcome:
    """What a task made."""

    frames: int
    reused: bool = False
    figures: dict[str, float] = field(default_factory=dict)
    sentence: str = ""


Task = Callable[[OnProgress, Log], Outcome]
"""The work itself; told where to report and where to write log lines."""


def carry_out(ledger: Ledger, record: ShotRecord, inputs: list[Path], task: Task) -> ShotRecord:
    """Run a task and write its states; returns the final record, whatever became of it.

    A user's fault (FacecapError) and any other exception end as `failed` with the cause; only the death
    of the process itself is left to the driver.
    """
    log = Log(ledger.log_path(record))
    record = record.model_copy(
        update={
            "state": "running",
            "attempt": record.attempt + 1,
            "host": this_host(),
            "started": time.time(),
            "ended": None,
            "cause": None,
            "progress": None,
            "inputs": stamps(inputs),
        }
    )
    ledger.write(record)
    log.line(f"{record.stage} {record.name}: attempt {record.attempt} on {record.host}")
    reporter = _Reporter(ledger, record, log)
    began = time.perf_counter()
    try:
        if ledger.cancel_requested():
            raise Cancelled(f"{record.name} was cancelled before it began")
        outcome = task(reporter, log)
    except Cancelled as error:
        record = reporter.record.model_copy(
            update={"state": "cancelled", "progress": None, "cause": Cause.of(error)}
        )
        log.line(f"cancelled: {error}")
    except Exception as error:
        cause = Cause.of(error)
        record = reporter.record.model_copy(
            update={"state": "failed", "progress": None, "cause": cause}
        )
        log.line(f"failed: {cause.type}: {cause}")
        if not isinstance(error, FacecapError):
            log.line(traceback.format_exc())
    else:
        record = reporter.record.model_copy(
            update={
                "state": "solved",
                "progress": None,
                "frames": outcome.frames,
                "reused": outcome.reused,
                "figures": outcome.figures,
            }
        )
        log.line(outcome.sentence or f"{outcome.frames} frames")
    seconds = time.perf_counter() - began
    record = record.model_copy(update={"seconds": round(seconds, 3), "ended": time.time()})
    ledger.write(record)
    return record


def stamps(inputs: list[Path]) -> dict[str, tuple[int, int]]:
    """Size and modification time of the files that exist: a cheap sign of later change."""
    found = {}
    for path in inputs:
        try:
            status = path.stat()
        except OSError:
            continue
        found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


class _Reporter:
    """Takes the work's progress to the ledger, and the ledger's cancellation to the work."""

    def __init__(self, ledger: Ledger, record: ShotRecord, log: Log) -> None:
        self.record = record
        self._ledger, self._log = ledger, log
        now = time.monotonic()
        self._looked, self._told, self._logged = now, now, now

    def __call__(self, progress: Progress) -> bool:
        now = time.monotonic()
        last = progress.total is not None and progress.done >= progress.total
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self.record = self.record.model_copy(update={"progress": _moment(progress)})
            self._ledger.write(self.record)
        if now - self._logged >= LOG_SECONDS or last:
            self._logged = now
            self._log.line(_sentence(progress))
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            return not self._ledger.cancel_requested()
        return True


def _moment(progress: Progress) -> Moment:
    return Moment(
        what=progress.what,
        done=progress.done,
        total=progress.total,
        unit=progress.unit,
        figures=dict(progress.figures),
    )


def _sentence(progress: Progress) -> str:
    return moment_sentence(
        progress.what, progress.done, progress.total, progress.unit, progress.figures
    )
