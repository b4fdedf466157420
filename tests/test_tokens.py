"""Tokens: they go to no address that the user did not name, and into no log."""

from __future__ import annotations

import json
import re
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_production import make_production

from facecap_core.productions.production import load_production
from facecap_core.stores.paths import StorePaths
from farm.head import LocalHead
from jobs.ledger import Ledger
from jobs.records import Submission
from jobs.request import IngestRequest


@pytest.fixture
def listener():
    """A server on this machine that notes the headers of what it is asked, and answers nothing of use."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            asked.append(dict(self.headers))
            self.send_response(404)
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815 the names that http.server calls

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("named", [False, True])
def test_the_token_goes_to_no_address_that_only_the_ledger_names(farm, tmp_path, listener, named):
    """A ledger may be anyone's who can write the store; the address that the user names is the user's."""
    address, asked = listener
    folder = make_production(tmp_path / "tiny", train=1, frames=2)
    request = IngestRequest(settings={}, actors=("ada",), shots=("train_0",))
    ledger = Ledger.create(StorePaths(load_production(folder).store).jobs, request)
    submission = Submission(
        attempt=1,
        submission_id=f"{ledger.job}-1",
        production=str(folder / "production.toml"),
        address=address,
        dashboard=address,
        submitted=time.time(),
        host="elsewhere",
    )
    ledger.write_submission(submission)
    token = tmp_path / "token"
    token.write_text("f" * 64 + "\n")
    variables = {"RAY_AUTH_TOKEN_PATH": str(token)}
    if named:
        variables["RAY_ADDRESS"] = address
    farm.run(folder, "cancel", ledger.job, **variables)
    assert Ledger(ledger.folder).cancel_requested()
    sent = [headers for headers in asked if "Authorization" in headers]
    assert bool(sent) == named


@pytest.mark.cluster
def test_the_token_is_in_no_log(farm, tmp_path):
    folder = make_production(tmp_path / "tiny", train=2, frames=4)
    found = json.loads(farm.run(folder, "submit", "ingest", "--wait", "--json"))
    assert found["counts"]["solved"] == 2
    farm.run(folder, "logs")
    head = LocalHead(farm.home)
    token = head.token_path.read_text().strip()
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    assert stat.S_IMODE(head.token_path.stat().st_mode) == 0o600
    session = Path(head.state().folder)
    places = [folder, session, Path(head.state().log).parent]
    files = [f for place in places for f in place.rglob("*") if f.is_file()]
    logs = [f for f in files if f.suffix in (".log", ".out", ".err", ".json")]
    assert len(logs) > 20
    holding = [str(f) for f in files if token.encode() in f.read_bytes()]
    assert not holding
