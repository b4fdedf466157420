"""Hooks: a user's command runs when a job ends, with the facts in its environment and without a shell."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time

import pytest
from made_jobs import drive, make_job, note
from tiny_production import make_production

from facecap_core.errors import ConfigError
from farm.hooks import LOG_NAME, run_hook, told, wait_in_background, words

PATIENCE_SECONDS = 60.0
WRITES = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open(sys.argv[1], 'w'))"


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=3, frames=2)


def writes(path, *arguments):
    """A hook that leaves its arguments and environment in a file."""
    return shlex.join([sys.executable, "-c", WRITES, str(path), *arguments])


def farm(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "farm.app", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_no_shell_reads_the_command(folder, tmp_path):
    status = make_job(folder, "done").status()
    trap = "$(touch trap); `touch trap` && touch trap > trap | $HOME *"
    run_hook(words(writes(tmp_path / "seen.json", trap)), status)
    arguments, _ = json.loads((tmp_path / "seen.json").read_text())
    assert arguments[1] == trap
    assert not list(tmp_path.rglob("trap"))


@pytest.mark.parametrize(
    ("state", "code", "solved", "failed"),
    [
        ("done", 0, 3, 0),
        ("failed", 100, 2, 1),
        ("cancelled", 103, 2, 0),
        ("interrupted", 101, 2, 0),
    ],
)
def test_the_hook_is_told_what_became_of_the_job(folder, tmp_path, state, code, solved, failed):
    ledger = make_job(folder, state)
    done = farm(folder, "wait", "--on-done", writes(tmp_path / "seen.json"))
    assert done.returncode == code
    _, environment = json.loads((tmp_path / "seen.json").read_text())
    found = {name: value for name, value in environment.items() if name.startswith("FARM_")}
    expected = {
        "FARM_JOB": ledger.job,
        "FARM_KIND": "ingest",
        "FARM_STATE": state,
        "FARM_SHOTS": "3",
        "FARM_SOLVED": str(solved),
        "FARM_FAILED": str(failed),
        "FARM_EXIT_CODE": str(code),
    }
    assert expected.items() <= found.items()
    assert told(ledger.status()) == expected


def test_a_job_that_goes_on_calls_nobody(folder, tmp_path):
    make_job(folder, "running")
    done = farm(folder, "wait", "--timeout", "0", "--on-done", writes(tmp_path / "seen.json"))
    assert done.returncode == 101
    assert not (tmp_path / "seen.json").exists()


def test_what_it_prints_does_not_spoil_json(folder):
    make_job(folder, "done")
    done = farm(folder, "wait", "--json", "--on-done", "echo hello")
    assert json.loads(done.stdout)["state"] == "done"
    assert "hello" in done.stderr


def test_its_failure_is_a_warning_and_the_code_stays_that_of_the_job(folder):
    make_job(folder, "done")
    done = farm(folder, "wait", "--on-done", "sh -c 'exit 7'")
    assert done.returncode == 0
    assert "warning: --on-done: sh ended with 7" in done.stderr


def test_what_cannot_run_is_refused_before(folder):
    for command, message in {
        "notify-sendd x": "no command 'notify-sendd' on this machine.*whole path",
        "/nowhere/notify": "no command '/nowhere/notify'",
        str(folder / "shots.csv"): "no command",  # not executable
        "echo 'x": "close its quotes",
        "  ": "is empty",
    }.items():
        with pytest.raises(ConfigError, match=message):
            words(command)
    assert words("echo 'a b' c") == ["echo", "a b", "c"]


def test_one_waits_in_the_background_and_ends_with_the_job(folder, tmp_path):
    ledger = make_job(folder, "running")
    waiting = wait_in_background(ledger, folder, words(writes(tmp_path / "seen.json")))
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(2.0)
    assert os.getsid(waiting.pid) == waiting.pid  # a closed terminal does not end it
    assert not (tmp_path / "seen.json").exists()
    note(ledger, "train_2", "solved")
    drive(ledger, "finished")
    assert waiting.wait(PATIENCE_SECONDS) == 0
    _, environment = json.loads((tmp_path / "seen.json").read_text())
    assert environment["FARM_STATE"] == "done"
    assert f"{ledger.job} done: 3 ingested" in (ledger.folder / LOG_NAME).read_text()


def test_a_submission_leaves_one_behind(folder, tmp_path):
    ledger = make_job(folder, "running")  # so that the submission starts no cluster
    done = farm(folder, "submit", "ingest", "--on-done", writes(tmp_path / "seen.json"))
    assert (done.returncode, done.stdout.strip()) == (0, ledger.job)
    assert f"its log: {ledger.folder / LOG_NAME}" in done.stderr
    note(ledger, "train_2", "failed")
    drive(ledger, "finished")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := read(tmp_path / "seen.json")):
        assert time.monotonic() < deadline, (ledger.folder / LOG_NAME).read_text()
        time.sleep(0.05)
    assert seen[1]["FARM_EXIT_CODE"] == "100"


def read(path):
    """What the hook wrote, once it is whole."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return None
