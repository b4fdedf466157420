"""Measures: how good each frame of a reviewed shot is, by the best that is known of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facecap_core.flags.flagged_range import FlaggedRange
from facecap_core.progress import OnProgress
from facecap_core.reviews.reviewed_shot import ReviewedShot


@dataclass(frozen=True)
class Measures:
    """What is known of each frame; arrays are [frame], None where there is none."""

    errors_mm: np.ndarray | None  # to the target
    motion_mm: np.ndarray  # from the frame before
    expected_mm: np.ndarray | None  # not a number where it is corrected
    confidence: np.ndarray | None
    corrected: np.ndarray  # bool: an artist put it right, and nothing is expected of it
    flags: tuple[FlaggedRange, ...] = ()

    @property
    def rmse_mm(self) -> float | None:
        """Over all frames; None without a target."""
        errors = self.errors_mm
        return None if errors is None else math.sqrt(float(np.mean(np.square(errors))))

    @property
    def curve(self) -> tuple[np.ndarray, str]:
        """What the time line shows, and its name."""
        if self.errors_mm is not None:
            return self.errors_mm, "RMSE, mm"
        return self.motion_mm, "motion, mm/frame"

    @property
    def badness(self) -> tuple[np.ndarray, str, str]:
        """What frames are ranked by, the lowest best, with its name and its unit: the error where there is a target,
        else the expected one, else doubt, else motion."""
        if self.errors_mm is not None:
            return self.errors_mm, "RMSE", "mm"
        if self.expected_mm is not None:
            return self.expected_mm, "expected RMSE", "mm"
        if self.confidence is not None:
            return 1 - self.confidence, "doubt (1 - confidence)", ""
        return self.motion_mm, "motion", "mm/frame"

    def flag_of(self, frame: int) -> FlaggedRange | None:
        """The severest range that the frame is in."""
        inside = [flag for flag in self.flags if flag.first <= frame <= flag.last]
        return max(inside, key=lambda flag: flag.severity, default=None)


def measure(
    shot: ReviewedShot,
    flags: Sequence[FlaggedRange] = (),
    on_progress: OnProgress | None = None,
) -> Measures:
    """Read the shot's vertices and target once.

    Raises:
        StoreError, PointCacheError: they cannot be read, or differ in length.
        Cancelled: `on_progress` answered False.
    """
    errors, corrections = shot.rmse_mm(on_progress), shot.solved.corrections
    expected = shot.solved.predicted_rmse_mm
    corrected = np.zeros(shot.frames, bool) if corrections is None else corrections.corrected
    if expected is not None:
        expected = None if corrected.all() else np.where(corrected, np.float32(np.nan), expected)
    return Measures(
        errors_mm=errors,
        motion_mm=shot.motion_mm(on_progress),
        expected_mm=expected,
        confidence=shot.solved.confidence,
        corrected=corrected,
        flags=tuple(flags),
    )
