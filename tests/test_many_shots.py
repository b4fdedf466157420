"""Many shots: what one costs does not grow with those beside it."""

from __future__ import annotations

import os
import sys

import pytest
from tiny_production import make_production

from facecap_core.productions.production import load_production
from facecap_core.stores.versions import whole_directory
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.notes import Notes
from jobs.planning import plan_ingest
from jobs.preflight import check_placement, preflight
from jobs.records import Moment, Options
from jobs.request import IngestRequest

SHOTS = tuple(f"s{number}" for number in range(20))


@pytest.fixture
def listed():
    """The folders that were listed, however: pathlib keeps its own os.scandir from Python 3.13 on."""
    folders, here = [], [True]

    def told(event, given):
        if here and event in ("os.scandir", "os.listdir"):
            folders.append(os.path.basename(str(given[0])))

    sys.addaudithook(told)  # for ever: Python has no way to take it back
    yield folders
    here.clear()


@pytest.fixture
def notes(tmp_path):
    return Notes(Ledger.create(tmp_path, IngestRequest(settings={}, actors=("a",), shots=SHOTS)))


def write(final):
    with whole_directory(final) as staged:
        (staged.path / "a").write_text("x")


def test_a_new_name_does_not_list_the_versions_of_all_others(tmp_path, listed):
    write(tmp_path / "old.zarr")
    write(tmp_path / "new.zarr")
    assert ".versions" not in listed
    write(tmp_path / "new.zarr")
    assert ".versions" in listed


def test_a_store_without_locks_is_swept_as_well(tmp_path):
    write(tmp_path / "a.zarr")
    left = tmp_path / ".versions" / "a.zarr@nobody@00000000.partial"
    left.mkdir()
    os.utime(left, (0, 0))
    (tmp_path / ".versions" / "a.zarr.lock").unlink()
    write(tmp_path / "a.zarr")
    assert not left.exists()


def begun(notes, name, done):
    record = notes.ledger.shot(name)
    moment = Moment(what="ingest", done=done)
    update = {"state": "running", "attempt": 1, "progress": moment}
    notes.ledger.write(record.model_copy(update=update))


def test_a_look_reads_only_the_states_that_changed(notes, monkeypatch):
    records = {name: notes.ledger.shot(name) for name in SHOTS}
    assert notes.look(records) == records
    for name in SHOTS[:3]:
        begun(notes, name, 1)
    read = []
    real = notes.current
    monkeypatch.setattr(notes, "current", lambda r: read.append(r.name) or real(r))
    seen = notes.look(records)
    assert read == list(SHOTS[:3])
    assert [seen[name].state for name in SHOTS[:4]] == ["running"] * 3 + ["queued"]
    begun(notes, SHOTS[1], 2)
    del read[:]
    assert notes.look(records)[SHOTS[1]].progress.done == 2
    assert read == [SHOTS[1]]


def test_a_look_knows_what_could_not_be_written(notes):
    failed = notes.ledger.shot(SHOTS[0]).model_copy(update={"state": "failed"})
    notes._unwritten[SHOTS[0]] = failed
    assert notes.look({0: notes.ledger.shot(SHOTS[0])}) == {0: failed}


def test_lines_together_are_lines_as_one_by_one(tmp_path):
    for name, write_lines in (
        ("one", lambda log: [log.line("a\nb"), log.line("c")]),
        ("all", lambda log: log.lines(["a\nb", "c"])),
    ):
        write_lines(Log(tmp_path / name / "x.log"))
    one, whole = ((tmp_path / n / "x.log").read_text().split("\n") for n in ("one", "all"))
    assert [line[19:] for line in one] == [line[19:] for line in whole]


def test_a_submission_looks_at_each_shots_footage_once(tmp_path, monkeypatch):
    production = load_production(make_production(tmp_path, bulk=3, frames=2))
    names = list(production.shots)
    request = plan_ingest(production, actor=None, shots=names, camera=None)
    looked = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda p, *a, **k: looked.append(str(p)) or real(p, *a, **k))
    preflight(production, request, Options(), None)
    check_placement(request, Options(), [{"CPU": 1.0}])
    for name in names:
        assert looked.count(str(production.shots[name].footage["center"])) == 1
