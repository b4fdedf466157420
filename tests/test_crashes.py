"""Crashes: a writer killed at any step, or at any moment, leaves the old array, the new one, or none."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import threading
import time

import numpy as np
import pytest
from crashing import (
    CALIBRATION,
    FILE,
    REUSING,
    SHOT,
    TARGETS,
    WORKS,
    Work,
    call_until,
    copy,
    grow_old,
    in_process,
    left_over,
    processes,
    seen,
    steps_of,
    version_of,
    whole,
)

from facecap_core.errors import StoreError
from facecap_core.failpoints import STEPS
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import GroupReader
from facecap_core.stores.manifests import verify
from jobs.ledger import Ledger


@pytest.mark.parametrize("name", [*WORKS, "shot"])
def test_a_writer_passes_the_steps_that_it_is_killed_at(tmp_path, inputs, bare, name):
    work = WORKS.get(name, SHOT)
    store = tmp_path / "store" if name == "request" else copy(bare, work, tmp_path / "store")
    assert steps_of(lambda: work.do(inputs, store, "new")) == work.steps


def test_no_step_is_left_out():
    assert {step for work in WORKS.values() for step in work.steps} == set(STEPS)


@pytest.mark.parametrize("before", ["old", None])
@pytest.mark.parametrize("name", [name for name in WORKS if name != "request"])
def test_killed_at_any_step_it_is_old_or_new_and_goes_on(
    tmp_path, inputs, filled, bare, name, before
):
    work, versions = WORKS[name], whole(inputs, WORKS[name])
    for step in range(len(work.steps)):
        store = copy(filled if before else bare, work, tmp_path / str(step))
        assert in_process(call_until, step, work.do, inputs, store, "new") == -signal.SIGKILL
        expected = "new" if step >= work.visible else before
        assert seen(store, work) == versions[expected], work.steps[step]
        grow_old(store, work)
        visible = version_of(store, work)
        assert work.do(inputs, store, "new") == (expected == "new" and name in REUSING)
        assert seen(store, work) == versions["new"]
        if work.is_folder:  # what readers may still hold stays
            kept = {version_of(filled, work), visible}
            assert left_over(store, work) <= {name + end for name in kept for end in ("", ".json")}
        shutil.rmtree(store)


def test_killed_at_any_step_of_calibration_a_model_has_its_old_one_or_the_new_one(
    tmp_path, inputs, filled
):
    work, store = CALIBRATION, copy(filled, CALIBRATION, tmp_path / "undisturbed")
    old = seen(store, work)
    assert steps_of(lambda: work.do(inputs, store, "new")) == work.steps
    new = seen(store, work)
    changed = {name for name in old if old[name] != new[name]}
    assert old.keys() == new.keys()
    assert changed == {"confidence.safetensors", "model.json"}
    for step in range(len(work.steps)):
        store = copy(filled, work, tmp_path / str(step))
        assert in_process(call_until, step, work.do, inputs, store, "new") == -signal.SIGKILL
        assert seen(store, work) == (new if step >= work.visible else old), work.steps[step]
        work.do(inputs, store, "new")
        assert seen(store, work) == new


@pytest.mark.parametrize("before", ["old", None])
def test_a_worker_killed_at_any_step_leaves_a_ledger_that_is_right(
    tmp_path, inputs, filled, bare, before
):
    states = {"old": "solved", None: "queued"}
    for step in range(len(SHOT.steps)):
        store = tmp_path / str(step)
        for work in (SHOT, TARGETS):
            copy(filled if before else bare, work, store)
        ledger = Ledger((store / SHOT.final).parents[1])
        assert in_process(call_until, step, SHOT.do, inputs, store, "new") == -signal.SIGKILL
        first, last = FILE.index("file.visible"), len(SHOT.steps) - 1
        expected = states[before] if step < first else "running" if step < last else "solved"
        assert ledger.shot("s").state == expected, SHOT.steps[step]
        there = step >= len(FILE) + TARGETS.visible
        assert SHOT.do(inputs, store, "new") == there, "what was done is not done again"
        record = ledger.shot("s")
        assert (record.state, record.frames) == ("solved", 66)
        assert seen(store, TARGETS) == whole(inputs, TARGETS)["new"]


def write_numbered(path, number, batches=4):
    """A group in which every value is `number`."""
    with new_group(path) as group:
        values = group.array(
            "values", row_shape=(500,), dtype="float32", dimension_names=("frame", "value")
        )
        for _ in range(batches):
            values.append(np.full((50, 500), number, np.float32))
        group.set_attributes({"number": number})


def write_on(path, first, begun):
    begun.set()
    while True:
        write_numbered(path, first)
        first += 1


def read_on(path, stop, found):
    """Read until told to stop; what was read, and what was wrong with it."""
    numbers = []
    try:
        while not stop.is_set():
            reader = GroupReader(path)
            rows = reader.read("values")
            assert rows.shape == (200, 500)
            assert np.unique(rows).tolist() == [reader.attributes["number"]], "a mixture"
            assert verify(path) == []
            numbers.append(reader.attributes["number"])
        found.send((numbers, None))
    except (AssertionError, StoreError) as error:
        found.send((numbers, str(error)))


def test_killed_at_random_moments_a_reader_sees_one_version_at_a_time(tmp_path):
    path, moments = tmp_path / "a.zarr", random.Random(7)
    write_numbered(path, 0)
    stop, (receiving, sending) = processes.Event(), processes.Pipe(duplex=False)
    reader = processes.Process(target=read_on, args=(path, stop, sending))
    reader.start()
    for trial in range(1, 31):
        begun = processes.Event()
        writer = processes.Process(target=write_on, args=(path, 1000 * trial, begun))
        writer.start()
        assert begun.wait(60)
        time.sleep(moments.uniform(0, 0.1))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(60)
        assert writer.exitcode == -signal.SIGKILL
    stop.set()
    numbers, error = receiving.recv()
    reader.join(60)
    assert error is None
    assert numbers == sorted(numbers), "an older one came back"
    work = Work(lambda *_: False, path.name, TARGETS.steps)
    grow_old(tmp_path, work)
    last = version_of(tmp_path, work)
    write_numbered(path, 99_000)
    assert left_over(tmp_path, work) == {last, f"{last}.json"}


def look_at_every_call(path):
    """Replace the group; before each of its calls to the file system, look as a reader does."""
    looks, looking = [], threading.Lock()

    def look(event, _):
        if event.startswith(("os.", "open", "shutil.")) and looking.acquire(blocking=False):
            try:
                assert verify(path) == [], event
                looks.append(os.path.realpath(path))
            finally:
                looking.release()

    before = os.path.realpath(path)
    sys.addaudithook(look)
    write_numbered(path, 1)
    after = os.path.realpath(path)
    assert len(looks) > 50
    change = looks.index(after)
    assert looks == change * [before] + (len(looks) - change) * [after]


def test_at_every_call_to_the_file_system_a_reader_finds_it_whole(tmp_path):
    write_numbered(tmp_path / "a.zarr", 0)
    assert in_process(look_at_every_call, tmp_path / "a.zarr") == 0


def change_on(path, versions, stop):
    for version in itertools.cycle(versions):
        if stop.is_set():
            return
        path.with_name("link").symlink_to(version)
        os.replace(path.with_name("link"), path)


def test_verifying_while_it_changes_finds_no_damage(tmp_path):
    path, versions = tmp_path / "a.zarr", []
    for number in range(2):
        write_numbered(path, number, batches=4 + 4 * number)
        versions.append(os.readlink(path))
    stop = processes.Event()
    changer = processes.Process(target=change_on, args=(path, versions, stop))
    changer.start()
    try:
        assert [found for _ in range(500) for found in verify(path, contents=False)] == []
    finally:
        stop.set()
        changer.join(60)
