"""Patience: how long the threads of a computation spin when they wait for each other."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SPINS = "1000"  # what libgomp itself takes where it starts more threads than there are processors


def wait_without_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads of OpenMP that wait for another one sleep, after some microseconds.

    libgomp's own three milliseconds cost nothing where a computation has its processors to itself. On a machine
    that does other work too, threads then spin on the very processor that the one they wait for needs:
    training on two such cores falls to a twentieth (docs/LOG.md, 2026-11-28). libgomp reads this when torch
    is imported, so it has to be said before. A wait policy of the user's own stays.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & environment.keys():
        environment["GOMP_SPINCOUNT"] = SPINS
