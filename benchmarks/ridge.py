"""Ridge regression from image PCA to mesh PCA: what an engineer would try before any network."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from facecap_core.learning.basis import compute_basis
from facecap_core.learning.network import shrink
from facecap_core.learning.trainingset import Examples, ShotPaths, read_views
from facecap_core.units import MM_PER_UNIT

SIZE = (60, 80)
STRENGTHS = tuple(10.0**power for power in range(-4, 5))  # times the mean variance of the pictures
HELD_BACK = 5  # one training shot in so many chooses the strength


@dataclass(frozen=True)
class Ridge:
    """Weights from centred pictures [pixel] to coordinates [3 * vertex] in cm."""

    picture_mean: torch.Tensor
    mesh_mean: torch.Tensor
    weights: torch.Tensor  # [pixel, component]
    components: torch.Tensor  # [component, 3 * vertex]
    scale: float  # cm to the production's units
    strength: float
    seconds: float

    @classmethod
    def fit(cls, examples: Examples, units: str) -> Ridge:
        """The strength is chosen on training shots that are held back, then all are used."""
        began = time.process_time()
        pictures = examples.luma.flatten(1).double()
        basis = compute_basis(examples.positions, 160)
        meshes = ((examples.positions - basis.mean) @ basis.components.T).double()
        of_shot = torch.cat(
            [torch.full((frames,), number) for number, (_, frames) in enumerate(examples.shots)]
        )
        held = of_shot % HELD_BACK == HELD_BACK - 1
        errors = {}
        if held.any() and not held.all():
            for strength, weights in _solutions(pictures[~held], meshes[~held]):
                guess = (pictures[held] - pictures[~held].mean(0)) @ weights
                wrong = guess + meshes[~held].mean(0) - meshes[held]
                errors[strength] = float(wrong.square().mean())
        best = min(errors, key=lambda strength: errors[strength]) if errors else 1.0
        weights = dict(_solutions(pictures, meshes))[best]
        return cls(
            pictures.mean(0),
            basis.mean,
            weights,
            basis.components,
            10 / MM_PER_UNIT[units],
            best,
            time.process_time() - began,
        )

    def solve(self, shot: ShotPaths, start: int, stop: int) -> np.ndarray:
        """Positions [frame, vertex, xyz] of frames [start, stop), in the production's units."""
        luma = torch.from_numpy(read_views(shot, start, stop))
        small = shrink(luma.flatten(0, 1), SIZE).reshape(len(luma), -1)  # all cameras in one row
        moved = (small.double() - self.picture_mean) @ self.weights
        return self._positions(moved.float() @ self.components + self.mesh_mean)

    def mean(self, shot: ShotPaths, start: int, stop: int) -> np.ndarray:
        """The mean training mesh for every frame."""
        del shot
        return self._positions(self.mesh_mean.expand(stop - start, -1))

    def _positions(self, flat_cm: torch.Tensor) -> np.ndarray:
        return (flat_cm * self.scale).reshape(len(flat_cm), -1, 3).numpy()


def _solutions(pictures: torch.Tensor, meshes: torch.Tensor) -> list[tuple[float, torch.Tensor]]:
    """Weights for each strength: ridge in the basis of all pictures is ridge on their PCA."""
    centred, wanted = pictures - pictures.mean(0), meshes - meshes.mean(0)
    mean_square = float(centred.square().sum()) / centred.shape[1]
    few = len(centred) < centred.shape[1]  # of the two square matrices, the smaller one
    values, vectors = torch.linalg.eigh(centred @ centred.T if few else centred.T @ centred)
    turned = vectors.T @ (wanted if few else centred.T @ wanted)
    found = []
    for strength in STRENGTHS:
        damped = values.clamp(min=0) + strength * mean_square
        weights = vectors @ (turned / damped[:, None])
        found.append((strength, centred.T @ weights if few else weights))
    return found
