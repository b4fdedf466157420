"""Face in crop: whether a camera's crop cuts the face, is far larger than it, or shows it elsewhere in a shot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.face_place import CameraSummary, FacePlace, overlap
from facecap_core.checks.finding import Finding, severity_of
from facecap_core.checks.picture_signals import COLUMNS, ROWS

CHECK = "face in crop"
LEAST_CUT = 0.03  # of the face's motion, outside of the crop
ERROR_CUT = 0.25
LEAST_AT_EDGE = 0.03  # of it in the outermost cells, where the picture ends with the crop
SMALL = 0.25  # of the crop's height and width, that what moves of the face takes at least
LEAST_SHIFT = 0.10  # of the crop's width; training moves pictures by 0.05


def check_crop(
    actor: str, camera: str, place: FacePlace, shots: Sequence[CameraSummary]
) -> list[Finding]:
    """Of one camera, over all shots of an actor; what all shots have is told once."""
    findings = _of_all(actor, camera, place, shots[0])
    if len(shots) < 3:
        return findings
    width = shots[0].crop[2] - shots[0].crop[0]
    usual_cut = cut(place, shots[0].inside) if place.motion is not None else 0.0
    for found in shots:
        shift = place.shift_of(found.mean)
        if not shift.is_known:
            continue
        down, across = shift.down, shift.across
        part = float(np.hypot(across, down * _aspect(found))) / width
        where = _direction(down, across)
        if place.motion is not None:
            outside = cut(place, found.inside, round(down), round(across))
            if outside - usual_cut >= LEAST_CUT and part >= LEAST_SHIFT / 2:
                message = (
                    f"{outside:.0%} of the face's motion lies outside of the crop of camera {camera}: "
                    f"the face is {part:.0%} of the crop's width {where} from where it is usually"
                )
                remedy = (
                    "reframe the footage as the other shots are, or make it a camera of its own"
                )
                severity = severity_of(outside, ERROR_CUT)
                findings.append(
                    Finding(
                        CHECK, actor, found.shot, camera, 100 * outside, "%", message, remedy, severity,
                    )
                )  # fmt: skip
                continue
        if part >= LEAST_SHIFT:
            message = (
                f"camera {camera} has the face {part:.0%} of the crop's width {where} from where it is in"
                " the actor's other shots; training sees it moved by 5%"
            )
            remedy = (
                "reframe it as the others are, or train with --set augmentation.translation=0.1"
            )
            findings.append(
                Finding(CHECK, actor, found.shot, camera, 100 * part, "%", message, remedy)
            )
    return findings


def cut(place: FacePlace, inside: NDArray[np.bool_], down: int = 0, across: int = 0) -> float:
    """The part of the face's motion outside of the crop, where the face is moved by so many cells.

    `inside` [row, column]: the cells whose middle lies in the crop.
    """
    assert place.motion is not None
    motion, seen_inside = overlap(place.motion, inside, down, across)
    return 1 - float(motion[seen_inside].sum())  # what left the picture is outside too


def _of_all(actor: str, camera: str, place: FacePlace, found: CameraSummary) -> list[Finding]:
    if place.motion is None:
        return []
    outside = cut(place, found.inside)
    if outside >= LEAST_CUT:
        message = f"{outside:.0%} of the face's motion lies outside of the crop of camera {camera}"
        remedy = f"move or enlarge the crop {_towards(place.motion, found.inside)}"
        severity = severity_of(outside, ERROR_CUT)
        return [Finding(CHECK, actor, "", camera, 100 * outside, "%", message, remedy, severity)]
    at_edge, edge = _at_picture_edge(place.motion, found)
    if at_edge >= LEAST_AT_EDGE:
        message = (
            f"{at_edge:.0%} of the face's motion lies at the {edge} edge of camera {camera}'s pictures,"
            " where they end"
        )
        remedy = "record the whole face; what is outside of the picture cannot be solved"
        return [Finding(CHECK, actor, "", camera, 100 * at_edge, "%", message, remedy)]
    left, top, right, lower = found.crop
    face_top, face_lower, face_left, face_right = place.box
    height = (face_lower - face_top) / (lower - top)
    width = (face_right - face_left) / (right - left)
    if max(height, width) < SMALL:
        message = f"what moves of the face takes {max(height, width):.0%} of camera {camera}'s crop"
        remedy = "make the crop smaller: the network sees 240 x 320 pixels of it"
        return [Finding(CHECK, actor, "", camera, 100 * max(height, width), "%", message, remedy)]
    return []


def _at_picture_edge(motion: NDArray[np.float64], found: CameraSummary) -> tuple[float, str]:
    """The most motion in the outermost cells at a side where there is no picture beyond the crop."""
    left, top, right, lower = found.crop
    sides = {
        "left": (motion[:, 0], left < 0.5),
        "upper": (motion[0], top < 0.5),
        "right": (motion[:, -1], right > COLUMNS - 0.5),
        "lower": (motion[-1], lower > ROWS - 0.5),
    }
    shares = {name: float(cells.sum()) for name, (cells, ends) in sides.items() if ends}
    most = max(shares, key=lambda name: shares[name], default="")
    return shares.get(most, 0.0), most


def _towards(motion: NDArray[np.float64], inside: NDArray[np.bool_]) -> str:
    outside = np.where(inside, 0, motion)
    rows, columns = np.nonzero(inside)
    sides = {
        "upwards": outside[: rows.min()].sum(),
        "downwards": outside[rows.max() + 1 :].sum(),
        "to the left": outside[:, : columns.min()].sum(),
        "to the right": outside[:, columns.max() + 1 :].sum(),
    }
    return max(sides, key=lambda side: sides[side])


def _direction(down: float, across: float) -> str:
    """Where to, by the larger way."""
    if abs(down) > abs(across):
        return "below" if down > 0 else "above"
    return "right" if across > 0 else "left"


def _aspect(found: CameraSummary) -> float:
    """Columns that a row is high: cells are square in the decoded picture, not in the camera's."""
    left, top, right, lower = found.crop
    return (right - left) / (lower - top) * 4 / 3
