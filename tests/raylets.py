"""A Ray cluster of several machines on this one: a head and nodes, each a real raylet on a loopback address of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from facecap_core.errors import FacecapError
from farm.cluster import Cluster

# Addresses of this process's own: Ray has fixed ports, of which another cluster's would be taken.
# The first is not 127.0.0.1, which Ray replaces by the outward address.
NET = f"127.{1 + os.getpid() // 250 % 250}.{os.getpid() % 250}"
HEAD = f"{NET}.2"
QUICK = {  # a dead machine is noticed in seconds
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "500",
}


class Raylets:
    """A head without processors and any number of nodes; ends with everything it started."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.token_path = folder / "token"
        self.token_path.write_text(secrets.token_hex(32))
        self.token_path.chmod(0o600)
        self._environment = {**QUICK, **environment}
        self._temporary = Path(tempfile.mkdtemp(prefix="rl-", dir="/tmp"))
        self._processes: dict[str, subprocess.Popen] = {}
        self._hosts = 0
        self.port, self.dashboard_port = _ports(2)
        self.cluster = Cluster(
            f"http://{HEAD}:{self.dashboard_port}", self.token_path.read_text().strip()
        )

    @property
    def environment(self) -> dict[str, str]:
        """For `farm`, so that it finds this cluster."""
        return {
            "RAY_ADDRESS": self.cluster.address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_path),
        }

    def up(self) -> None:
        """Start the head, and wait until it answers."""
        arguments = ["--head", "--port", str(self.port), "--num-cpus", "0"]
        arguments += ["--dashboard-host", HEAD, "--dashboard-port", str(self.dashboard_port)]
        arguments += ["--temp-dir", str(self._temporary / "r")]
        self._start("head", HEAD, arguments)
        self._wait(HEAD)

    def add(self, name: str, *, cpus: int, gpus: int = 0) -> None:
        """Start a node of that many (logical) processors and GPUs."""
        self._hosts += 1
        arguments = ["--address", f"{HEAD}:{self.port}"]
        arguments += ["--num-cpus", str(cpus), "--num-gpus", str(gpus)]
        host = f"{NET}.{self._hosts + 2}"
        self._start(name, host, arguments)
        self._wait(host)

    def nodes(self) -> list[dict[str, float]]:
        return self.cluster.nodes()

    def workers(self, name: str | None = None) -> list[psutil.Process]:
        """Processes that are at a task of ours, of one node or of all."""
        found = []
        for node in self._processes if name is None else [name]:
            for process in self._family(node):
                with contextlib.suppress(psutil.Error):
                    title = " ".join(process.cmdline())
                    if title.startswith(("ray::ingest", "ray::infer", "ray::train", "ray::decode")):
                        found.append(process)
        return found

    def kill(self, name: str) -> None:
        """End a node as a power cut does: its raylet, agents and workers, all at once."""
        family = self._family(name)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(family, timeout=10)
        self._processes.pop(name).wait()

    def down(self) -> None:
        """End everything."""
        for name in list(self._processes):
            self.kill(name)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _family(self, name: str) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self._processes[name].pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _start(self, name: str, host: str, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        command += [*arguments, "--node-ip-address", host, "--object-store-memory", "200000000"]
        command += ["--min-worker-port", "0", "--max-worker-port", "0"]
        command += ["--disable-usage-stats", "--log-color", "false"]
        command += ["--include-log-monitor", "false"]
        ours = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{ours}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_path),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_task_oom_retries": "0",
            "RAY_DEDUP_LOGS": "0",
            "RAY_JOB_STOP_WAIT_TIME_S": "20",
            **self._environment,
        }
        with open(self.folder / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self, host: str) -> None:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(FacecapError):
                if any(f"node:{host}" in node for node in self.nodes()):
                    return
            ended = [name for name, p in self._processes.items() if p.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = "".join((self.folder / f"{n}.log").read_text()[-2000:] for n in ended)
                raise AssertionError(f"{ended or 'the cluster'} did not start: {logs}")
            time.sleep(0.2)


def _ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for entry in sockets:
            entry.bind((HEAD, 0))
        return [entry.getsockname()[1] for entry in sockets]
