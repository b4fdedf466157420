"""Finding: one thing that a deep check saw in a shot, with its figure and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["warning", "error"]
"""An error is what training or solving cannot be right with; a warning is for a person to look at."""


@dataclass(frozen=True)
class Finding:
    """What was found, where, and how much of it.

    `shot` is empty where it is of all of an actor's shots; `camera` where it is of the point cache alone.
    `figure` in `unit` is what `message` speaks of, for sorting and for programs.
    """

    check: str
    actor: str
    shot: str
    camera: str
    figure: float
    unit: str
    message: str
    remedy: str
    severity: Severity = "warning"


def severity_of(figure: float, error_from: float) -> Severity:
    """An error where the figure reaches a limit."""
    return "error" if figure >= error_from else "warning"


def errors_of(findings: Iterable[Finding] | None) -> list[Finding]:
    """Those that have to be mended; none where nothing was looked for (None)."""
    return [finding for finding in findings or () if finding.severity == "error"]
