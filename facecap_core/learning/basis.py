"""Basis: the PCA of the training targets, from which the output layer starts (Section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from facecap_core.learning.subspace import find_subspace


@dataclass(frozen=True)
class Basis:
    """Mean and principal components of meshes.

    `mean` [3 * vertex]; `components` [component, 3 * vertex], orthonormal rows, zero rows where the
    meshes have no further dimension; `deviation` [component], of the coefficients, in mesh units;
    `captured`, the part of the meshes' variance that the components hold, 0 to 1 (the paper's 160 hold
    about 0.999).
    """

    mean: torch.Tensor
    components: torch.Tensor
    deviation: torch.Tensor
    captured: float

    def to(self, device: torch.device | str) -> Basis:
        return Basis(
            self.mean.to(device),
            self.components.to(device),
            self.deviation.to(device),
            self.captured,
        )

    def project(self, positions: torch.Tensor) -> torch.Tensor:
        """The nearest meshes [frame, 3 * vertex] that the basis can form."""
        return self.mean + ((positions - self.mean) @ self.components.T) @ self.components


def compute_basis(positions: torch.Tensor, components: int) -> Basis:
    """PCA of meshes [frame, 3 * vertex] on their device; the same meshes give the same basis."""
    found = find_subspace(positions, components)
    kept = len(found.directions)
    rows = torch.zeros(components, positions.shape[1], device=positions.device)
    deviation = torch.zeros(components, device=positions.device)
    rows[:kept] = found.directions
    deviation[:kept] = found.deviation
    return Basis(found.mean.float(), rows, deviation, found.captured)
