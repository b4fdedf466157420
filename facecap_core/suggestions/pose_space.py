"""Pose space: meshes as a few coordinates each, whose distances are RMSE in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from facecap_core.learning.subspace import find_subspace

COMPONENTS = 48
ROWS = 1024  # meshes that the space is made of


@dataclass(frozen=True, eq=False)
class PoseSpace:
    """The principal directions of an actor's motion."""

    animated: np.ndarray  # int64 [n], the vertices that count
    mean: np.ndarray  # float32 [3 * n]
    directions: np.ndarray  # float32 [component, 3 * n], scaled so that coordinates are mm of RMSE

    @staticmethod
    def of(meshes: np.ndarray, animated: np.ndarray, mm_per_unit: float) -> PoseSpace:
        """Of some meshes [frame, vertex, xyz], of which there must be one."""
        rows = torch.from_numpy(np.ascontiguousarray(meshes[:, animated])).flatten(1)
        found = find_subspace(rows, COMPONENTS)
        scale = mm_per_unit / np.sqrt(len(animated))
        directions = found.directions.float().numpy() * np.float32(scale)
        return PoseSpace(animated, found.mean.float().numpy(), directions)

    def coordinates(self, positions: np.ndarray) -> np.ndarray:
        """float32 [frame, component] of positions [frame, vertex, xyz]."""
        rows = positions[:, self.animated].reshape(len(positions), -1) - self.mean
        return np.asarray(rows @ self.directions.T, np.float32)


def nearest_mm(poses: np.ndarray, known: np.ndarray, *, at_once: int = 1024) -> np.ndarray:
    """How far each of `poses` [n, component] is from the nearest of `known` [m, component]: float32 [n], mm.

    Endless where nothing is known.
    """
    nearest = np.full(len(poses), np.inf, np.float32)
    for begin in range(0, len(poses), at_once):
        here = nearest[begin : begin + at_once]
        for start in range(0, len(known), at_once):
            squares = squares_mm2(poses[begin : begin + at_once], known[start : start + at_once])
            np.minimum(here, squares.min(axis=1), out=here)
    return np.sqrt(nearest)


def squares_mm2(poses: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances float32 [n, m]."""
    products = poses @ others.T
    products *= -2
    products += np.square(poses).sum(axis=1)[:, None]
    products += np.square(others).sum(axis=1)
    return np.asarray(np.maximum(products, 0, out=products))
