"""A pinhole camera in float64: where it sees points, for tests of what draws them."""

from __future__ import annotations

import numpy as np


def seen_at(points, camera, size):
    """Where in a picture of `size` (width, height) points [..., xyz] are: x, y in pixels [..., 2]; how far away."""
    width, height = size
    seen = (points - np.asarray(camera.position)) @ camera.axes().T
    focal = height / 2 / np.tan(np.radians(camera.vertical_fov_degrees) / 2)
    x = width / 2 + focal * seen[..., 0] / -seen[..., 2]
    y = height / 2 - focal * seen[..., 1] / -seen[..., 2]
    return np.stack([x, y], axis=-1), -seen[..., 2]
