"""State: what a job's records add up to."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.processes import SILENT_SECONDS, known_dead
from jobs.records import Driver, JobState, ShotRecord, Submission

START_SECONDS = 900.0
"""Ray gives up a submitted job that does not start in this time."""


def job_state(
    submission: Submission | None,
    driver: Driver | None,
    records: Sequence[ShotRecord],
    *,
    cancelled: bool,
    now: float,
) -> tuple[JobState, str]:
    """The state, and a sentence where the records of the shots do not explain it."""
    if submission is None:
        return "interrupted", "was never submitted; farm retry does"
    if submission.cause is not None:
        return "failed", f"the cluster did not take it: {submission.cause}"
    if driver is None or driver.attempt < submission.attempt:
        return _before_the_driver(submission, cancelled=cancelled, now=now)
    if driver.state == "failed":
        return "failed", str(driver.cause or "")
    if driver.state == "finished":
        return _result(records)
    if known_dead(driver.process):
        silent = f"its driver (process {driver.process.pid}) is gone"
    elif now - driver.beat > SILENT_SECONDS:
        silent = f"no sign of its driver on {driver.process.host} for {now - driver.beat:.0f} s"
    elif driver.waits_for:
        return "queued", f"waits for {driver.waits_for}{_held_up(driver)}"
    else:
        return "running", ""
    if cancelled:
        return "cancelled", ""
    return "interrupted", f"{silent}; farm retry goes on with what is missing"


def _held_up(driver: Driver) -> str:
    """What makes a job go on that waits for one which stands still: nothing else does."""
    if driver.waits_state != "interrupted":
        return ""
    return f", which is interrupted: farm retry {driver.waits_for} goes on with it"


def _before_the_driver(
    submission: Submission, *, cancelled: bool, now: float
) -> tuple[JobState, str]:
    if cancelled:
        return "cancelled", "before it began"
    if submission.keeper is not None and known_dead(submission.keeper):
        return "interrupted", "the local head ended before it began; farm retry submits it again"
    if now - submission.submitted > START_SECONDS:
        return "interrupted", f"did not begin within {START_SECONDS:.0f} s; farm retry"
    return "queued", ""


def _result(records: Sequence[ShotRecord]) -> tuple[JobState, str]:
    states = {record.state for record in records}
    if "failed" in states:
        return "failed", ""
    if "cancelled" in states:
        return "cancelled", ""
    if states <= {"solved", "skipped"}:
        return "done", ""
    return "interrupted", "its driver ended early; farm retry goes on with what is missing"
