"""Flagged range: consecutive frames of a shot that someone should look at, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

LOW_CONFIDENCE = "low confidence"
JUMP = "jump"
UNLIKE_TRAINING = "unlike training"
LIPS_CROSSING = "lips crossing"
LIDS_CROSSING = "lids crossing"


@dataclass(frozen=True)
class FlaggedRange:
    """Frames `first` to `last`, both included and counted from 0; `detail` is a sentence with the figure.

    `severity` is how many times the worst frame is what would just be let pass: 1 or more, and so
    comparable over reasons.
    """

    shot: str
    first: int
    last: int
    reason: str
    severity: float
    detail: str
    start_frame: int = 0  # what the shot's first frame is called, in `detail` too

    @property
    def shown(self) -> tuple[int, int]:
        """First and last frame as they are called."""
        return self.start_frame + self.first, self.start_frame + self.last

    @property
    def frames(self) -> int:
        return self.last - self.first + 1


def ranges_of(severity: np.ndarray, *, gap: int, pad: int) -> list[tuple[int, int, int]]:
    """Where severity [frame] is 1 or more: first and last frame of each range, and its worst frame.

    A range has `pad` frames more on both sides, within the shot; two with at most `gap` frames between
    them are one. What is not a number is not flagged.
    """
    found: list[list[int]] = []
    for frame in np.flatnonzero(severity >= 1).tolist():
        first, last = max(frame - pad, 0), min(frame + pad, len(severity) - 1)
        if found and first - found[-1][1] <= gap + 1:
            found[-1][1] = last
            if severity[frame] > severity[found[-1][2]]:
                found[-1][2] = frame
        else:
            found.append([first, last, frame])
    return [(first, last, worst) for first, last, worst in found]


def ranked(
    ranges: Iterable[FlaggedRange], *, top: int | None = None, frames: int | None = None
) -> list[FlaggedRange]:
    """The severest first: all, or the first `top`, or as many as cover at most `frames` frames.

    A frame that was flagged for several reasons counts once. The severest range is always there; a range
    that is too long for what is left makes room for a shorter one.
    """
    order = sorted(ranges, key=lambda r: (-r.severity, r.shot, r.first, r.reason))
    chosen: list[FlaggedRange] = []
    covered: dict[str, set[int]] = {}
    spent = 0
    for found in order:
        if top is not None and len(chosen) == top:
            break
        seen = covered.setdefault(found.shot, set())
        new = set(range(found.first, found.last + 1)) - seen
        if frames is not None and chosen and spent + len(new) > frames:
            continue
        chosen.append(found)
        seen |= new
        spent += len(new)
    return chosen
