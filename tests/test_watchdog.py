"""The watchdog: a task that works is left alone, one that stands still is not."""

from __future__ import annotations

import pytest

from jobs.records import Moment, ShotRecord
from jobs.retries import Tries
from jobs.watchdog import KILL_SECONDS, Running, Watchdog


class Reference:
    """What Ray hands out for a task."""

    def __init__(self, name):
        self.name = name

    def task_id(self):
        return self

    def hex(self):
        return self.name


def record(state, done=None, what="ingest"):
    progress = None if done is None else Moment(what=what, done=done)
    return ShotRecord(name="a", stage="ingest", state=state, attempt=1, progress=progress)


def looked(dog, task, reference, states):
    """The moments (seconds) at which the task was told to end."""
    ended = []
    for now, state in states:
        for found in dog.standing_still({reference: task}, {reference: state}, now):
            assert found is reference
            ended.append(now)
    return ended


def task():
    return Running(record("queued"), Tries(), seen=0.0)


def test_progress_keeps_a_task_alive():
    states = [(float(t), record("running", done=t // 5)) for t in range(100)]
    assert looked(Watchdog(10.0, set), task(), Reference("t"), states) == []


def test_without_progress_it_is_ended():
    states = [(float(t), record("running", done=min(t, 20))) for t in range(40)]
    ended = looked(Watchdog(10.0, set), task(), Reference("t"), states)
    assert ended[0] == 31.0


def test_a_file_that_is_written_without_progress_is_none():
    """Its state file is written anew all the time, and says the same."""
    states = [(float(t), record("running", done=3)) for t in range(20)]
    assert looked(Watchdog(10.0, set), task(), Reference("t"), states)


def test_waiting_for_a_decoder_is_progress_of_another_kind():
    states = [(float(t), record("running", done=t, what="queue")) for t in range(100)]
    assert looked(Watchdog(10.0, set), task(), Reference("t"), states) == []


def test_a_task_that_waits_for_a_machine_is_left_alone():
    states = [(float(t), record("queued")) for t in range(1000)]
    assert looked(Watchdog(10.0, set), task(), Reference("t"), states) == []


def test_one_that_stood_still_before_it_said_anything_is_ended():
    states = [(float(t), record("queued")) for t in range(30)]
    ended = looked(Watchdog(10.0, lambda: {"t"}), task(), Reference("t"), states)
    assert ended[0] == 22.0


@pytest.mark.parametrize(("hung_seconds", "patience"), [(600.0, KILL_SECONDS), (10.0, 10.0)])
def test_one_of_whose_end_nothing_is_heard_is_given_up(hung_seconds, patience):
    dog, reference, stuck = Watchdog(hung_seconds, set), Reference("t"), task()
    assert dog.given_up({reference: stuck}, 1000.0) == []
    stuck.hung = 1000.0
    assert dog.given_up({reference: stuck}, 1000.0 + patience) == []
    assert dog.given_up({reference: stuck}, 1001.0 + patience) == [reference]
