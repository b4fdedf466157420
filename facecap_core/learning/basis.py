"""Basis: the PCA of the training targets, from which the output layer starts (Section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

RANK_TOLERANCE = 1e-6  # a deviation below this part of the largest is rounding, not motion


@dataclass(frozen=True)
class Basis:
    """Mean and principal components of meshes.

    `mean` [3 * vertex]; `components` [component, 3 * vertex], orthonormal rows, zero rows where the
    meshes have no further dimension; `deviation` [component], of the coefficients, in mesh units.
    """

    mean: torch.Tensor
    components: torch.Tensor
    deviation: torch.Tensor

    def project(self, positions: torch.Tensor) -> torch.Tensor:
        """The nearest meshes [frame, 3 * vertex] that the basis can form."""
        return self.mean + ((positions - self.mean) @ self.components.T) @ self.components


def compute_basis(positions: torch.Tensor, components: int) -> Basis:
    """PCA of meshes [frame, 3 * vertex] by the smaller of the two Gram matrices, in float64.

    With more than 2000 frames the matrix of a fixed, even choice of 2000 directions would be as large
    as the data, so the covariance of frames is formed blockwise and its leading subspace found by
    orthogonal iteration from a fixed start: the same data give the same basis.
    """
    frames, size = positions.shape
    mean = torch.zeros(size, dtype=torch.float64, device=positions.device)
    for block in positions.split(1024):
        mean += block.double().sum(0)
    mean /= frames
    wanted = min(components, frames, size)
    rows = torch.zeros(components, size, dtype=torch.float64, device=positions.device)
    deviation = torch.zeros(components, dtype=torch.float64, device=positions.device)
    if frames <= 2048:
        centred = positions.double() - mean
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        values, vectors = values.flip(0)[:wanted], vectors.flip(1)[:, :wanted]
        found = vectors.T @ centred
    else:
        found, values = _leading_subspace(positions, mean, wanted)
    sigma = values.clamp(min=0).sqrt()
    kept = int((sigma > RANK_TOLERANCE * sigma[0].clamp(min=1e-300)).sum())
    if kept:
        # Gram vectors of small values are not quite orthogonal after the product: QR keeps the order.
        q, r = torch.linalg.qr(found[:kept].T)
        q = q * torch.sign(
            torch.where(r.diagonal() == 0, torch.ones_like(r.diagonal()), r.diagonal())
        )
        rows[:kept] = _oriented(q.T)
        deviation[:kept] = sigma[:kept] / frames**0.5
    return Basis(mean.float(), rows.float(), deviation.float())


def _leading_subspace(
    positions: torch.Tensor, mean: torch.Tensor, wanted: int
) -> tuple[torch.Tensor, torch.Tensor]:
    size = positions.shape[1]
    width = min(size, wanted + 32, positions.shape[0])
    start = torch.Generator().manual_seed(0)
    q = torch.randn(size, width, generator=start, dtype=torch.float64).float()
    q = torch.linalg.qr(q.to(positions.device))[0]
    offset = mean.float()
    for _ in range(4):
        product = torch.zeros_like(q)
        for block in positions.split(1024):
            centred = block - offset
            product += centred.T @ (centred @ q)
        q = torch.linalg.qr(product)[0]
    small = torch.zeros(width, width, dtype=torch.float64, device=positions.device)
    for block in positions.split(1024):
        inside = ((block - offset) @ q).double()
        small += inside.T @ inside
    values, vectors = torch.linalg.eigh(small)
    values, vectors = values.flip(0)[:wanted], vectors.flip(1)[:, :wanted]
    return (q.double() @ vectors).T, values


def _oriented(rows: torch.Tensor) -> torch.Tensor:
    """Rows with their largest entry positive, since the sign of a component is arbitrary."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return rows * torch.sign(largest)
