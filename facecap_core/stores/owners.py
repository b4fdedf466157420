"""Owners: which process writes a version, told by the version's name."""

from __future__ import annotations

import os
import socket

ABANDONED_SECONDS = 24 * 3600.0  # another machine's writer that wrote nothing for so long is dead


def owner() -> str:
    """This process."""
    return f"{_host()}-{os.getpid()}"


def abandoned(name: str, silent_seconds: float) -> bool:
    """Whether an owner has ended: of this machine's it is known, another's is judged by its silence."""
    host, _, pid = name.rpartition("-")
    if host != _host() or not pid.isdecimal():
        return silent_seconds > ABANDONED_SECONDS
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _host() -> str:
    return socket.gethostname().split(".")[0].replace("@", "-")
