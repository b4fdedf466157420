"""Exposure: how bright the face is, within a shot or beside the actor's other shots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.face_place import CameraSummary, FacePlace, Shift
from facecap_core.checks.finding import Finding
from facecap_core.checks.picture_signals import PictureSignals
from facecap_core.checks.quick_motion import quick
from facecap_core.productions.production import Shot

CHECK = "exposure"
LEAST_CHANGE = 0.15  # training changes contrast by 0.10
HERE = Shift(0, 0, 0)
LEAST_DRIFT = 0.15  # within a shot
LEAST_FLICKER = 0.03  # deviation of the level; lamps on mains with a matching shutter: 0.01
REMEDY = "grade it like the others, or train with --set augmentation.contrast=0.25"


def check_exposure(
    actor: str, camera: str, place: FacePlace, shots: Sequence[CameraSummary]
) -> list[Finding]:
    """Whether the face is lighter, darker or of other contrast in some shots than in the others."""
    if len(shots) < 3:
        return []
    ratios = []
    for found in shots:
        shift = place.shift_of(found.mean)
        seen, usual = place.levels(found.mean, shift if shift.is_known else HERE)
        ratios.append(seen / usual)
    levels = np.array(ratios)
    contrasts = np.array([found.contrast for found in shots])
    findings = []
    for number, found in enumerate(shots):
        others = np.arange(len(shots)) != number
        level = float(levels[number] / np.median(levels[others])) - 1
        contrast = float(contrasts[number] / np.median(contrasts[others])) - 1
        if max(abs(level), abs(contrast)) < LEAST_CHANGE:
            continue
        words = []
        if abs(level) >= LEAST_CHANGE / 2:
            words.append(f"is {abs(level):.0%} {'lighter' if level > 0 else 'darker'}")
        if abs(contrast) >= LEAST_CHANGE / 2:
            words.append(f"has {abs(contrast):.0%} {'more' if contrast > 0 else 'less'} contrast")
        figure = level if abs(level) >= abs(contrast) else contrast
        message = (
            f"the face {' and '.join(words)} than in the actor's other shots (camera {camera})"
        )
        findings.append(
            Finding(CHECK, actor, found.shot, camera, 100 * figure, "%", message, REMEDY)
        )
    return findings


def check_steadiness(
    shot: Shot, camera: str, pictures: PictureSignals, frames_a_second: float
) -> list[Finding]:
    """Whether the light changes within a shot, slowly or from frame to frame."""
    level = pictures.level.astype(np.float64)
    usual = float(np.median(level))
    if usual < 1:
        return []
    window = max(1, round(frames_a_second))
    seconds = [
        float(np.median(level[start : start + window]))
        for start in range(0, max(1, len(level) - window + 1), window)
    ]
    drift = (max(seconds) - min(seconds)) / usual
    if drift >= LEAST_DRIFT:
        message = f"the crop of camera {camera} changes its level by {drift:.0%} within the shot"
        return [Finding(CHECK, shot.actor, shot.name, camera, 100 * drift, "%", message, REMEDY)]
    flicker = _flicker(level) / usual
    if flicker >= LEAST_FLICKER:
        message = f"the light of camera {camera} flickers by {flicker:.1%} from frame to frame"
        remedy = "remove the flicker, or match the shutter to the lamps"
        return [Finding(CHECK, shot.actor, shot.name, camera, 100 * flicker, "%", message, remedy)]
    return []


def _flicker(level: NDArray[np.float64]) -> float:
    """The deviation of what changes fast; a cut or a flash of a few frames does not count."""
    fast = quick(level[:, None])[:, 0]
    return 1.4826 * float(np.median(np.abs(fast - np.median(fast))))
