"""Retry command: what is said again, and what runs again, of a job that is handed over once more."""

from __future__ import annotations

import http.server
import json
import shlex
import sys
import threading
import time

import pytest
from made_jobs import ADDRESS, drive, make_job, note, work
from tiny_production import make_production

from farm import hooks

PATIENCE_SECONDS = 120.0
SECRET = "token-in-a-web-hook"
COUNTS = "import os, sys; open(sys.argv[1], 'a').write(os.environ['FARM_STATE'] + '\\n')"


class Dashboard(http.server.BaseHTTPRequestHandler):
    """Of a cluster that takes every job, and begins none."""

    def do_GET(self):
        node = {"state": "ALIVE", "resources_total": {"CPU": 2.0}}
        nodes = self.path.startswith("/api/v0/nodes")
        self._answer({"data": {"result": {"result": [node]}}} if nodes else [])

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({})

    def _answer(self, whole):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(whole).encode())

    def log_message(self, *arguments):
        """Keep quiet."""


@pytest.fixture
def cluster():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dashboard)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=3, frames=2)


def counts(path):
    """A hook that adds a line to a file."""
    return shlex.join([sys.executable, "-c", COUNTS, str(path), SECRET])


def ends(ledger, state, seen, *, attempt, times):
    """Let the job end, and wait until the hook has run so often."""
    note(ledger, "train_2", state)
    drive(ledger, "finished", attempt=attempt)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not seen.exists() or len(seen.read_text().splitlines()) < times:
        assert time.monotonic() < deadline, (ledger.folder / hooks.LOG_NAME).read_text()
        time.sleep(0.05)


def test_the_command_of_the_submission_runs_again_unless_it_is_left_out(
    main, folder, tmp_path, cluster
):
    ledger, seen = make_job(folder, "failed"), tmp_path / "seen"
    code, _, err = main(folder, "submit", "ingest", "--on-done", counts(seen), "--address", cluster)
    assert code == 0, err
    ends(ledger, "failed", seen, attempt=2, times=1)
    code, _, err = main(folder, "retry", "--address", cluster)
    assert code == 0, err
    assert f"--on-done {counts(seen)}, as before ('' leaves it out)" in err
    ends(ledger, "failed", seen, attempt=3, times=2)
    assert seen.read_text() == "failed\nfailed\n"
    for file in (path for path in folder.rglob("*") if path.is_file()):
        assert SECRET.encode() not in file.read_bytes(), "who can write there could change it"
    code, _, err = main(folder, "retry", "--address", cluster, "--on-done", "")
    assert (code, "on-done" in err, "runs when it ends" in err) == (0, False, False)
    drive(ledger, "finished", attempt=4)
    code, _, err = main(folder, "retry", "--address", cluster)
    assert (code, SECRET in err) == (0, False), "it was left out the last time"
    assert seen.read_text() == "failed\nfailed\n"


def test_a_job_that_needs_no_retry_calls_nobody(main, folder, tmp_path, monkeypatch):
    ledger = make_job(folder, "done")
    for name in ledger.request().shots:
        work(ledger, name, "ingest")
    with monkeypatch.context() as patch:
        patch.setenv("FARM_HOME", str(tmp_path / "home"))  # that of `main`
        hooks.keep(ledger, ["false"])
        assert hooks.kept(ledger) == ["false"]
    code, _, err = main(folder, "retry", "--wait")
    assert (code, "nothing to retry" in err, "on-done" in err) == (0, True, False)


def test_a_command_is_kept_for_this_user_alone(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "own"))
    ledger = make_job(folder, "failed")
    assert hooks.kept(ledger) is None
    hooks.keep(ledger, ["echo", "a b"])
    assert hooks.kept(ledger) == ["echo", "a b"]
    (path,) = (tmp_path / "own" / "hooks").iterdir()
    for place, mode in {tmp_path / "own": 0o700, path.parent: 0o700, path: 0o600}.items():
        assert place.stat().st_mode & 0o777 == mode
    path.chmod(0o666)
    assert hooks.kept(ledger) is None, "anyone could have written it"
    path.chmod(0o600)
    whole = path.read_text()
    path.write_text(whole.replace(str(folder), "/elsewhere"))
    assert hooks.kept(ledger) is None, "it is of another job"
    path.write_text(whole[:-3])
    assert hooks.kept(ledger) is None
    hooks.keep(ledger, None)
    assert not path.exists()


def test_a_home_that_cannot_be_written_is_a_warning(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "file" / "below"))
    ledger = make_job(folder, "failed")
    hooks.keep(ledger, ["false"])
    assert "warning: --on-done is not kept for farm retry" in capsys.readouterr().err
    assert hooks.kept(ledger) is None


def test_what_is_wrong_with_the_shots_to_do_is_said_again(main, folder, cluster):
    ledger = make_job(folder, "failed")
    work(ledger, "train_0", "ingest")
    work(ledger, "train_1", "ingest")
    drive(ledger, "finished")
    for shot in ("train_0", "train_2"):
        (folder / "footage" / f"{shot}.mp4").unlink()
    code, _, err = main(folder, "retry", "--address", cluster)
    assert code == 0, err
    assert f"warning: train_2: {folder}/footage/train_2.mp4: no such file\n" in err
    assert "train_0" not in err, "it is ingested, and stays so"
    assert "1 of 3 shots to do" in err


def test_a_retry_on_another_cluster_than_before_is_told(main, folder, cluster):
    ledger = make_job(folder, "failed")
    code, _, err = main(folder, "retry", "--address", cluster)
    assert code == 0, err
    assert f"warning: it was last submitted to {ADDRESS!r}, and goes to {cluster} now" in err
    drive(ledger, "finished", attempt=2)
    code, _, err = main(folder, "retry", "--address", cluster)
    assert (code, "was last submitted" in err) == (0, False)
