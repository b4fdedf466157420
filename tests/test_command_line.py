"""The command line: instant help with examples, exit codes, and JSON alone on stdout."""

from __future__ import annotations

import http.server
import json
import shlex
import socket
import subprocess
import sys
import threading

import pytest
from command_tree import commands
from made_jobs import make_job, submit
from tiny_production import make_production

from facecap_core.learning.config import resolve
from facecap_core.productions.production import load_production
from farm import app as farm_app
from farm.cluster import Cluster, ClusterError, remote_cluster, user_token
from jobs.ledger import Ledger
from jobs.planning import plan_ingest, plan_train
from jobs.records import options


def test_the_start_imports_nothing_heavy():
    code = "import sys, farm.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {
        "torch",
        "av",
        "zarr",
        "ray",
        "numpy",
        "pydantic",
        "matplotlib",
        "requests",
    }


@pytest.mark.parametrize(
    ("path", "command"),
    list(commands()),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_every_help_has_an_example_that_parses(path, command):
    text = command.help
    lines = [line.strip() for line in text.splitlines()]
    examples = [line for line in lines if line.startswith("farm " + " ".join(path))]
    assert examples, text
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])[1 + len(path) :]
        command.make_context(path[-1], words, resilient_parsing=False).close()


CONTRACT = """
demo init check models report up down dashboard
submit_ingest submit_train submit_infer
list status logs wait cancel retry skip verify
"""


def test_all_of_the_contract_is_there():
    names = {"_".join(path) for path, _ in commands()}
    assert names >= set(CONTRACT.split())


@pytest.mark.parametrize(
    ("path", "command"),
    list(commands()),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_every_command_can_print_json(path, command):
    assert "--json" in {name for option in command.params for name in option.opts}


# -- exit codes and JSON, in this process ------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Runs farm's main() in a folder; returns exit code, stdout, stderr."""
    for name in ("RAY_ADDRESS", "FARM_PRODUCTION", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(folder, *arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["farm", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            farm_app.main()
        out, err = capfd.readouterr()
        return ended.value.code or 0, out, err

    return call


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=2, frames=2)


CODES = {"done": 0, "failed": 100, "queued": 101, "running": 101, "interrupted": 101}
CODES["cancelled"] = 103


@pytest.mark.parametrize("state", list(CODES))
def test_the_exit_code_tells_the_state(run, folder, state):
    ledger = make_job(folder, state)
    code, out, _ = run(folder, "status", ledger.job[:8])
    assert code == CODES[state]
    assert f"{ledger.job} {state}" in out
    assert ("x.mp4: no such file -> find it" in out) == (state == "failed")
    code, out, err = run(folder, "wait", "--timeout", "0", "--json")
    assert code == CODES[state]
    assert json.loads(out)["state"] == state
    assert state in err
    code, out, _ = run(folder, "list")
    assert code == 0
    assert state in out


def test_json_is_one_object_on_one_line(run, folder):
    make_job(folder, "failed").driver_log_path.write_text("begun\n")
    for arguments in (
        ["status"],
        ["list"],
        ["logs"],
        ["models"],
        ["submit", "ingest", "--dry-run"],
        ["down"],
    ):
        _, out, _ = run(folder, *arguments, "--json")
        assert json.loads(out)["schema_version"] == 1
        assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["status"], 102, "no jobs yet"),
        (["status", "nothing"], 102, "no job 'nothing'"),
        (["logs", "nothing"], 102, "no job"),
        (["cancel", "../../etc"], 102, "no job"),
        (["frobnicate"], 2, "No such command"),
        (["cancel"], 2, "Missing argument"),
        (["submit", "train", "--preset", "papr"], 2, "unknown preset"),
        (
            ["submit", "train", "--preset", "cpu", "--set", "network.dropuot=0"],
            2,
            "network.dropout",
        ),
        (["submit", "infer", "--actor", "adda"], 2, "did you mean 'ada'"),
        (["submit", "infer", "--actor", "ada"], 2, "no bulk shots"),
        (["submit", "infer", "--shots", "list.txt"], 2, "farm submit train --actor ada"),
        (["submit", "ingest", "--cpus", "-1", "--dry-run"], 2, "--cpus"),
        (["submit", "ingest", "--memory", "0", "--dry-run"], 2, "--memory"),
        (["submit", "ingest", "--max-parallel", "0", "--dry-run"], 2, "--max-parallel"),
        (["submit", "ingest", "--hung-after", "0", "--dry-run"], 2, "--hung-after"),
        (["submit", "ingest", "--gpus", "1", "--dry-run"], 2, "No such option"),
        (["submit", "ingest", "--after", "train-ada"], 102, "no job 'train-ada'"),
        (["submit", "ingest", "--on-done", "notify-sendd x"], 2, "no command 'notify-sendd'"),
        (["submit", "ingest", "--on-done", "echo 'x"], 2, "close its quotes"),
        (["wait", "--on-done", "", "nothing"], 102, "no job"),
        (["skip", "nothing", "train_0"], 102, "no job"),
        (["skip", "nothing"], 2, "Missing argument"),
        (["verify"], 102, "no jobs yet"),
        (["verify", "--all", "nothing"], 2, "--all takes no JOB"),
        (["status", "--watch", "--json"], 2, "farm wait --json"),
        (["logs", "--follow", "--json"], 2, "--json is one object"),
        (["models", "--actor", "bob"], 2, "no actor"),
        (["dashboard"], 1, "no local head"),
        (["dashboard", "--address", "ray-head:6379"], 1, "not a dashboard's address"),
        (["submit", "ingest", "--address", "http://127.0.0.1:9"], 1, "no answer from the cluster"),
        (["status", "--production", "nowhere"], 2, "production.toml"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_slips_end_with_a_sentence_and_their_code(run, folder, arguments, code, text):
    (folder / "list.txt").write_text("train_*\n")
    found, out, err = run(folder, *arguments)
    assert found == code, err
    assert text in err
    assert "Traceback" not in err
    assert out == ""


def test_a_folder_that_is_gone_is_said_so(tmp_path):
    (tmp_path / "gone").mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); sys.argv[0] = 'farm';"
    code += "from farm.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "status"],
        cwd=tmp_path / "gone",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "the current folder is gone -> go to another" in done.stderr


def test_a_shot_list_cannot_lead_out(run, folder):
    (folder / "list.txt").write_text("train_0\n../../etc/passwd\n")
    code, _, err = run(folder, "submit", "ingest", "--shots", "list.txt", "--dry-run")
    assert code == 2
    assert "list.txt:2" in err


def test_a_dry_run_writes_nothing(run, folder):
    before = sorted(folder.rglob("*"))
    code, out, _ = run(
        folder, "submit", "train", "--preset", "cpu", "--epochs", "3", "--dry-run", "--json"
    )
    assert code == 0
    plan = json.loads(out)
    assert plan["to_do"] == 2
    assert plan["request"]["config"]["schedule"]["epochs"] == 3
    assert plan["model"].startswith("cpu-")
    assert sorted(folder.rglob("*")) == before


def test_cancelling_an_interrupted_job_needs_no_cluster(run, folder):
    ledger = make_job(folder, "interrupted")
    code, out, _ = run(folder, "cancel", ledger.job)
    assert code == 0
    assert "1 shots stay solved" in out
    assert ledger.status().state == "cancelled"
    code, out, _ = run(folder, "cancel", ledger.job)
    assert (code, "already" in out) == (0, True)


def test_shots_are_left_out_by_name_or_glob_and_taken_back(run, folder):
    ledger = make_job(folder, "failed")
    code, out, _ = run(folder, "skip", ledger.job[:8], "train_*")
    assert code == 0
    assert f"{ledger.job} leaves out train_1" in out
    assert "stay so: train_0" in out
    code, out, _ = run(folder, "status")
    assert (code, "1 solved, 1 skipped" in out) == (0, True)
    assert "train_1  skipped" in out
    code, out, _ = run(folder, "skip", ledger.job, "train_1", "--undo", "--json")
    found = json.loads(out)
    assert (found["shots"], found["undo"], found["counts"]["skipped"]) == (["train_1"], True, 0)
    assert not ledger.skip_requested("train_1")


@pytest.mark.parametrize("shot", ["train_7", "../../x", "bulk_*"])
def test_what_is_no_shot_of_the_job_cannot_be_left_out(run, folder, shot):
    ledger = make_job(folder, "failed")
    code, out, err = run(folder, "skip", ledger.job, "train_1", shot)
    assert (code, out) == (102, "")
    assert f"has no shot {shot!r}" in err
    assert "did you mean" in err or "use one of: train_0, train_1" in err
    assert not ledger.skip_requested("train_1")


def test_a_job_can_wait_for_another_but_not_for_itself(run, folder):
    first = make_job(folder, "running")
    (folder / "list.txt").write_text("train_0\n")
    arguments = ["submit", "ingest", "--shots", "list.txt", "--dry-run", "--json"]
    code, out, _ = run(folder, *arguments, "--after", "ingest-ada")
    assert code == 0
    request = plan_ingest(load_production(folder), actor=None, shots=["train_0"], camera=None)
    second = Ledger.create(first.folder.parent, request)
    assert json.loads(out)["job"] == second.job
    submit(first, options=options(after=second.job))
    code, out, err = run(folder, *arguments, "--after", first.job)
    assert (code, out) == (2, "")
    assert f"{second.job} waits for {first.job} waits for {second.job}" in err
    code, _, err = run(folder, *arguments, "--after", second.job)
    assert (code, "does not wait for it" in err) == (2, True)


def test_shots_can_be_solved_with_the_model_of_a_training_that_still_runs(run, folder):
    production = load_production(folder)
    config = resolve("demo", [])
    training = plan_train(production, actor="ada", config=config, camera=None)
    ledger = Ledger.create(production.paths.jobs, training)
    submit(ledger)
    (folder / "list.txt").write_text("train_0\n")
    arguments = ["submit", "infer", "--shots", "list.txt", "--dry-run", "--json"]
    code, _, err = run(folder, *arguments)
    assert (code, "has no model yet" in err) == (2, True)
    code, out, _ = run(folder, *arguments, "--after", "train-ada")
    assert code == 0
    assert json.loads(out)["request"]["models"] == {"ada": training.model}


def test_an_unknown_model_is_refused_with_what_there_is(run, folder):
    (folder / "list.txt").write_text("train_0\n")
    for model in ("cpu-1f3a9c20", "demo-00000000"):
        path = load_production(folder).paths.model("ada", model) / "model.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"model": model, "cameras": ["center"]}))
    arguments = ["submit", "infer", "--shots", "list.txt", "--model"]
    code, out, err = run(folder, *arguments, "x")
    assert (code, out) == (2, "")
    assert "ada has no model 'x'; it has demo-00000000, cpu-1f3a9c20" in err
    code, _, err = run(folder, *arguments, "cpu-1f3a9c21")
    assert (code, "did you mean 'cpu-1f3a9c20'?" in err) == (2, True)


def test_the_table_of_jobs_knows_the_time_left(run, folder):
    ledger = make_job(folder, "running")
    assert ledger.status().seconds_left is not None
    _, out, _ = run(folder, "list")
    assert "left" in out.splitlines()[0].split()
    _, out, _ = run(folder, "status")
    assert "about " in out


def test_following_logs_ends_with_the_job(run, folder):
    ledger = make_job(folder, "running")
    ledger.driver_log_path.write_text("begun\n")

    def end():
        with ledger.driver_log_path.open("a") as log:
            log.write("ended\n")
        make_job(folder, "done")

    threading.Timer(1.0, end).start()
    code, out, _ = run(folder, "logs", "-f")
    assert (code, out) == (0, "begun\nended\n")


# -- the client ----------------------------------------------------------------------------------


class Dashboard(http.server.BaseHTTPRequestHandler):
    """Enough of a dashboard to see what our client sends."""

    token = "0" * 64

    def do_GET(self):
        if self.headers.get("Authorization") != f"Bearer {self.token}":
            self.send_error(401)
            return
        body = json.dumps([{"submission_id": "a-1", "status": "RUNNING"}]).encode()
        if self.path == "/api/odd":
            body = b"<html>"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b"Traceback ...\nValueError: exists already\n")

    def log_message(self, *arguments):
        """Keep quiet."""


@pytest.fixture
def dashboard():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dashboard)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_client_sends_its_token_and_names_refusals(dashboard):
    ours = Cluster(dashboard, Dashboard.token)
    assert ours.answers()
    assert ours.job_status("a-1") == "RUNNING"
    assert ours.job_status("b-1") is None
    stranger = Cluster(dashboard, "1" * 64)
    assert not stranger.answers()
    with pytest.raises(ClusterError, match="does not take our token") as refused:
        stranger.job_status("a-1")
    assert "1" * 64 not in str(refused.value)


def test_a_submission_that_the_cluster_has_already_is_no_error(dashboard):
    ours = Cluster(dashboard, Dashboard.token)
    ours.submit("true", "a-1", {})
    with pytest.raises(ClusterError, match="exists already"):
        ours.submit("true", "b-1", {})


def test_a_silent_server_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = Cluster(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ClusterError, match="no answer"):
            cluster._ask("GET", "/api/jobs/", timeout=0.3)


@pytest.mark.parametrize(
    "address", ["ray://x:10001", "x:6379", "auto", "http://x:8265/a?b", "file:///x"]
)
def test_only_dashboards_are_clusters(address):
    with pytest.raises(ClusterError, match="not a dashboard's address"):
        remote_cluster(address)


def test_the_token_is_found_where_ray_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert user_token() is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("home\n")
    assert user_token() == "home"
    (tmp_path / "token").write_text("named\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert user_token() == "named"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    assert user_token() == "given"
    assert remote_cluster("http://x:8265/").token == "given"
