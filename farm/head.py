"""Head: a Ray head of this user on this machine, on the loopback address only, with a token."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from facecap_core.errors import FacecapError
from facecap_core.files import write_text_atomically
from farm import start_hook
from farm.cluster import Cluster
from jobs.processes import known_dead, process_of, this_host
from jobs.records import Process

HOME_VARIABLE = "FARM_HOME"
LOOPBACK = "127.0.0.1"
START_SECONDS = 120.0
ANSWER_SECONDS = 30.0
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.1
LONGEST_TEMPORARY = 44
"""Ray puts sockets 63 characters deeper, and a Unix socket's path may have 107."""


class HeadError(FacecapError, RuntimeError):
    """The local head does not start."""


class HeadState(BaseModel):
    """What head.json says of a running head."""

    model_config = ConfigDict(frozen=True)

    address: str
    dashboard: str
    process: Process
    folder: str
    log: str
    schema_version: int = 1


class LocalHead:
    """The head of this machine and one state folder; several folders (FARM_HOME) can have one each."""

    def __init__(self, home: Path | None = None) -> None:
        named = os.environ.get(HOME_VARIABLE)
        self.home = Path(home or named or Path.home() / ".facecap").absolute()

    @property
    def token_path(self) -> Path:
        return self.home / "ray_token"

    @property
    def state_path(self) -> Path:
        return self._folder / "head.json"

    @property
    def log_path(self) -> Path:
        return self._folder / "head.log"

    @property
    def _folder(self) -> Path:
        return self.home / "heads" / this_host()  # home folders are often shared by machines

    def environment(self) -> dict[str, str]:
        """What the head, its drivers and workers run with, on top of the user's own variables."""
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_path),
            # Without this Ray replaces 127.0.0.1 by the outward address and listens there.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_task_oom_retries": "0",  # Ray's default is for ever; the driver tries again, with more memory
            "RAY_enable_infeasible_task_early_exit": "true",  # else such a task waits for ever
            "RAY_JOB_STOP_WAIT_TIME_S": "20",  # time for a driver to write its ledger
            "RAY_DEDUP_LOGS": "0",
            # A process that connects before the other listens tries again after this time, of which Ray's
            # default is a whole second: often a second of a cold start.
            "RAY_raylet_client_connect_timeout_milliseconds": "50",
            "RAY_raylet_client_num_connect_attempts": "200",
        }

    def state(self) -> HeadState | None:
        """The running head, or None."""
        try:
            state = HeadState.model_validate_json(self.state_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return None if known_dead(state.process) else state

    def cluster(self) -> Cluster | None:
        """The running head as a cluster, or None."""
        state = self.state()
        if state is None:
            return None
        return Cluster(state.dashboard, self._token(), local=True)

    def up(self, *, cpus: int | None = None, gpus: int | None = None) -> HeadState:
        """Start the head unless it runs, and wait until it takes jobs.

        Raises:
            HeadError: it does not start.
        """
        with self._lock():
            found = self.state()
            if found is None:
                return self._start(cpus, gpus)
            # A busy machine answers late: a head with jobs on it is never taken for a dead one.
            deadline = time.monotonic() + ANSWER_SECONDS
            while not Cluster(found.dashboard, self._token()).answers():
                if time.monotonic() > deadline:
                    raise HeadError(
                        f"the local Ray head runs but does not answer at {found.dashboard}",
                        remedy="end it with farm down, which interrupts its jobs, and start again",
                        file=found.log,
                    )
                time.sleep(0.5)
            return found

    def down(self) -> bool:
        """End this head with everything it started; False when none runs. No other Ray is touched."""
        with self._lock():
            state = self.state()
            if state is not None:
                self._end(state)
                shutil.rmtree(Path(state.folder).parent, ignore_errors=True)
            self.state_path.unlink(missing_ok=True)
            return state is not None

    # -- the process ---------------------------------------------------------------------------

    def _start(self, cpus: int | None, gpus: int | None) -> HeadState:
        token, folder = self._token(), self._temporary()
        ports = _free_ports(6)
        dashboard = f"http://{LOOPBACK}:{ports[1]}"
        log = self.log_path
        own = {
            # Two metrics pages have fixed ports, of which a second head would find neither free.
            "AUTOSCALER_METRIC_PORT": str(ports[4]),
            "DASHBOARD_METRIC_PORT": str(ports[5]),
            start_hook.VARIABLE: start_hook.NAME,
        }
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        command += ["--node-ip-address", LOOPBACK, "--port", str(ports[0])]
        command += ["--dashboard-host", LOOPBACK, "--dashboard-port", str(ports[1])]
        command += ["--dashboard-agent-listen-port", str(ports[2])]
        command += ["--metrics-export-port", str(ports[3])]
        command += ["--no-monitor"]  # which would add machines, and here there are none to add
        command += ["--min-worker-port", "0", "--max-worker-port", "0"]
        command += ["--temp-dir", str(folder), "--disable-usage-stats", "--log-color", "false"]
        command += [] if cpus is None else ["--num-cpus", str(cpus)]
        command += [] if gpus is None else ["--num-gpus", str(gpus)]
        command += ["--include-log-monitor", "false"]  # which nobody listens to
        environment = {k: v for k, v in os.environ.items() if k not in _UNWANTED}
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.home,
                env={**environment, **self.environment(), **own},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        keeper = process_of(process.pid)
        if keeper is None:
            raise HeadError("the local Ray head ended at once", remedy=f"see {log}", file=log)
        state = HeadState(
            address=f"{LOOPBACK}:{ports[0]}",
            dashboard=dashboard,
            process=keeper,
            folder=str(folder),
            log=str(log),
        )
        # Written before it is ready, so that `farm down` finds it whatever happens from here on.
        write_text_atomically(self.state_path, state.model_dump_json(indent=1) + "\n")
        try:
            self._wait(process, Cluster(dashboard, token), log)
        except BaseException:
            self._end(state)
            self.state_path.unlink(missing_ok=True)
            raise
        return state

    def _wait(self, process: subprocess.Popen[bytes], cluster: Cluster, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            # The dashboard answers before the machine is registered.
            if cluster.answers() and cluster.nodes():
                return
            time.sleep(LOOK_SECONDS)
        tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        raise HeadError(
            "the local Ray head does not start: " + " | ".join(tail),
            remedy=f"see {log}",
            file=log,
        )

    def _end(self, state: HeadState) -> None:
        import psutil

        try:
            head = psutil.Process(state.process.pid)
            family = [head, *head.children(recursive=True)]
        except psutil.Error:
            family = []
        # Workers may outlive a raylet that was killed; their command lines name the session's folder.
        family += [p for p in _named(state.folder) if p not in family]
        with contextlib.suppress(psutil.Error):
            if family:
                family[0].terminate()  # `ray start --block` then ends its processes in order
        _, left = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=STOP_SECONDS)

    # -- files ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._folder / "head.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HeadError(
                f"cannot write: {error.strerror}",
                remedy=f"make it writable, or set {HOME_VARIABLE} to a folder that is",
                file=self.home,
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _token(self) -> str:
        """The token, made on first use and readable by this user only."""
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(self.token_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
        if self.token_path.stat().st_mode & 0o077:
            self.token_path.chmod(0o600)
        return self.token_path.read_text(encoding="ascii").strip()

    def _temporary(self) -> Path:
        """A fresh folder for Ray's session, closed to others (Ray opens its own to everyone)."""
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:8]
        base = Path(tempfile.gettempdir())
        name = f"farm-{os.getuid()}-{digest}"
        if len(str(base / name)) > LONGEST_TEMPORARY - 2:
            base = Path("/tmp")
        outer = base / name
        with contextlib.suppress(FileExistsError):
            outer.mkdir(mode=0o700)
        if outer.is_symlink() or outer.stat().st_uid != os.getuid():
            raise HeadError("belongs to another user", remedy="set TMPDIR", file=outer)
        outer.chmod(0o700)
        shutil.rmtree(outer / "r", ignore_errors=True)
        return outer / "r"


_UNWANTED = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_TMPDIR")


def _named(folder: str) -> list[Any]:
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline", "uids"]):
        uids = process.info["uids"]
        if uids is None or uids.real != os.getuid():
            continue
        if any(folder + "/" in part for part in process.info["cmdline"] or []):
            found.append(process)
    return found


def _free_ports(count: int) -> list[int]:
    sockets = []
    try:
        for _ in range(count):
            sockets.append(socket.socket())
            sockets[-1].bind((LOOPBACK, 0))
        return [entry.getsockname()[1] for entry in sockets]
    finally:
        for entry in sockets:
            entry.close()
