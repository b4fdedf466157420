"""The ledger: a job's state from files alone, whoever died."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from facecap_core.errors import FootageTruncated, StoreError
from jobs.cancel import cancel_unfinished
from jobs.errors import JobNotFound
from jobs.job_list import find_job, ledgers
from jobs.ledger import Ledger
from jobs.processes import SILENT_SECONDS, known_dead, this_host, this_process
from jobs.records import Cause, Driver, Process, ShotRecord, Submission
from jobs.request import IngestRequest, TrainRequest
from jobs.state import START_SECONDS


@pytest.fixture
def ledger(tmp_path):
    request = IngestRequest(settings={}, actors=("ada",), shots=("a", "b", "c"))
    return Ledger.create(tmp_path / "jobs", request)


@pytest.fixture(scope="module")
def dead():
    """A process of this machine that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = Process(
        host=this_host(), pid=child.pid, created=psutil.Process(child.pid).create_time()
    )
    child.communicate(b"\n")
    return process


def submission(**changes):
    values = {
        "attempt": 1,
        "submission_id": "x-1",
        "production": "/p/production.toml",
        "address": "http://127.0.0.1:1",
        "dashboard": "",
        "submitted": time.time(),
        "host": this_host(),
    }
    return Submission(**{**values, **changes})


def driver(**changes):
    now = time.time()
    values = {"attempt": 1, "process": this_process(), "beat": now, "started": now}
    return Driver(**{**values, **changes})


def shot(name, state, **more):
    return ShotRecord(name=name, stage="ingest", state=state, **more)


def test_a_new_job_was_never_submitted(ledger):
    status = ledger.status()
    assert status.state == "interrupted"
    assert "farm retry" in status.detail
    assert [record.state for record in status.shots] == ["queued"] * 3


def test_queued_until_its_driver_writes(ledger, dead):
    ledger.write_submission(submission(keeper=this_process()))
    assert ledger.status().state == "queued"
    ledger.write_driver(driver(attempt=0))  # what an earlier attempt left
    assert ledger.status().state == "queued"
    ledger.write_submission(submission(keeper=dead))
    assert ledger.status().state == "interrupted"
    ledger.write_submission(submission(submitted=time.time() - START_SECONDS - 1))
    assert ledger.status().state == "interrupted"


def test_a_refused_submission_has_failed(ledger):
    ledger.write_submission(submission(cause=Cause(type="ClusterError", message="full")))
    status = ledger.status()
    assert status.state == "failed"
    assert "full" in status.detail


def test_running_while_the_driver_beats(ledger, dead):
    ledger.write_submission(submission())
    ledger.write(shot("a", "solved"))
    ledger.write(shot("b", "running"))
    ledger.write_driver(driver())
    status = ledger.status()
    assert status.state == "running"
    counts = {state: number for state, number in status.counts.items() if number}
    assert counts == {"queued": 1, "running": 1, "solved": 1}
    ledger.write_driver(driver(process=dead))
    status = ledger.status()
    assert status.state == "interrupted"
    assert status.counts["running"] == 0, "its workers ended with it"
    elsewhere = Process(host="another-host", pid=1, created=0.0)
    ledger.write_driver(driver(process=elsewhere))
    assert ledger.status().state == "running", "of another host's process nothing is known"
    ledger.write_driver(driver(process=elsewhere, beat=time.time() - SILENT_SECONDS - 1))
    assert ledger.status().state == "interrupted"


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("solved", "solved", "solved"), "done"),
        (("solved", "failed", "solved"), "failed"),
        (("solved", "failed", "cancelled"), "failed"),
        (("solved", "cancelled", "queued"), "cancelled"),
        (("solved", "solved", "queued"), "interrupted"),
    ],
)
def test_the_end_follows_from_the_shots(ledger, states, state):
    ledger.write_submission(submission())
    ledger.write_driver(driver(state="finished", process=Process(host="h", pid=1, created=0.0)))
    for name, found in zip("abc", states, strict=True):
        ledger.write(shot(name, found))
    status = ledger.status()
    assert status.state == state
    assert sum(status.counts.values()) == len(status.shots)


def test_a_driver_that_failed_says_why(ledger):
    ledger.write_submission(submission())
    ledger.write_driver(driver(state="failed", cause=Cause(type="E", message="no store")))
    status = ledger.status()
    assert (status.state, status.detail) == ("failed", "no store")


def test_training_counts_too(tmp_path):
    request = TrainRequest(
        settings={},
        actor="ada",
        camera="center",
        training=("a",),
        validation=(),
        config={"preset": "cpu"},
    )
    ledger = Ledger.create(tmp_path, request)
    ledger.write_submission(submission())
    ledger.write_driver(driver(state="finished"))
    ledger.write(shot("a", "solved"))
    assert ledger.status().state == "interrupted"
    ledger.write(ShotRecord(name=request.model, stage="train", state="solved"))
    status = ledger.status()
    assert status.state == "done"
    assert status.model == request.model
    assert status.counts["solved"] == 1, "a training is no shot"


def test_cancelling_what_nobody_drives(ledger, dead):
    ledger.write_submission(submission())
    ledger.write_driver(driver(process=dead))
    ledger.write(shot("a", "solved"))
    ledger.write(shot("b", "running"))
    cancel_unfinished(ledger)
    status = ledger.status()
    assert status.state == "cancelled"
    assert [record.state for record in status.shots] == ["solved", "cancelled", "cancelled"]


def test_records_survive_the_way_to_disk(ledger):
    record = shot(
        "a",
        "failed",
        attempt=2,
        frames=7,
        seconds=1.5,
        cause=Cause.of(FootageTruncated("ends early", remedy="copy it again", file="x.mp4")),
    )
    ledger.write(record)
    assert Ledger(ledger.folder).shot("a") == record
    assert str(record.cause) == "x.mp4: ends early -> copy it again"


def test_a_reader_never_sees_half_a_file(ledger):
    stop = threading.Event()
    long = "x" * 20000

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            ledger.write(shot("a", "running", attempt=number, host=long[: number * 997 % 20000]))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen, deadline = set(), time.monotonic() + 10
        while len(seen) < 30 and time.monotonic() < deadline:
            record = Ledger(ledger.folder).shot("a")
            seen.add(record.attempt)
            assert len(record.host) == record.attempt * 997 % 20000
    finally:
        stop.set()
        thread.join()
    assert len(seen) >= 30, "the writer wrote while we read"
    assert not list(ledger.folder.rglob("*.partial"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", ".", "", "a\0b"])
def test_no_name_leads_out_of_the_folder(ledger, name):
    with pytest.raises(JobNotFound):
        ledger.shot_log_path(name)
    with pytest.raises(JobNotFound):
        ledger.shot(name)


@pytest.mark.parametrize("text", ["", "{", '{"state": "solved"}', '{"schema_version": 9}', "\xff"])
def test_a_damaged_file_is_named(ledger, text):
    (ledger.folder / "submission.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"submission\.json"):
        ledger.status()


@pytest.mark.parametrize("text", ["", "{", '{"state": "solved"}', "\xff"])
def test_a_shot_whose_state_was_lost_in_a_power_cut_is_done_again(ledger, text):
    ledger.write(shot("a", "solved"))
    (ledger.folder / "shots" / "a.json").write_bytes(text.encode("latin-1"))
    assert ledger.shot("a").state == "queued"
    assert ledger.status().counts["queued"] == 3


def test_skipping_a_shot_and_taking_it_back(ledger):
    ledger.write_submission(submission())
    ledger.write_driver(driver(state="finished"))
    for name in "ab":
        ledger.write(shot(name, "solved"))
    ledger.skip("b")
    ledger.skip("c")
    status = ledger.status()
    assert status.state == "done"
    assert [record.state for record in status.shots] == ["solved", "solved", "skipped"]
    ledger.unskip("c")
    assert ledger.status().state == "interrupted"
    assert ledger.shot("c").state == "queued"


def test_one_that_waits_for_another_job_is_queued(ledger):
    ledger.write_submission(submission())
    ledger.write_driver(driver(waits_for="train-ada-0"))
    status = ledger.status()
    assert (status.state, status.detail) == ("queued", "waits for train-ada-0")
    ledger.write_driver(driver(waits_for="train-ada-0", waits_state="interrupted"))
    held_up = "waits for train-ada-0, which is interrupted: farm retry train-ada-0 goes on with it"
    assert (ledger.status().state, ledger.status().detail) == ("queued", held_up)


def test_jobs_are_found_by_their_beginning(tmp_path):
    made = [
        Ledger.create(tmp_path, IngestRequest(settings={}, actors=(actor,), shots=("a",)))
        for actor in ("ada", "adb", "bob")
    ]
    for number, ledger in enumerate(made):
        os.utime(ledger.folder / "request.json", (number, number))
    assert [found.job for found in ledgers(tmp_path)] == [m.job for m in reversed(made)]
    assert find_job(tmp_path, None).job == made[2].job
    assert find_job(tmp_path, "ingest-bob").job == made[2].job
    assert find_job(tmp_path, made[0].job).job == made[0].job
    with pytest.raises(JobNotFound, match="could be"):
        find_job(tmp_path, "ingest-ad")
    with pytest.raises(JobNotFound, match="no job"):
        find_job(tmp_path, "infer")
    with pytest.raises(JobNotFound):
        find_job(tmp_path / "none", None)


def test_a_process_is_told_from_a_later_one_with_its_number(dead):
    me = this_process()
    assert not known_dead(me)
    assert known_dead(me.model_copy(update={"created": me.created - 100}))
    assert known_dead(dead)
    assert not known_dead(dead.model_copy(update={"host": "elsewhere"}))
