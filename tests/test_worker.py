"""Workers: what a task writes into the ledger, whatever becomes of it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from facecap_core.errors import Cancelled, FootageTruncated
from facecap_core.files import store_error
from facecap_core.progress import Progress, report
from jobs import worker
from jobs.errors import MachineLost
from jobs.ledger import Ledger
from jobs.records import Cause, Lot
from jobs.request import IngestRequest
from jobs.worker import Outcome, carry_out

LOT = Lot(threads=1)


@pytest.fixture
def ledger(tmp_path):
    request = IngestRequest(settings={}, actors=("ada",), shots=("a", "b", "c"))
    return Ledger.create(tmp_path / "jobs", request)


def test_a_solved_shot(ledger):
    def task(on_progress, log):
        assert Ledger(ledger.folder).shot("a").state == "running"
        log.line("half way\nand more")
        return Outcome(42, sentence="42 frames")

    record = carry_out(ledger, ledger.shot("a"), LOT, task)
    assert record == Ledger(ledger.folder).shot("a")
    assert (record.state, record.frames, record.attempt) == ("solved", 42, 1)
    text = ledger.shot_log_path("a").read_text()
    assert "half way\n    and more\n" in text
    assert "42 frames" in text


@pytest.mark.parametrize(
    ("error", "state", "kind"),
    [
        (
            FootageTruncated("ends at 3", remedy="copy it", file="x.mp4"),
            "failed",
            "FootageTruncated",
        ),
        (ZeroDivisionError("our fault"), "failed", "ZeroDivisionError"),
        (Cancelled("asked to"), "cancelled", "Cancelled"),
    ],
)
def test_an_error_is_a_state_with_a_cause(ledger, error, state, kind):
    def task(on_progress, log):
        raise error

    record = carry_out(ledger, ledger.shot("a"), LOT, task)
    assert (record.state, record.cause.type) == (state, kind)
    assert Ledger(ledger.folder).shot("a") == record
    text = ledger.shot_log_path("a").read_text()
    assert ("Traceback" in text) == (kind == "ZeroDivisionError")
    again = carry_out(ledger, record, LOT, lambda on_progress, log: Outcome(1))
    assert (again.state, again.cause, again.attempt) == ("solved", None, 2)


def test_progress_reaches_the_ledger_and_cancellation_the_work(ledger, monkeypatch):
    monkeypatch.setattr(worker, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.0)

    def task(on_progress, log):
        for done in range(100):
            report(on_progress, Progress("decode", done, 100, figures={"loss": 0.5}))
            seen = Ledger(ledger.folder).shot("a").progress
            assert (seen.done, seen.total, seen.figures) == (done, 100, {"loss": 0.5})
            if done == 3:
                ledger.request_cancel("test")
        raise AssertionError("nobody stopped us")

    record = carry_out(ledger, ledger.shot("a"), LOT, task)
    assert (record.state, record.progress) == ("cancelled", None)
    assert "at 4 frames" in record.cause.message


def test_a_cancelled_job_begins_no_shot(ledger):
    ledger.request_cancel("test")
    ran = []
    record = carry_out(ledger, ledger.shot("a"), LOT, lambda on_progress, log: ran.append(1))
    assert record.state == "cancelled"
    assert not ran


def test_a_skipped_shot_ends_as_skipped(ledger, monkeypatch):
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.0)
    ledger.skip("a")
    ran = []
    record = carry_out(ledger, ledger.shot("a"), LOT, lambda on_progress, log: ran.append(1))
    assert (record.state, ran) == ("skipped", [])

    def task(on_progress, log):
        ledger.skip("b")
        report(on_progress, Progress("decode", 1, 9))
        raise AssertionError("nobody stopped us")

    assert carry_out(ledger, ledger.shot("b"), LOT, task).state == "skipped"


def test_a_task_that_was_begun_again_elsewhere_does_not_write_over_it(ledger):
    def task(on_progress, log):
        again = ledger.shot("a").model_copy(update={"attempt": 2, "state": "solved", "frames": 7})
        ledger.write(again)
        raise OSError(errno.EIO, "late")

    carry_out(ledger, ledger.shot("a"), LOT, task)
    found = ledger.shot("a")
    assert (found.state, found.frames, found.attempt) == ("solved", 7, 2)


def test_progress_of_a_task_that_was_begun_again_elsewhere_is_not_written(ledger, monkeypatch):
    """Its machine was only cut off, and works on."""
    monkeypatch.setattr(worker, "TELL_SECONDS", 0.0)

    def task(on_progress, log):
        report(on_progress, Progress("decode", 1, 9))
        again = ledger.shot("a").model_copy(update={"attempt": 2, "state": "solved", "frames": 7})
        ledger.write(again)
        report(on_progress, Progress("decode", 2, 9))
        raise AssertionError("nobody stopped us")

    carry_out(ledger, ledger.shot("a"), LOT, task)
    found = ledger.shot("a")
    assert (found.state, found.frames, found.attempt) == ("solved", 7, 2)


def test_warnings_stay_with_the_shot_until_it_is_done_again(ledger):
    def task(on_progress, log):
        return Outcome(3, warnings=("look at it",))

    assert carry_out(ledger, ledger.shot("a"), LOT, task).warnings == ["look at it"]
    assert "warning: look at it\n" in ledger.shot_log_path("a").read_text()
    again = carry_out(ledger, ledger.shot("a"), LOT, lambda on_progress, log: Outcome(3))
    assert again.warnings == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FootageTruncated("ends at 3"), "fault"),
        (store_error(OSError(errno.ENOSPC, "full"), Path("/store/a")), "fault"),
        (store_error(OSError(errno.ESTALE, "stale"), Path("/store/a")), "transient"),
        (OSError(errno.EIO, "I/O"), "transient"),
        (MemoryError("no memory"), "memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (MachineLost("the machine that decoded it was lost"), "lost"),
        (ZeroDivisionError("ours"), "bug"),
    ],
)
def test_causes_are_told_apart(error, kind):
    assert Cause.of(error).kind == kind
