"""Processes: telling whether the one that keeps a job going still lives."""

from __future__ import annotations

import os
import socket
import sys

import psutil

from jobs.records import Process

HEARTBEAT_SECONDS = 3.0
SILENT_SECONDS = 30.0


def this_host() -> str:
    """The machine's name, as it stands in the ledger."""
    return socket.gethostname()


def this_process() -> Process:
    """The calling process."""
    pid = os.getpid()
    return Process(host=this_host(), pid=pid, created=psutil.Process(pid).create_time())


def this_node() -> str:
    """Ray's id of this machine; empty outside of Ray."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return ""
    return str(ray.get_runtime_context().get_node_id())


def process_of(pid: int) -> Process | None:
    """A running process of this machine, or None."""
    try:
        return Process(host=this_host(), pid=pid, created=psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def known_dead(process: Process) -> bool:
    """True when it ran on this machine and is gone; of other machines nothing is known."""
    if process.host != this_host():
        return False
    try:
        found = psutil.Process(process.pid)
        if found.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(found.create_time() - process.created) > 2.0
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
