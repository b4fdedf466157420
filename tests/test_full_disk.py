"""Full disk: an error of the file system at any step is named with its remedy, and loses nothing."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import nullcontext

import pytest
from crashing import (
    FILES,
    FOLDERS,
    SHOT,
    TARGETS,
    WORKS,
    armed,
    copy,
    left_over,
    seen,
    version_of,
    whole,
)

from facecap_core.errors import StoreError
from facecap_core.files import files_in, sync_tree
from jobs.ledger import Ledger

FAULTS = {
    errno.ENOSPC: ("free some space", False),
    errno.EACCES: ("make .* writable", False),
    errno.EROFS: ("make .* writable", False),
    errno.EIO: ("is mounted", True),
    errno.ESTALE: ("is mounted", True),
}
"""What a user reads, and whether it may go away by itself."""


def failing(number, step):
    """The file system's error, at one of the steps."""

    def fail(passed, _):
        if passed == step:
            raise OSError(number, os.strerror(number))

    return armed(fail)


def check(tmp_path, inputs, before, work, step, number, version):
    store = copy(before, work, tmp_path / f"{step}-{number}")
    old = version_of(store, work)
    remedy, transient = FAULTS[number]
    with failing(number, step), pytest.raises(StoreError, match=remedy) as caught:
        work.do(inputs, store, "new")
    assert os.strerror(number) in str(caught.value)
    assert caught.value.fault.file.startswith(str(store / work.final).rpartition("/")[0])
    assert caught.value.transient == transient
    done = step >= work.visible
    assert seen(store, work) == whole(inputs, work)["new" if done else version]
    if work.is_folder and (version or done):
        kept = {old, f"{old}.json"} if version and done else set()
        assert left_over(store, work) == kept, work.steps[step]
    elif work.is_folder:
        assert os.listdir((store / work.final).parent / ".versions") == [f"{old}.lock"]
    else:
        assert not [name for name in left_over(store, work) if name.endswith("partial")]
    work.do(inputs, store, "new")
    assert seen(store, work) == whole(inputs, work)["new"]
    shutil.rmtree(store)


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_at_any_step_the_old_one_stays(tmp_path, inputs, filled, name):
    """Every step sees a full disk and one other fault, in each writer another one."""
    work, others = WORKS[name], list(FAULTS)[1:]
    for step in range(len(work.steps)):
        other = others[(step + list(WORKS).index(name)) % len(others)]
        for number in FAULTS if name in FILES else (errno.ENOSPC, other):
            check(tmp_path, inputs, filled, work, step, number, "old")


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_at_any_step_nothing_appears_where_nothing_was(tmp_path, inputs, bare, name):
    for step in range(len(WORKS[name].steps)):
        check(tmp_path, inputs, bare, WORKS[name], step, errno.ENOSPC, None)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_store_that_vanishes_meanwhile_is_an_error(tmp_path, inputs, filled, name):
    work = WORKS[name]
    for step in range(len(work.steps)):
        store, away = copy(filled, work, tmp_path / "store"), tmp_path / "away"

        def vanish(passed, _, step=step, store=store, away=away):
            if passed == step:
                store.rename(away)

        with armed(vanish), pytest.raises(StoreError, match="is mounted") as caught:
            work.do(inputs, store, "new")
        assert caught.value.fault.file.startswith(str(store))
        # What was written where the store had been is nothing that a reader takes for it.
        assert not (store / work.final).exists(), work.steps[step]
        shutil.rmtree(store, ignore_errors=True)
        away.rename(store)
        assert seen(store, work) == whole(inputs, work)["new" if step >= work.visible else "old"]
        work.do(inputs, store, "new")
        assert seen(store, work) == whole(inputs, work)["new"]
        shutil.rmtree(store)


def test_a_folder_that_cannot_be_listed_is_no_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(files_in(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError):
        sync_tree(tmp_path / "missing")


def test_a_worker_names_the_fault_in_the_ledger_or_to_its_caller(tmp_path, inputs, filled):
    for step in range(len(SHOT.steps)):
        store = tmp_path / str(step)
        for work in (SHOT, TARGETS):
            copy(filled, work, store)
        ledger = Ledger((store / SHOT.final).parents[1])
        in_ledger = 3 <= step < len(SHOT.steps) - 3
        told = nullcontext() if in_ledger else pytest.raises(StoreError, match="free some space")
        with failing(errno.ENOSPC, step), told:
            SHOT.do(inputs, store, "new")
        record = ledger.shot("s")
        assert (record.state == "failed") == in_ledger
        assert not in_ledger or "free some space" in record.cause.remedy
        SHOT.do(inputs, store, "new")
        assert ledger.shot("s").state == "solved"
        assert seen(store, TARGETS) == whole(inputs, TARGETS)["new"]
