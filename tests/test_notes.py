"""Notes: a full disk delays what the driver writes, and loses nothing."""

from __future__ import annotations

import errno
import os

import pytest

from facecap_core import failpoints
from jobs.ledger import Ledger
from jobs.notes import Notes
from jobs.records import ShotRecord
from jobs.request import IngestRequest


@pytest.fixture
def notes(tmp_path):
    request = IngestRequest(settings={}, actors=("ada",), shots=("a", "b"))
    yield Notes(Ledger.create(tmp_path / "jobs", request))
    failpoints.arm(None)


def full(step):
    if step == "file.made":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def record(name, state):
    return ShotRecord(name=name, stage="ingest", state=state)


def test_what_could_not_be_written_is_kept_and_written_later(notes):
    notes.write(record("a", "solved"))
    failpoints.arm(full)
    notes.write(record("a", "failed"))
    notes.write(record("b", "solved"))
    notes.write_rest()
    assert notes.unwritten == 2
    assert notes.ledger.shot("a").state == "solved", "the old state, whole"
    assert notes.current(record("a", "queued")).state == "failed"
    failpoints.arm(None)
    notes.write_rest()
    assert notes.unwritten == 0
    assert [notes.ledger.shot(name).state for name in "ab"] == ["failed", "solved"]


def test_a_newer_state_takes_the_place_of_one_that_waits(notes):
    failpoints.arm(full)
    notes.write(record("a", "queued"))
    failpoints.arm(None)
    notes.write(record("a", "solved"))
    notes.write_rest()
    assert notes.ledger.shot("a").state == "solved"
