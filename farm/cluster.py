"""Cluster: the few questions that `farm` asks a Ray cluster, over its Jobs REST interface.

Plain HTTP instead of Ray's own client: importing that takes seconds, and its requests have no time-out.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from facecap_core.errors import FacecapError

TIMEOUT_SECONDS = 20.0
LONGEST_ANSWER = 64 * 2**20
NO_AGENT = "No available agent"
"""What Ray's dashboard says while the process that would start the driver has not come up, or is too busy."""
AGENT_SECONDS = 60.0
AGENT_LOOK_SECONDS = 0.2


class ClusterError(FacecapError, ConnectionError):
    """The cluster does not answer, or refuses."""


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, by its dashboard's address."""

    address: str
    token: str | None = None
    local: bool = False

    def nodes(self) -> list[dict[str, float]]:
        """The resources of each living machine."""
        answer = self._ask("GET", "/api/v0/nodes?limit=10000&detail=1")
        rows = answer.get("data", {}).get("result", {}).get("result", [])
        return [dict(row.get("resources_total") or {}) for row in rows if row["state"] == "ALIVE"]

    def submit(self, entrypoint: str, submission_id: str, metadata: dict[str, str]) -> None:
        """Start a job's driver. An id that the cluster knows already is no error: it runs then."""
        body = {"entrypoint": entrypoint, "submission_id": submission_id, "metadata": metadata}
        deadline = time.monotonic() + AGENT_SECONDS
        while True:
            try:
                self._ask("POST", "/api/jobs/", body)
                return
            except ClusterError as error:
                if self.job_status(submission_id) is not None:
                    return
                if NO_AGENT not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(AGENT_LOOK_SECONDS)

    def stop(self, submission_id: str) -> None:
        """Ask for the end of a job's driver and of its tasks."""
        self._ask("POST", f"/api/jobs/{quote(submission_id, safe='')}/stop")

    def job_status(self, submission_id: str) -> str | None:
        """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED; None when the cluster knows no such job."""
        for row in self._ask("GET", "/api/jobs/"):
            if row.get("submission_id") == submission_id:
                return str(row.get("status"))
        return None

    def at_work(self) -> dict[str, str | None]:
        """The names of the jobs that wait or run there, each with the folder of its ledger where that is known."""
        found = {}
        for row in self._ask("GET", "/api/jobs/", timeout=5.0):
            if row.get("status") in ("PENDING", "RUNNING"):
                metadata = row.get("metadata") or {}
                name = str(metadata.get("job_name") or row.get("submission_id"))
                found[name] = metadata.get("ledger")
        return found

    def answers(self) -> bool:
        """Whether the dashboard is there and takes our token."""
        try:
            self._ask("GET", "/api/version", timeout=3.0)
            self._ask("GET", "/api/jobs/", timeout=5.0)
        except ClusterError:
            return False
        return True

    def _ask(
        self, method: str, path: str, body: Any = None, timeout: float = TIMEOUT_SECONDS
    ) -> Any:
        request = urllib.request.Request(self.address + path, method=method)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with _opener(self.address).open(request, data, timeout=timeout) as answer:
                text = answer.read(LONGEST_ANSWER)
        except urllib.error.HTTPError as error:
            with error:  # its connection is open still
                raise _refusal(self.address, error) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ClusterError(
                f"no answer from the cluster at {self.address}: {reason}",
                remedy="check RAY_ADDRESS or --address, or start a local head with farm up",
            ) from error
        try:
            return json.loads(text) if text else {}
        except ValueError as error:
            raise ClusterError(
                f"what answers at {self.address} is not a Ray dashboard",
                remedy="give the dashboard's address, usually http://HOST:8265",
            ) from error


def remote_cluster(address: str) -> Cluster:
    """The cluster at a dashboard's address, with the user's token where there is one.

    Raises:
        ClusterError: it is not an http(s) address.
    """
    address = address.strip().rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
        raise ClusterError(
            f"{address!r} is not a dashboard's address",
            remedy="give http://HOST:8265; jobs are submitted to the dashboard, not to port 6379",
        )
    return Cluster(address, user_token())


def user_token() -> str | None:
    """The token where Ray looks for it: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.

    Ray's own clients send it only where RAY_AUTH_MODE says so; a cluster without tokens ignores it.
    """
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _opener(address: str) -> urllib.request.OpenerDirector:
    # A proxy for the world outside must not be asked for this machine.
    if urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1"):
        return urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener()


def _refusal(address: str, error: urllib.error.HTTPError) -> ClusterError:
    if error.code in (401, 403):
        return ClusterError(
            f"the cluster at {address} does not take our token",
            remedy="put its token into ~/.ray/auth_token (mode 0600), or name it by RAY_AUTH_TOKEN_PATH",
        )
    lines = error.read(65536).decode(errors="replace").strip().splitlines() or [""]
    return ClusterError(
        f"the cluster at {address} refuses ({error.code}): {lines[-1][:300]}",
        remedy="see its dashboard",
    )
