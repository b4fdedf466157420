"""Retries: what is tried again, how often, with how much memory and where; the figures in the end."""

from __future__ import annotations

import pytest

from facecap_core.errors import FootageTruncated
from jobs.records import Cause
from jobs.retries import LIMITS, Tries, cause_of, given_up, next_try


def cause(kind, type_="E"):
    return Cause(type=type_, message="it ended", kind=kind)


def tried(kind, type_="E", **more):
    """How often a task that always ends like this is begun, and what was reserved for each try."""
    tries, begun, reserved = Tries(), 1, [None]
    values = {"node": "n1", "peak_gb": None, "largest_gb": 64.0, **more}
    while next_try(tries, cause(kind, type_), **values) is not None:
        begun += 1
        reserved.append(tries.memory_gb)
        assert begun < 1000, "for ever"
    return begun, reserved, tries


@pytest.mark.parametrize("kind", ["fault", "bug"])
def test_a_users_fault_and_ours_are_not_tried_again(kind):
    assert tried(kind)[0] == 1


@pytest.mark.parametrize("kind", ["lost", "transient", "memory", "hung"])
def test_other_ends_are_tried_again_a_bounded_number_of_times(kind):
    assert tried(kind)[0] == 1 + LIMITS[kind]


def test_a_machine_that_is_taken_away_is_no_fault_of_its_shots():
    begun, _, tries = tried("lost", "NodeDiedError")
    assert begun == 1 + LIMITS["machine"]
    assert next_try(tries, cause("lost"), node="", peak_gb=None, largest_gb=1.0) is not None


def test_memory_is_doubled_up_to_the_largest_machine():
    assert tried("memory")[1] == [None, 2.0, 4.0, 8.0]
    assert tried("memory", peak_gb=3.0)[1] == [None, 6.0, 12.0, 24.0]
    begun, reserved, tries = tried("memory", peak_gb=3.0, largest_gb=7.5)
    assert reserved == [None, 6.0, 7.5]
    final = given_up(tries, cause("memory"), 7.5)
    assert "3 times" in final.message
    assert "7.5 GB reserved" in final.message
    assert "--memory" in final.remedy
    assert begun == 3


def test_pauses_grow_where_the_storage_hiccups():
    tries = Tries()
    pauses = [
        next_try(tries, cause("transient"), node="", peak_gb=None, largest_gb=1.0)
        for _ in range(LIMITS["transient"])
    ]
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0] > 0


def test_a_machine_without_progress_is_avoided():
    tries = Tries()
    next_try(tries, cause("hung"), node="n1", peak_gb=None, largest_gb=1.0)
    assert tries.avoid == {"n1"}
    tries = Tries()
    next_try(tries, cause("lost"), node="n1", peak_gb=None, largest_gb=1.0)
    assert tries.avoid == frozenset(), "once may be chance"
    next_try(tries, cause("lost"), node="n1", peak_gb=None, largest_gb=1.0)
    assert tries.avoid == {"n1"}


def test_the_causes_of_rays_errors():
    from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

    assert cause_of(WorkerCrashedError(), "job").kind == "lost"
    assert cause_of(NodeDiedError("gone"), "job").kind == "lost"
    assert cause_of(OutOfMemoryError("97 % used"), "job").kind == "memory"
    ours = FootageTruncated("ends early", remedy="copy it again", file="x.mp4")
    told = cause_of(RayTaskError("work", "", ours), "job")
    assert (told.kind, told.type, told.remedy) == ("fault", "FootageTruncated", "copy it again")
    assert cause_of(RayTaskError("work", "", ZeroDivisionError("x")), "job").kind == "bug"
