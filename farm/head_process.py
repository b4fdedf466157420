"""Head process: `ray start` on the loopback address, with everything that it starts."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm import start_hook

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10.0
_UNWANTED = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_TMPDIR")


@dataclass(frozen=True)
class HeadProcess:
    """A head that was started, and may not be ready yet."""

    process: subprocess.Popen[bytes]
    address: str
    dashboard: str


def start_head(
    *,
    home: Path,
    token_path: Path,
    folder: Path,
    log: Path,
    cpus: int | None,
    gpus: int | None,
) -> HeadProcess:
    """Start a head in a session of its own, on ports that are free.

    Args:
        home: where it runs.
        folder: for Ray's session: sockets and logs.
        log: what the command says.
        cpus, gpus: to offer; None: those of the machine.
    """
    ports = _free_ports(6)
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
    own = {
        # Two metrics pages have fixed ports, of which a second head would find neither free.
        "AUTOSCALER_METRIC_PORT": str(ports[4]),
        "DASHBOARD_METRIC_PORT": str(ports[5]),
        start_hook.VARIABLE: start_hook.NAME,
    }
    users = {k: v for k, v in os.environ.items() if k not in _UNWANTED}
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=home,
            env={**users, **_environment(token_path), **own},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return HeadProcess(process, f"{LOOPBACK}:{ports[0]}", f"http://{LOOPBACK}:{ports[1]}")


def end_head(pid: int, folder: str) -> None:
    """End the head of this process and of this session folder, with all that it started."""
    import psutil

    try:
        head = psutil.Process(pid)
        family = [head, *head.children(recursive=True)]
    except psutil.Error:
        family = []
    # Workers may outlive a raylet that was killed; their command lines name the session's folder.
    family += [p for p in _processes_of(folder) if p not in family]
    with contextlib.suppress(psutil.Error):
        if family:
            family[0].terminate()  # `ray start --block` then ends its processes in order
    _, left = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=STOP_SECONDS)


def _environment(token_path: Path) -> dict[str, str]:
    """What the head, its drivers and workers run with, on top of the user's own variables."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_path),
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


def _processes_of(folder: str) -> list[Any]:
    """This user's processes whose command line names a file in the folder."""
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
