"""Head motion: what of a cache's motion is the whole head's, which stabilised targets do not have.

An expression leaves some of the face where it is, on the forehead, the nose bridge or at the sides. Where even
the tenth part of the vertices that goes the shortest way goes a millimetre, the head moves; how much, a rigid motion
fitted to each frame says, in which vertices count the less the farther from it they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.finding import Finding, severity_of
from facecap_core.productions.production import Shot

CHECK = "head motion"
STILL_PERCENTILE = 10.0
LEAST_MM = 1.0  # of the stillest vertices, in the median frame; stabilised: below 0.4
ERROR_MM = 3.0  # that is a head that was not stabilised at all
LEAST_APART_MM = 1.5  # of a shot's usual pose from that of the actor's other shots
LEAST_RIGID = 0.5  # part of their way that a rigid motion must undo
NEAR_MM = 0.5  # vertices farther than that from the rigid motion count less and less
FITS = 15
REMEDY = "stabilise the caches before export"


@dataclass(frozen=True)
class HeadMotion:
    """Of frames against a pose, medians over frames: `still_mm` is the way of the stillest vertices,
    `left_mm` what a rigid motion leaves of it, which shifts by `shift_mm` and turns by `turn_degrees`."""

    still_mm: float
    left_mm: float
    shift_mm: float
    turn_degrees: float

    @property
    def is_rigid(self) -> bool:
        """Whether a rigid motion explains enough of it to be the head's."""
        return self.left_mm <= (1 - LEAST_RIGID) * self.still_mm


def head_motion(frames: NDArray[np.float64], pose: NDArray[np.float64]) -> HeadMotion:
    """Measure frames [frame, vertex, xyz] against a pose [vertex, xyz], both in mm."""
    turns, shifts = _rigid(pose, frames)
    fitted = pose @ turns.transpose(0, 2, 1) + shifts[:, None]
    cosines = (np.trace(turns, axis1=1, axis2=2) - 1) / 2
    centre = pose.mean(0)
    moved = np.linalg.norm(turns @ centre + shifts - centre, axis=1)
    return HeadMotion(
        _still(frames - pose),
        _still(frames - fitted),
        float(np.median(moved)),
        float(np.degrees(np.median(np.arccos(np.clip(cosines, -1, 1))))),
    )


def check_head_motion(shot: Shot, frames: NDArray[np.float64]) -> list[Finding]:
    """Whether the head moves within a shot: frames [frame, vertex, xyz] in mm."""
    found = head_motion(frames, np.median(frames, axis=0))
    if found.still_mm < LEAST_MM or not found.is_rigid:
        return []
    message = (
        f"the head moves in its cache: by {found.shift_mm:.1f} mm and {found.turn_degrees:.1f} degrees "
        f"in the median frame, the stillest vertices by {found.still_mm:.1f} mm"
    )
    severity = severity_of(found.still_mm, ERROR_MM)
    return [
        Finding(CHECK, shot.actor, shot.name, "", found.still_mm, "mm", message, REMEDY, severity)
    ]


def check_standing(poses: Mapping[str, NDArray[np.float64]], actor: str) -> list[Finding]:
    """Whether some of an actor's shots were stabilised to another place than the others.

    Args:
        poses: the median pose of each shot [vertex, xyz] in mm.
    """
    if len(poses) < 3:
        return []
    usual = np.median(np.stack(list(poses.values())), axis=0)
    findings = []
    for name, pose in poses.items():
        found = head_motion(pose[None], usual)
        if found.still_mm >= LEAST_APART_MM and found.is_rigid:
            message = (
                f"its head stands {found.shift_mm:.1f} mm and {found.turn_degrees:.1f} degrees from where "
                "it does in the actor's other caches"
            )
            remedy = "stabilise all shots alike, or see farm stabilise"
            findings.append(Finding(CHECK, actor, name, "", found.shift_mm, "mm", message, remedy))
    return findings


def _still(apart: NDArray[np.float64]) -> float:
    ways = np.linalg.norm(apart, axis=2)
    return float(np.median(np.percentile(ways, STILL_PERCENTILE, axis=1)))


def _rigid(
    pose: NDArray[np.float64], frames: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turns [frame, xyz, xyz] and shifts [frame, xyz] that bring a pose to most vertices of each frame."""
    distance = np.linalg.norm(frames - pose, axis=2)
    # At first all count, or a head that has moved far would have no vertex near.
    near = np.maximum(np.median(distance, axis=1, keepdims=True), NEAR_MM)
    for _ in range(FITS):
        weights = 1 / (1 + (distance / near) ** 2)
        weights /= weights.sum(1, keepdims=True)
        middle, seen_middle = weights @ pose, np.einsum("fv,fvi->fi", weights, frames)
        spread = np.einsum("fv,vi,fvj->fij", weights, pose, frames)
        spread -= middle[:, :, None] * seen_middle[:, None]
        left, _, right = np.linalg.svd(spread)
        right[:, 2] *= np.linalg.det(left @ right)[:, None]
        turns = (left @ right).transpose(0, 2, 1)
        shifts = seen_middle - np.einsum("fij,fj->fi", turns, middle)
        fitted = pose @ turns.transpose(0, 2, 1) + shifts[:, None]
        distance = np.linalg.norm(frames - fitted, axis=2)
        near = np.maximum(near / 2, NEAR_MM)
    return turns, shifts
