"""Expressions: what the face's controls do to the mask, from lids that slide on the eye to the jaw's turn.

Each control is a number, 0 at rest and 1 at its extreme (those named with two directions go from -1 to 1).
The order of effects: skin moves by smooth fields, lids open and are pushed out by the eyeball, lips are kept
from passing through each other, and the jaw turns about its hinge.
"""

from __future__ import annotations

import numpy as np

from facecap_core.madeup.identity import Identity
from facecap_core.madeup.mask import EYE_ROW_CM, Mask, Slit
from facecap_core.madeup.sculpt import (
    EYE_RADIUS_CM,
    LID_THICKNESS_CM,
    Sculpture,
    bump,
    eye_centres,
    sculpt,
    smoothstep,
)

SIDED = (
    "smile",
    "frown",
    "stretch",
    "upper_lip_raise",
    "lower_lip_drop",
    "cheek_puff",
    "cheek_raise",
    "brow_down",
    "brow_outer_up",
    "blink",
    "wide",
    "squint",
)
MIDDLE = (
    "jaw_open",
    "jaw_left_right",
    "jaw_forward",
    "pucker",
    "funnel",
    "lip_press",
    "lip_roll",
    "chin_raise",
    "mouth_left_right",
    "nose_wrinkle",
    "nostril_flare",
    "brow_inner_up",
    "gaze_left_right",
    "gaze_up_down",
)
CONTROLS = (*MIDDLE, *(f"{name}_{side}" for name in SIDED for side in ("left", "right")))
SIGNED = ("jaw_left_right", "mouth_left_right", "gaze_left_right", "gaze_up_down")
INDEX = {name: number for number, name in enumerate(CONTROLS)}

JAW_HINGE_CM = np.array([0.0, 0.4, 0.2])
JAW_OPEN_DEGREES = 17.0
GAZE_DEGREES = (28.0, 22.0)


def controls(frames: int = 1, **values: float | np.ndarray) -> np.ndarray:
    """Control values float64 [frame, control]; a sided name without its side sets both sides."""
    table = np.zeros((frames, len(CONTROLS)))
    for name, value in values.items():
        names = [f"{name}_left", f"{name}_right"] if name in SIDED else [name]
        for each in names:
            table[:, INDEX[each]] = value
    return table


class Face:
    """The mask of one actor, ready to be moved."""

    def __init__(self, mask: Mask, identity: Identity) -> None:
        self.mask = mask
        self.identity = identity
        self.sculpture: Sculpture = sculpt(mask, identity)
        self._rest = self.sculpture.positions
        self._fields = _fields(mask, self.sculpture)  # [control, vertex, xyz]
        self._jaw = _jaw_weights(mask, self.sculpture)  # [vertex]
        self._lids = [
            _Lid(mask, slit, self._rest, centre, identity)
            for slit, centre in zip((mask.right_eye, mask.left_eye), eye_centres(), strict=True)
        ]
        self._lips = _lip_columns(mask, self._rest)

    def rest(self) -> np.ndarray:
        """The neutral face, the actor's template: float32 [vertex, xyz], cm."""
        return self.pose(controls())[0]

    def pose(self, values: np.ndarray) -> np.ndarray:
        """Positions in head space, float32 [frame, vertex, xyz], cm, for controls [frame, control]."""
        count = self.mask.vertex_count
        moved = values @ self._fields.reshape(len(CONTROLS), -1)
        points = self._rest + moved.reshape(len(values), count, 3)
        for lid, side in zip(self._lids, ("right", "left"), strict=True):
            lid.open(points, values, side)
        _part_lips(points, *self._lips)
        jaw_transform(points, self._jaw, values)
        return points.astype(np.float32)


def jaw_transform(points: np.ndarray, weights: np.ndarray, values: np.ndarray) -> None:
    """Turn points [frame, vertex, xyz] with the jaw, in place, as far as weights [vertex] say."""
    amount = values[:, INDEX["jaw_open"], None] * weights  # [frame, vertex]
    angle = np.radians(JAW_OPEN_DEGREES) * amount
    y = points[:, :, 1] - JAW_HINGE_CM[1]
    z = points[:, :, 2] - JAW_HINGE_CM[2]
    sine, cosine = np.sin(angle), np.cos(angle)
    points[:, :, 1] = JAW_HINGE_CM[1] + cosine * y - sine * z
    # As a jaw opens wide, its joint slides forwards.
    forward = (
        0.5 * values[:, INDEX["jaw_forward"], None] + 0.25 * values[:, INDEX["jaw_open"], None]
    )
    points[:, :, 2] = JAW_HINGE_CM[2] + sine * y + cosine * z + forward * weights
    points[:, :, 0] += 0.8 * values[:, INDEX["jaw_left_right"], None] * weights


def _jaw_weights(mask: Mask, sculpture: Sculpture) -> np.ndarray:
    p = sculpture.positions
    corner_x, corner_y = sculpture.mouth_corner
    # Without lips the pull of the jaw would fade smoothly from chin to cheekbone, and to the ear.
    reach = np.abs(mask.angles)
    skin = smoothstep(0.6, -7.4, p[:, 1]) * smoothstep(1.75, 0.75, reach)
    inner = np.sqrt(np.clip(1 - (p[:, 0] / corner_x) ** 2, 0, 1))
    upper = skin * (1 - inner * np.exp(-((np.clip(p[:, 1] - corner_y, 0, None) / 2.6) ** 2)))
    lower = skin + (1 - skin) * inner * 0.95
    # Under the corners the skin catches up with the chin.
    chin = smoothstep(1.2, 0.35, reach) * smoothstep(-4.3, -6.4, p[:, 1])
    lower = lower + (1 - lower) * chin
    weights = np.where(mask.over_mouth, upper, lower)
    # The throat's lower edge stays on the neck.
    return np.clip(weights * smoothstep(-10.9, -8.2, mask.levels), 0, 1)


def _fields(mask: Mask, sculpture: Sculpture) -> np.ndarray:
    p = sculpture.positions
    fields = np.zeros((len(CONTROLS), len(p), 3))
    corner_x, corner_y = sculpture.mouth_corner
    up = mask.over_mouth
    x, y = p[:, 0], p[:, 1]
    inner = np.sqrt(np.clip(1 - (x / corner_x) ** 2, 0, 1))
    # What belongs to one lip only must be nothing at the corners, where both lips are one skin.
    upper_lip = np.where(up, inner, 0) * np.exp(-((np.clip(y - corner_y, 0, None) / 1.5) ** 2))
    lower_lip = np.where(up, 0, inner) * np.exp(-((np.clip(corner_y - y, 0, None) / 1.5) ** 2))

    def add(name: str, weight: np.ndarray, shift: tuple[float, float, float]) -> None:
        fields[INDEX[name]] += weight[:, None] * np.array(shift)

    for side, sign in (("left", 1.0), ("right", -1.0)):
        own = smoothstep(-1.1, 1.1, sign * x)

        def there(cx: float, cy: float, rx: float, ry: float, sign: float = sign) -> np.ndarray:
            return bump(p, sign * cx, cy, rx, ry)

        name = f"smile_{side}"
        add(name, there(corner_x + 0.3, corner_y + 0.1, 1.7, 1.35), (0.66 * sign, 0.66, -0.45))
        add(name, there(0.9, corner_y + 0.2, 1.3, 1.2), (0.16 * sign, 0.12, -0.10))
        add(name, there(3.9, -0.9, 1.4, 1.2), (0.15 * sign, 0.30, 0.30))
        add(name, there(3.2, 1.6, 1.3, 0.6), (0.0, 0.12, 0.08))
        name = f"frown_{side}"
        add(name, there(corner_x, corner_y - 0.2, 1.2, 1.1), (0.10 * sign, -0.68, -0.10))
        add(name, there(1.6, -5.9, 1.3, 0.9), (0.0, -0.12, 0.10))
        name = f"stretch_{side}"
        add(name, there(corner_x, corner_y, 1.5, 1.4), (0.75 * sign, -0.08, -0.45))
        add(name, there(1.3, -5.2, 1.2, 1.0), (0.2 * sign, -0.12, -0.12))
        name = f"upper_lip_raise_{side}"
        add(name, own * upper_lip, (0.0, 0.52, 0.06))
        add(name, there(1.9, -2.1, 1.0, 1.2), (0.05 * sign, 0.26, 0.10))
        name = f"lower_lip_drop_{side}"
        add(name, own * lower_lip, (0.0, -0.55, -0.05))
        add(name, there(1.3, -5.6, 1.1, 0.8), (0.05 * sign, -0.15, 0.0))
        name = f"cheek_puff_{side}"
        add(name, there(4.2, -3.2, 1.5, 1.7), (0.45 * sign, 0.0, 0.72))
        name = f"cheek_raise_{side}"
        add(name, there(3.7, 0.7, 1.6, 1.1), (-0.03 * sign, 0.42, 0.18))
        name = f"brow_down_{side}"
        add(name, there(1.7, 4.3, 1.4, 0.8), (-0.28 * sign, -0.52, 0.08))
        add(name, there(3.8, 4.5, 1.2, 0.8), (-0.05 * sign, -0.22, 0.0))
        name = f"brow_outer_up_{side}"
        add(name, there(3.8, 5.0, 1.6, 1.15), (0.04 * sign, 0.68, -0.08))
        add("brow_inner_up", there(1.5, 4.9, 1.25, 1.15), (0.05 * sign, 0.70, 0.02))
        add("nose_wrinkle", there(1.35, -0.9, 0.9, 1.1), (0.06 * sign, 0.34, 0.05))
        add("nose_wrinkle", there(1.3, 2.9, 0.7, 1.0), (-0.10 * sign, -0.10, 0.10))
        add("nostril_flare", there(1.45, -1.3, 0.5, 0.55), (0.22 * sign, 0.05, 0.05))
    # A wide open mouth bares the upper teeth a little.
    add("jaw_open", upper_lip, (0.0, 0.20, 0.0))
    mouth = bump(p, 0, corner_y, 2.9, 1.7)
    add("pucker", mouth, (0.0, 0.0, 0.62))
    fields[INDEX["pucker"], :, 0] -= 0.40 * x * bump(p, 0, corner_y, 3.0, 1.9)
    add("funnel", bump(p, 0, corner_y, 2.2, 1.3), (0.0, 0.0, 0.50))
    fields[INDEX["funnel"], :, 0] -= 0.22 * x * bump(p, 0, corner_y, 2.8, 1.6)
    add("funnel", upper_lip, (0.0, 0.34, 0.12))
    add("funnel", lower_lip, (0.0, -0.36, 0.12))
    near_lips = np.exp(-((np.abs(y - sculpture.mouth_line) / 0.7) ** 2)) * inner
    add("lip_press", np.where(up, near_lips, 0), (0.0, -0.14, -0.14))
    add("lip_press", np.where(up, 0, near_lips), (0.0, 0.16, -0.18))
    add("lip_press", bump(p, 0, -6.2, 1.3, 0.7), (0.0, 0.10, 0.08))
    rolled = np.exp(-((np.abs(y - sculpture.mouth_line) / 0.85) ** 2)) * inner
    add("lip_roll", np.where(up, rolled, 0), (0.0, -0.26, -0.34))
    add("lip_roll", np.where(up, 0, rolled), (0.0, 0.30, -0.34))
    add("chin_raise", bump(p, 0, -6.3, 1.8, 1.2), (0.0, 0.42, 0.16))
    add("chin_raise", lower_lip, (0.0, 0.30, 0.22))
    add("chin_raise", upper_lip, (0.0, 0.24, 0.08))
    add("chin_raise", bump(p, corner_x, corner_y, 0.9, 0.8), (0.0, -0.15, 0.0))
    add("chin_raise", bump(p, -corner_x, corner_y, 0.9, 0.8), (0.0, -0.15, 0.0))
    add("mouth_left_right", bump(p, 0, -4.4, 2.9, 2.0), (0.75, 0.0, 0.0))
    add("nose_wrinkle", bump(p, 0, 1.0, 0.9, 1.0), (0.0, 0.16, 0.02))
    add("nose_wrinkle", upper_lip, (0.0, 0.16, 0.02))
    return fields


class _Lid:
    """The lids of one eye: where they stand open and closed, and the ball they slide on."""

    def __init__(
        self, mask: Mask, slit: Slit, rest: np.ndarray, centre: np.ndarray, identity: Identity
    ) -> None:
        ends = rest[slit.upper[[0, -1]], 0]
        inner, outer = (ends[0], ends[1]) if centre[0] > 0 else (ends[1], ends[0])
        along = np.clip((rest[:, 0] - inner) / (outer - inner), 0, 1)  # 0 inner corner, 1 outer
        height = rest[:, 1] - EYE_ROW_CM
        here = np.abs(rest[:, 0] - centre[0]) < 2.6
        above = here & mask.over_eyes & (height < 2.2) & (height > -0.5)
        under = here & ~mask.over_eyes & (height > -2.2) & (height < 0.5)
        arch = np.sin(np.pi * along**0.9) ** 0.72
        sag = np.sin(np.pi * along**1.1) ** 0.8
        tilt = (0.10 + identity.eye_tilt) * (along - 0.35)
        fall_up = np.where(above, np.clip(1 - np.abs(height) / 1.75, 0, 1) ** 2, 0)
        fall_low = np.where(under, np.clip(1 - np.abs(height) / 1.5, 0, 1) ** 2, 0)
        lift = identity.eye_opening
        self._upper = fall_up * (0.63 * lift * arch + tilt)
        self._lower = fall_low * (-0.41 * lift * sag + tilt)
        self._closed = (fall_up + fall_low) * (-0.27 * sag + tilt)
        self._upper_part, self._lower_part = fall_up > 0, fall_low > 0
        self._near = np.flatnonzero(
            (np.linalg.norm(rest[:, :2] - centre[:2], axis=1) < 2.6)
            & (rest[:, 2] > centre[2] - 0.5)
        )
        self._slit, self._centre = slit, centre

    def open(self, points: np.ndarray, values: np.ndarray, side: str) -> None:
        def value(name: str) -> np.ndarray:
            return values[:, INDEX[name]][:, None]

        blink = np.clip(value(f"blink_{side}"), 0, 1)
        wide, squint = value(f"wide_{side}"), np.clip(value(f"squint_{side}"), 0, 1)
        gaze = value("gaze_up_down")
        upper = (1 + 0.36 * wide - 0.22 * squint + 0.34 * gaze) * (1 - blink)
        lower = (1 + 0.15 * wide - 0.62 * squint - 0.22 * gaze) * (1 - blink)
        raised = np.where(
            self._upper_part,
            self._closed + np.clip(upper, 0, 1.5) * (self._upper - self._closed),
            self._closed + np.clip(lower, 0, 1.5) * (self._lower - self._closed),
        )
        points[:, :, 1] += np.where(self._upper_part | self._lower_part, raised, 0)
        near = points[:, self._near] - self._centre
        distance = np.linalg.norm(near, axis=2, keepdims=True)
        least, soft = EYE_RADIUS_CM + LID_THICKNESS_CM, 0.06
        pushed = least + soft * np.logaddexp(0, (distance - least) / soft)
        points[:, self._near] = self._centre + near * (pushed / distance)
        # The flap reaches from the rim of the lid into the ball, so that no gap shows.
        for rim, flap in (
            (self._slit.upper, self._slit.upper_flap[0]),
            (self._slit.lower, self._slit.lower_flap[0]),
        ):
            edge = points[:, rim[1:-1]] - self._centre
            length = np.linalg.norm(edge, axis=2, keepdims=True)
            points[:, flap[1:-1]] = self._centre + edge * ((EYE_RADIUS_CM - 0.05) / length)


def _lip_columns(
    mask: Mask, rest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rims of the mouth, and for every vertex the column of its rim and how far it follows it."""
    upper, lower = mask.mouth.upper[1:-1], mask.mouth.lower[1:-1]
    column = np.abs(mask.angles[:, None] - mask.angles[upper]).argmin(axis=1)
    rim = np.where(mask.over_mouth, rest[upper[column], 1], rest[lower[column], 1])
    ends = np.abs(mask.angles) <= np.abs(mask.angles[upper]).max() + 1e-9
    follow = np.where(ends, np.exp(-(((rest[:, 1] - rim) / 0.7) ** 2)), 0)
    follow = np.where(mask.levels > 0, 0, follow)
    return upper, lower, column, follow * np.where(mask.over_mouth, 1.0, -1.0)


def _part_lips(
    points: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
    column: np.ndarray,
    follow: np.ndarray,
) -> None:
    """Where the lower lip's rim stands above the upper's, both give way half; in place."""
    overlap = np.clip(points[:, lower, 1] - points[:, upper, 1], 0, None)  # [frame, column]
    near = np.flatnonzero(follow)
    points[:, near, 1] += overlap[:, column[near]] / 2 * follow[near]
