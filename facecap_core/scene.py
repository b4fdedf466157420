"""Scene: the camera that looks at a mesh and the lights that fall on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

Vector = tuple[float, float, float]
Array = np.ndarray | Tensor

FRAMING_FOV_DEGREES = 17.0  # a long lens, as for portraits
MARGIN = 1.06  # of the picture to the mesh in it


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks from `position` at `target`; lengths in the unit of the mesh."""

    position: Vector
    target: Vector = (0.0, 0.0, 0.0)
    up: Vector = (0.0, 1.0, 0.0)
    vertical_fov_degrees: float = 20.0
    near: float = 0.01  # faces that come nearer are not drawn

    def axes(self) -> np.ndarray:
        """Right, up and backward directions as rows, float64 [axis, xyz]; raises ValueError where it looks at
        itself."""
        backward = np.subtract(self.position, self.target).astype(np.float64)
        if not np.linalg.norm(backward) > 0:
            raise ValueError("a camera needs a target apart from its position")
        backward /= np.linalg.norm(backward)
        right = np.cross(np.asarray(self.up, np.float64), backward)
        if not np.linalg.norm(right) > 0:
            raise ValueError("a camera cannot look along its up direction")
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(backward, right), backward])


@dataclass(frozen=True)
class Light:
    """Parallel light: the direction towards its source, and its colour (1 is full)."""

    direction: Vector
    colour: Vector = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Lighting:
    """Lights, the light from everywhere, and how surfaces shine where they have gloss."""

    lights: tuple[Light, ...] = (
        Light((-0.55, 0.55, 0.75), (0.62, 0.60, 0.57)),
        Light((0.75, 0.15, 0.55), (0.22, 0.24, 0.27)),
        Light((0.1, 0.8, -0.4), (0.14, 0.14, 0.16)),
    )
    ambient: Vector = (0.16, 0.16, 0.17)
    shininess_doublings: int = 5  # the Blinn-Phong exponent as a power of two: 5 is 32
    wrap: float = 0.15  # how far light creeps past the terminator, as it does in skin


def framing_camera(positions: Array, aspect: float) -> Camera:
    """The camera that holds the whole mesh from the front: it looks along -z with +y up.

    positions: [..., vertex, xyz] (several frames are framed together); aspect: width / height.
    """
    points = _as_numpy(positions).reshape(-1, 3).astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high) / 2
    half = math.tan(math.radians(FRAMING_FOV_DEGREES) / 2)
    reach = max(high[1] - low[1], (high[0] - low[0]) / aspect) / 2 * MARGIN
    distance = max(reach / half, 1e-6)
    x, y = float(middle[0]), float(middle[1])
    return Camera(
        (x, y, float(high[2] + distance)),
        (x, y, float(high[2])),
        vertical_fov_degrees=FRAMING_FOV_DEGREES,
        near=distance * 1e-3,
    )


def _as_numpy(values: Array) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
