"""Cluster client: what it sends, what it takes for a cluster, and how it gives one up."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from typing import ClassVar

import made_jobs
import pytest
from tiny_production import make_production

from facecap_core.productions.production import load_production
from farm.cluster import Cluster, ClusterError, remote_cluster, user_token
from farm.head import LocalHead
from farm.head_commands import _at_work
from jobs.ledger import Ledger
from jobs.planning import plan_ingest


class Dashboard(http.server.BaseHTTPRequestHandler):
    """Enough of a dashboard to see what our client sends."""

    token = "0" * 64
    rows: ClassVar[list] = [
        {"submission_id": "a-1", "status": "RUNNING", "metadata": {"job_name": "a"}},
        {"submission_id": "e-1", "status": "PENDING", "metadata": None},
        {"submission_id": "d-1", "status": "FAILED", "metadata": {"job_name": "d"}},
    ]
    refusals = 0  # how often it has no agent for the job c-1

    def do_GET(self):
        if self.headers.get("Authorization") != f"Bearer {self.token}":
            self.send_error(401)
            return
        body = json.dumps(self.rows).encode()
        if self.path == "/api/odd":
            body = b"<html>"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if wanted["submission_id"] == "c-1":
            busy, Dashboard.refusals = Dashboard.refusals > 0, Dashboard.refusals - 1
            self.send_response(500 if busy else 200)
            self.end_headers()
            self.wfile.write(b"No available agent to submit job" if busy else b"{}")
            return
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


def test_the_jobs_at_work_are_named(dashboard):
    assert Cluster(dashboard, Dashboard.token).at_work() == {"a": None, "e-1": None}


def test_a_job_whose_driver_is_about_to_leave_is_not_interrupted(dashboard, tmp_path, monkeypatch):
    production = load_production(make_production(tmp_path / "tiny", train=1, frames=4))
    ledger = Ledger.create(
        production.paths.jobs, plan_ingest(production, actor=None, shots=None, camera=None)
    )
    made_jobs.submit(ledger)
    made_jobs.drive(ledger)
    row = {"status": "RUNNING", "metadata": {"job_name": "a", "ledger": str(ledger.folder)}}
    monkeypatch.setattr(Dashboard, "rows", [row])
    cluster = Cluster(dashboard, Dashboard.token)
    monkeypatch.setattr(LocalHead, "cluster", lambda head: cluster)
    assert _at_work(LocalHead()) == ["a"]
    made_jobs.drive(ledger, "finished")
    assert _at_work(LocalHead()) == []


def test_a_submission_that_the_cluster_has_already_is_no_error(dashboard):
    ours = Cluster(dashboard, Dashboard.token)
    ours.submit("true", "a-1", {})
    with pytest.raises(ClusterError, match="exists already"):
        ours.submit("true", "b-1", {})


def test_a_cluster_that_is_not_quite_up_is_asked_again(dashboard, monkeypatch):
    ours = Cluster(dashboard, Dashboard.token)
    Dashboard.refusals = 1
    ours.submit("true", "c-1", {})
    assert Dashboard.refusals == -1, "refused, then taken"
    Dashboard.refusals = 9
    monkeypatch.setattr("farm.cluster.AGENT_SECONDS", 0.0)
    with pytest.raises(ClusterError, match="No available agent"):
        ours.submit("true", "c-1", {})


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
