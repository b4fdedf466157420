"""Sculpt: the shape of the head at rest, as a profile turned round an axis with features laid on.

Lengths in cm; +x to the actor's left, +y up, +z forward. The origin lies between the ears, a little
below the eyes. Lids are still closed here: `expressions` opens them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facecap_core.madeup.identity import Identity
from facecap_core.madeup.mask import MOUTH_ROW_CM, Mask

EYE_RADIUS_CM = 1.42
EYE_CENTRE_CM = (3.12, 3.02, 6.08)  # of the actor's left eye
LID_THICKNESS_CM = 0.09

# level, height, half width, front z, axis z, lift of the sides
PROFILE = np.array(
    [
        [9.4, 9.20, 6.30, 6.70, -0.8, -0.8],
        [8.0, 7.90, 6.85, 7.95, -0.8, -0.5],
        [6.2, 6.20, 7.20, 8.80, -0.7, -0.2],
        [4.6, 4.60, 7.32, 9.15, -0.5, 0.0],
        [3.0, 3.00, 7.35, 8.90, -0.4, 0.0],
        [1.4, 1.40, 7.30, 8.85, -0.4, 0.0],
        [0.0, 0.00, 7.20, 8.85, -0.4, 0.1],
        [-2.0, -2.00, 6.85, 8.90, -0.4, 0.5],
        [-4.1, -4.10, 6.30, 8.95, -0.4, 0.7],
        [-6.0, -6.00, 5.85, 8.65, -0.3, 1.6],
        [-7.2, -7.20, 5.20, 8.45, -0.2, 2.4],
        [-8.0, -8.00, 4.60, 7.75, -0.2, 2.9],
        [-8.8, -8.38, 4.10, 6.60, -0.2, 3.0],
        [-9.7, -8.42, 3.80, 4.80, -0.2, 2.6],
        [-10.6, -8.60, 3.70, 3.40, -0.2, 2.1],
    ]
)[::-1]


@dataclass(frozen=True)
class Sculpture:
    """The mask at rest with closed lids, and what expressions need to know of it."""

    positions: np.ndarray  # float64 [vertex, xyz], lids closed
    mouth_corner: tuple[float, float]  # x, y of the left corner
    lip_height: tuple[np.ndarray, np.ndarray]  # outer border of upper and lower lip: y [vertex]
    mouth_line: np.ndarray  # y of the line between the lips at the vertex's x [vertex]


def smooth_curve(x: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A curve through the knots [n] without overshoot, at each x (monotone cubic, Fritsch and Carlson)."""
    gaps = np.diff(knots)
    slopes = np.diff(values) / gaps
    inner = np.where(
        slopes[:-1] * slopes[1:] > 0,
        2 * slopes[:-1] * slopes[1:] / np.where(slopes[:-1] + slopes[1:] == 0, 1, slopes[:-1] + slopes[1:]),
        0.0,
    )  # fmt: skip
    tangent = np.concatenate([slopes[:1], inner, slopes[-1:]])
    index = np.clip(np.searchsorted(knots, x) - 1, 0, len(gaps) - 1)
    t = np.clip((x - knots[index]) / gaps[index], 0, 1)
    h = gaps[index]
    low, high = values[index], values[index + 1]
    return (
        low * (1 + 2 * t) * (1 - t) ** 2
        + tangent[index] * h * t * (1 - t) ** 2
        + high * t**2 * (3 - 2 * t)
        + tangent[index + 1] * h * t**2 * (t - 1)
    )


def bump(positions: np.ndarray, x: float, y: float, reach_x: float, reach_y: float) -> np.ndarray:
    """A hill of height 1 at (x, y) as seen from the front: float64 [vertex]."""
    across, up = (positions[:, 0] - x) / reach_x, (positions[:, 1] - y) / reach_y
    return np.asarray(np.exp(-(across**2) - up**2))


def both(positions: np.ndarray, x: float, y: float, reach_x: float, reach_y: float) -> np.ndarray:
    """`bump` on either side: float64 [vertex]."""
    return bump(positions, x, y, reach_x, reach_y) + bump(positions, -x, y, reach_x, reach_y)


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between; also where `low` is the higher one. Of any shape."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def along(
    positions: np.ndarray, start: tuple[float, float], end: tuple[float, float]
) -> np.ndarray:
    """Distance to a line between two places in the front view and to its mirror image: [vertex]."""
    a, b = np.array(start), np.array(end)
    point = np.stack([np.abs(positions[:, 0]), positions[:, 1]], axis=1)
    t = np.clip(((point - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
    return np.asarray(np.linalg.norm(point - a - t[:, None] * (b - a), axis=1))


def sculpt(mask: Mask, identity: Identity) -> Sculpture:
    """The head that belongs to the identity, in the mask's vertex order."""
    positions = _base(mask, identity)
    _upper_face(positions, identity)
    _nose(positions, identity)
    _lower_face(positions, identity)
    line, upper, lower = _lips(positions, mask, identity)
    corner = positions[mask.mouth.upper[-1]]
    _asymmetry(positions, identity)
    return Sculpture(positions, (float(corner[0]), float(corner[1])), (upper, lower), line)


def _base(mask: Mask, identity: Identity) -> np.ndarray:
    knots = PROFILE[:, 0]
    y, width, front, axis, lift = (
        smooth_curve(mask.levels, knots, PROFILE[:, k]) for k in range(1, 6)
    )
    jaw = 1 + (identity.jaw_width - 1) * smoothstep(0.0, -6.0, mask.levels)
    width = width * identity.face_width * jaw
    sine, cosine = np.sin(mask.angles), np.cos(mask.angles)
    # The front of a head is flatter than an ellipse above the eyes, and rounder at the mouth.
    flat = 1 - 0.16 * smoothstep(2.0, 6.0, mask.levels)
    forward = np.sign(cosine) * np.abs(cosine) ** flat
    x = width * sine
    z = axis + (front - axis) * forward
    return np.stack([x, y + lift * (1 - cosine), z], axis=1)


def _upper_face(p: np.ndarray, identity: Identity) -> None:
    z = np.zeros(len(p))
    z += (0.34 + identity.brow_ridge) * both(p, 2.4, 4.35, 1.7, 0.62)
    z += 0.12 * bump(p, 0, 4.1, 0.9, 0.6)
    z += 0.15 * bump(p, 0, 6.8, 4.0, 1.6)
    z -= 0.50 * both(p, 3.0, 3.1, 1.5, 1.0)
    z -= 0.62 * both(p, 1.55, 3.0, 0.55, 0.7)
    z -= 0.35 * both(p, 6.3, 4.3, 1.1, 1.5)
    z += (0.42 + identity.cheekbones) * both(p, 4.6, 0.7, 1.6, 1.0)
    z += 0.25 * both(p, 3.0, 0.4, 1.2, 1.0)
    p[:, 2] += z
    p[:, 0] += np.sign(p[:, 0]) * (0.12 + 0.3 * identity.cheekbones) * both(p, 6.2, 0.9, 1.5, 1.2)


def _nose(p: np.ndarray, identity: Identity) -> None:
    heights = np.array([-2.6, -2.25, -1.95, -1.6, -1.25, -0.85, -0.3, 0.6, 1.6, 2.6, 3.4, 4.4])
    ridge = np.array([0.0, 0.12, 0.55, 1.45, 2.12, 2.42, 2.2, 1.72, 1.15, 0.62, 0.28, 0.0])
    ridge = ridge + identity.nose_length * np.interp(heights, [-2.2, -0.9, 2.6], [0, 1, 0])
    ridge = ridge + identity.nose_bridge * np.exp(-(((heights - 1.4) / 1.1) ** 2))
    reach = np.array([1.2, 1.15, 1.05, 0.95, 0.92, 0.90, 0.85, 0.76, 0.70, 0.66, 0.70, 0.9])
    height = smooth_curve(p[:, 1], heights, ridge)
    width = smooth_curve(p[:, 1], heights, reach) * identity.nose_width
    height = np.where((p[:, 1] < heights[0]) | (p[:, 1] > heights[-1]), 0, height)
    x = np.abs(p[:, 0])
    z = height * np.exp(-((x / width) ** 2.1))
    wing = 1.28 * identity.nose_width
    z += 1.02 * both(p, wing, -1.22, 0.46, 0.58)
    z -= 0.20 * both(p, wing + 0.62, -1.15, 0.22, 0.55)  # the crease behind the wing
    z -= 0.16 * both(p, wing - 0.42, -0.55, 0.24, 0.42)  # between wing and tip
    z -= 0.75 * both(p, 0.62 * identity.nose_width, -1.78, 0.34, 0.20)  # nostrils
    z += 0.18 * bump(p, 0, -0.95, 0.75, 0.6)  # the ball of the tip
    z += 0.20 * bump(p, 0, -1.85, 0.22, 0.4)  # the wall between them
    p[:, 2] += z
    # Pull the underside back up a little, so that the tip hangs over it.
    tip = bump(p, 0, -1.1, 1.0, 0.5)
    p[:, 1] -= 0.12 * tip


def _lower_face(p: np.ndarray, identity: Identity) -> None:
    z = np.zeros(len(p))
    z += 0.40 * bump(p, 0, -3.6, 2.3, 1.5)
    z -= 0.30 * both(p, 4.7, -3.2, 1.4, 1.7)
    fold = along(p, (1.95, -1.3), (3.15, -3.9))
    z -= 0.13 * np.exp(-((fold / 0.28) ** 2))
    z += 0.10 * np.exp(-((along(p, (2.6, -1.2), (3.8, -3.6)) / 0.55) ** 2))
    z -= 0.11 * bump(p, 0, -2.75, 0.26, 0.55)
    z += 0.06 * both(p, 0.42, -2.8, 0.2, 0.55)
    z -= 0.50 * bump(p, 0, -5.75, 1.7, 0.5)
    z += (0.55 + identity.chin) * bump(p, 0, -7.15, 1.35, 0.85)
    p[:, 2] += z


def _lips(
    p: np.ndarray, mask: Mask, identity: Identity
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    corner = abs(p[mask.mouth.upper[-1], 0])
    # The mouth's width is set by pulling the columns near its corner.
    wish = 2.5 * identity.mouth_width
    near = both(p, corner, MOUTH_ROW_CM, 1.2, 1.5)
    p[:, 0] += np.sign(p[:, 0]) * (wish - corner) * near
    corner = abs(p[mask.mouth.upper[-1], 0])
    along_mouth = np.clip(np.abs(p[:, 0]) / corner, 0, 1)
    row = p[mask.mouth.upper]
    rest = np.interp(np.abs(p[:, 0]), row[len(row) // 2 :, 0], row[len(row) // 2 :, 1])
    line = -4.1 - 0.07 * np.exp(-((p[:, 0] / 0.35) ** 2)) + 0.05 * np.exp(
        -(((np.abs(p[:, 0]) - 0.9) / 0.5) ** 2)
    ) - 0.06 * along_mouth**3  # fmt: skip
    p[:, 1] += (line - rest) * np.exp(-(((p[:, 1] - rest) / 0.8) ** 2))
    full = identity.lip_fullness
    bow = 1 - 0.16 * np.exp(-((p[:, 0] / 0.26) ** 2))
    taper = np.sqrt(np.clip(1 - along_mouth**2.2, 0, 1))
    upper = line + 0.86 * full * bow * taper * (1 - 0.28 * along_mouth)
    lower = line - 0.98 * full * taper
    above = np.where(mask.over_mouth, (p[:, 1] - line) / np.maximum(upper - line, 0.05), 0)
    under = np.where(~mask.over_mouth, (line - p[:, 1]) / np.maximum(line - lower, 0.05), 0)
    t = np.clip(np.where(mask.over_mouth, above, under), 0, 3)
    mouth = (np.abs(p[:, 1] + 4.1) < 2.2) & (np.abs(p[:, 0]) < corner + 0.6)
    fade = np.where(mouth, smoothstep(1.0, 0.72, np.abs(p[:, 0]) / (corner + 0.2)), 0)
    # A lip rises from its border, is fullest half way, and rolls in at the line.
    roll = np.where(t < 1, np.sin(np.pi * np.clip(t * 0.92 + 0.08, 0, 1)) ** 0.8, 0)
    rim = 0.06 * np.exp(-(((t - 1.05) / 0.16) ** 2))
    size = np.where(mask.over_mouth, 0.30, 0.40) * (0.6 + 0.4 * full)
    p[:, 2] += fade * (size * roll + rim - 0.20 * np.exp(-((t / 0.22) ** 2)))
    p[:, 2] -= 0.22 * both(p, corner + 0.12, MOUTH_ROW_CM - 0.05, 0.4, 0.35)
    for slit_rim, flaps, sign in (
        (mask.mouth.upper, mask.mouth.upper_flap, 1.0),
        (mask.mouth.lower, mask.mouth.lower_flap, -1.0),
    ):
        start = p[slit_rim[1:-1]]
        depth_at = taper[slit_rim[1:-1]]
        for k, flap in enumerate(flaps):
            inwards = (0.28, 0.62, 1.0)[k] * depth_at
            away = (0.03, 0.16, 0.42)[k] * depth_at * sign
            p[flap[1:-1]] = start + np.stack([0 * away, away, -inwards], axis=1)
    return line, upper, lower


def _asymmetry(p: np.ndarray, identity: Identity) -> None:
    """No face is its own mirror image: a few broad shifts under a millimetre or two."""
    generator = np.random.default_rng([identity.seed, 2])
    for _ in range(5):
        x, y = generator.uniform(-5, 5), generator.uniform(-7, 6)
        shift = generator.normal(size=3) * [0.05, 0.04, 0.07]
        p += bump(p, x, y, 2.8, 2.4)[:, None] * shift


def eye_centres() -> np.ndarray:
    """Centres of right and left eyeball, float64 [eye, xyz]."""
    x, y, z = EYE_CENTRE_CM
    return np.array([[-x, y, z], [x, y, z]])
