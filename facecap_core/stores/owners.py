"""Owners: which process writes a version, told by the version's name."""

from __future__ import annotations

import os
import socket


def owner() -> str:
    """This process."""
    return f"{_host()}-{os.getpid()}"


def known_dead(name: str) -> bool:
    """Whether an owner has ended for sure; False for another machine's, which cannot be asked."""
    host, _, pid = name.rpartition("-")
    if host != _host() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _host() -> str:
    return socket.gethostname().split(".")[0].replace("@", "-")
