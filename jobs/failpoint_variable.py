"""Failpoint variable: FARM_FAILPOINT, by which a test breaks off one task of a real farm.

    FARM_FAILPOINT="directory.synced kill /tmp/once"

The step is one of `facecap_core.failpoints.STEPS`; the action `kill`, `stop`, `memory` or the name of
an error such as ENOSPC; the file is made by the first process that gets there, all others go on. Several
are separated by semicolons.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal

from facecap_core import failpoints

VARIABLE = "FARM_FAILPOINT"


def arm_from_environment() -> None:
    """Arm what the variable says; nothing where it is not set."""
    if VARIABLE not in os.environ:
        return
    wanted = [one.split() for one in os.environ[VARIABLE].split(";")]

    def act(reached: str) -> None:
        for step, action, once in wanted:
            if reached != step:
                continue
            with contextlib.suppress(FileExistsError):
                os.close(os.open(once, os.O_CREAT | os.O_EXCL))
                _do(action)

    failpoints.arm(act)


def _do(action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "memory":
        raise MemoryError("no memory left, says the failpoint")
    else:
        number = getattr(errno, action)
        raise OSError(number, os.strerror(number))
