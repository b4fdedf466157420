"""Rotations: how head and eyes are turned in each frame, as matrices."""

from __future__ import annotations

import numpy as np


def head_rotations(degrees: np.ndarray) -> np.ndarray:
    """R_y(yaw) R_x(pitch) R_z(roll), float64 [frame, xyz, xyz], from degrees [frame, 3]."""
    yaw, pitch, roll = np.radians(degrees).T
    zero, one = np.zeros(len(degrees)), np.ones(len(degrees))
    lean = np.array(
        [[np.cos(roll), -np.sin(roll), zero], [np.sin(roll), np.cos(roll), zero], [zero, zero, one]]
    )
    return np.einsum("ijf,jkf,klf->fil", _turns(yaw), _nods(pitch), lean)


def eye_rotations(gaze: np.ndarray) -> np.ndarray:
    """Rotation matrices float64 [frame, xyz, xyz] for gaze [frame, (left-right, up-down)] in radians."""
    return np.einsum("ijf,jkf->fik", _turns(gaze[:, 0]), _nods(-gaze[:, 1]))


def _turns(yaw: np.ndarray) -> np.ndarray:
    """About the upward axis: float64 [xyz, xyz, frame]."""
    zero, one = np.zeros(len(yaw)), np.ones(len(yaw))
    return np.array(
        [[np.cos(yaw), zero, np.sin(yaw)], [zero, one, zero], [-np.sin(yaw), zero, np.cos(yaw)]]
    )


def _nods(pitch: np.ndarray) -> np.ndarray:
    """About the axis through both ears: float64 [xyz, xyz, frame]."""
    zero, one = np.zeros(len(pitch)), np.ones(len(pitch))
    return np.array(
        [
            [one, zero, zero],
            [zero, np.cos(pitch), -np.sin(pitch)],
            [zero, np.sin(pitch), np.cos(pitch)],
        ]
    )
