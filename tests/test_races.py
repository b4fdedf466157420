"""Races: of four processes with the same work one makes it visible, the others step back."""

from __future__ import annotations

import os
import time

import pytest
from crashing import (
    REUSING,
    WORKS,
    armed,
    left_over,
    processes,
    seen,
    version_of,
    whole,
)

RACERS = 4


def race(do, inputs, store, start, results):
    """Do the work up to the moment before it becomes visible, then all at once."""

    def wait(_, step):
        if step == "directory.synced":
            start.wait(60)
        if step == "directory.linked":
            # Long enough for the others to look, if nothing kept them from it.
            time.sleep(0.2)

    with armed(wait):
        results.put((os.getpid(), do(inputs, store, "new")))


@pytest.mark.parametrize("place", ["empty", "older", "damaged"])
@pytest.mark.parametrize("name", REUSING)
def test_one_of_four_wins(tmp_path, inputs, name, place):
    work, kept = WORKS[name], set()
    if place != "empty":
        work.do(inputs, tmp_path, "old" if place == "older" else "new")
        kept = {version_of(tmp_path, work), version_of(tmp_path, work) + ".json"}
    if place == "damaged":
        chunk = next((tmp_path / work.final).glob("*/c.1.0.0"))
        chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")
    start, results = processes.Barrier(RACERS), processes.SimpleQueue()
    racers = [
        processes.Process(target=race, args=(work.do, inputs, tmp_path, start, results))
        for _ in range(RACERS)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    told = dict(results.get() for _ in racers)
    winners = [pid for pid, reused in told.items() if not reused]
    assert len(winners) == 1
    assert f"-{winners[0]}@" in version_of(tmp_path, work), (
        "the winner's version is the visible one"
    )
    assert seen(tmp_path, work) == whole(inputs, work)["new"]
    assert left_over(tmp_path, work) == kept, "only what its readers may still hold"
    assert work.do(inputs, tmp_path, "new"), "who comes late finds it"
