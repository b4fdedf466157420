"""Watching a job: what is drawn of it, on a real pseudo-terminal and without one."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from made_jobs import drive, make_job, note, submit
from rich.console import Console
from tiny_production import make_production

from farm.follow import rest
from farm.status_tables import job_line, left_sentence, stale_lines
from farm.watch import picture, plain_lines
from jobs.ledger import Ledger
from jobs.records import Moment, ShotRecord

PATIENCE_SECONDS = 60.0


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=6, frames=2)


@pytest.fixture
def ledger(folder):
    """A job at work: two solved, one failed, one skipped, one running, one queued."""
    ledger = make_job(folder, "running")
    note(ledger, "train_1", "solved")
    note(ledger, "train_2", "failed")
    note(ledger, "train_3", "queued")
    ledger.skip("train_3")
    note(ledger, "train_4", "queued")
    note(ledger, "train_5", "running", progress=Moment(what="decode", done=12, total=30))
    return ledger


def drawn(status, height=40):
    console = Console(width=100, force_terminal=False)
    with console.capture() as captured:
        console.print(picture(status, height=height, now=time.time()))
    return captured.get()


def test_the_picture_has_a_bar_for_each_state(ledger):
    status = ledger.status().model_copy(update={"seconds_left": 321.0})
    text = drawn(status)
    assert "running" in text.splitlines()[0]
    assert "about 5m21s left" in text.splitlines()[0]
    counts = dict(re.findall(r"^(\w+) .* (\d+)/6 *$", text, re.MULTILINE))
    assert counts == {"ingested": "2", "running": "1", "queued": "1", "failed": "1", "skipped": "1"}
    assert "train_2: x.mp4: no such file -> find it" in text
    assert re.search(r"^train_5 .* 12/30 ", text, re.MULTILINE)


def test_the_training_has_its_line(ledger):
    moment = Moment(what="train", done=3, total=9, figures={"epoch": 3.0, "epochs": 9.0})
    training = ShotRecord(name="demo-1", stage="train", state="running", progress=moment)
    status = ledger.status().model_copy(update={"training": training})
    assert "training  epoch 3.0/9" in drawn(status)
    assert job_line(status).endswith("; epoch 3.0/9")
    moment = Moment(what="calibrate", done=64, total=512)  # after the last epoch
    training = training.model_copy(update={"progress": moment})
    status = status.model_copy(update={"training": training})
    assert "training  calibrate 64/512 frames" in drawn(status)
    assert job_line(status).endswith("; calibrate 64/512 frames")


def test_a_small_terminal_is_not_overrun(folder, ledger):
    shots = [
        ShotRecord(name=f"shot_{i}", stage="ingest", state="running", started=time.time())
        for i in range(200)
    ]
    status = ledger.status().model_copy(update={"shots": shots})
    text = drawn(status, height=24)
    assert len(text.splitlines()) <= 24
    assert re.search(r"and \d+ more at work", text)


def test_newer_models_and_time_left_are_told(ledger):
    status = ledger.status()
    assert stale_lines(status) == []
    assert left_sentence(status.model_copy(update={"seconds_left": None})) == ""
    status = status.model_copy(update={"stale": {"ada": "cpu-1f3a9c20"}, "seconds_left": 59.7})
    assert stale_lines(status) == [
        "stale: ada has a newer model cpu-1f3a9c20;"
        " farm submit infer --actor ada --model cpu-1f3a9c20 solves with it"
    ]
    assert "stale: ada" in drawn(status)
    assert "about 1m00s left" in job_line(status)
    for state in ("queued", "done"):
        assert left_sentence(status.model_copy(update={"state": state})) == ""


def test_without_a_terminal_it_is_lines(ledger):
    lines = plain_lines(ledger.status())
    assert "running: 2/6 ingested, 1 failed, 1 skipped, 1 running" in lines[0]
    assert lines[1].startswith("  train_5 12/30 on ")
    assert len(lines) == 2


class LookedAt(Ledger):
    """A ledger whose driver ends its second attempt at the third look."""

    looks = 0

    def driver(self):
        self.looks += 1
        if self.looks == 3:
            drive(self, "finished", attempt=2)
        return super().driver()


def test_the_end_of_the_attempt_before_is_not_taken_for_an_end(ledger, monkeypatch):
    monkeypatch.setattr("farm.follow.POLL_SECONDS", PATIENCE_SECONDS)
    drive(ledger, "finished")
    submit(ledger, attempt=2)
    looked_at = LookedAt(ledger.folder)
    rest(looked_at, ledger.status())
    assert looked_at.looks == 3


# -- the command itself ------------------------------------------------------------------------------


def _as_in_a_terminal():
    """Whoever runs the tests may ignore Ctrl-C or hold it back, and a child would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


class Terminal:
    """`farm status --watch` on a pseudo-terminal."""

    def __init__(self, folder):
        self._ours, theirs = pty.openpty()
        self._bytes, self.text = b"", ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "farm.app", "status", "--watch"],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
            start_new_session=True,
            preexec_fn=_as_in_a_terminal,
        )
        os.close(theirs)

    def read_until(self, pattern):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"{pattern!r} not in:\n{self.text}"
            self._read(0.2)

    def end(self):
        """The exit code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            self._read(0.2)
        while self._read(0.2):  # a terminal hands out a few thousand letters at a time
            pass
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, seconds):
        """Whether there was something."""
        found = b""
        if select.select([self._ours], [], [], seconds)[0]:
            with contextlib.suppress(OSError):  # its end is closed
                found = os.read(self._ours, 65536)
            self._bytes += found
            # A letter of several bytes may be read in two pieces.
            self.text = re.sub(r"\x1b\[[0-9;]*m", "", self._bytes.decode(errors="replace"))
        return bool(found)


@pytest.fixture
def terminal(folder, ledger):
    opened = Terminal(folder)
    yield opened
    opened.close()


def test_on_a_terminal_it_goes_on_until_the_job_ends(ledger, terminal):
    terminal.read_until(r"train_5 .* 12/30")
    note(ledger, "train_5", "running", progress=Moment(what="decode", done=27, total=30))
    terminal.read_until(r"train_5 .* 27/30")
    for name in ("train_4", "train_5"):
        note(ledger, name, "solved")
    drive(ledger, "finished")
    assert terminal.end() == 100  # train_2 failed
    assert "failed: 4 ingested, 1 failed, 1 skipped" in terminal.text


def test_ctrl_c_leaves_the_job_alone(ledger, terminal):
    terminal.read_until(r"train_5 .* 12/30")
    before = ledger.status().model_dump(exclude={"seconds_left"})
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 101
    assert f"goes on without you: farm wait {ledger.job}" in terminal.text
    assert "Traceback" not in terminal.text
    assert not ledger.cancel_requested()
    assert ledger.status().model_dump(exclude={"seconds_left"}) == before


def test_a_pipe_gets_plain_lines(folder, ledger):
    watching = subprocess.Popen(
        [sys.executable, "-u", "-m", "farm.app", "status", "--watch"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    first = watching.stdout.readline()
    assert "2/6 ingested" in first
    for name in ("train_2", "train_4", "train_5"):
        note(ledger, name, "solved", cause=None)
    drive(ledger, "finished")
    rest, _ = watching.communicate(timeout=PATIENCE_SECONDS)
    assert watching.returncode == 0
    assert "done: 5 ingested, 1 skipped" in rest
    assert "\x1b" not in first + rest
