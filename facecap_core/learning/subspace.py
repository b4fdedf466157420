"""Subspace: the principal directions of many rows, without a matrix of all columns by all columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

RANK_TOLERANCE = 1e-6  # a deviation below this part of the largest is rounding, not motion
ROWS_AT_ONCE = 512
MOST_EXACT_ROWS = 2048
SPARE = 32  # directions more than asked, so that the last of those asked are found well
ITERATIONS = 4

Prepare = Callable[[torch.Tensor], torch.Tensor]
"""A block of rows as stored, of any shape and type, to floating point [row, column]."""


@dataclass(frozen=True)
class Subspace:
    """Mean row and leading principal directions.

    `mean` float64 [column]; `directions` [direction, column], orthonormal rows; `deviation` float64
    [direction], of the rows along each, falling; `variance` of the rows in all directions together.
    """

    mean: torch.Tensor
    directions: torch.Tensor
    deviation: torch.Tensor
    variance: float

    @property
    def captured(self) -> float:
        """The part of the variance that these directions hold, 0 to 1; 0 where there is none."""
        return float(self.deviation.square().sum()) / max(self.variance, 1e-300)


def find_subspace(
    data: torch.Tensor, wanted: int, prepare: Prepare = torch.Tensor.float
) -> Subspace:
    """The `wanted` leading principal directions of `data` [row, ...], or as many as there are.

    The data stay as stored, on their device; a block of rows at a time becomes floating point. Few rows
    go through their own Gram matrix in float64, which is exact; many through a randomised range finder
    with power iterations (Halko et al. 2011, Section 4.5) from a fixed start: the same data give the
    same directions. Memory is about three times that of the directions.
    """
    blocks = _Blocks(data.split(ROWS_AT_ONCE), prepare)
    rows, columns = len(data), blocks.mean.numel()
    width = min(wanted + SPARE, rows, columns)
    # A Gram matrix not much larger than the subspace costs less than one power iteration.
    if rows <= max(MOST_EXACT_ROWS, 2 * width):
        directions, values, total = _by_gram_matrix(blocks, rows)
    else:
        directions, values, total = _by_power_iterations(blocks, rows, columns, width)
    sigma = values.clamp(min=0).sqrt()
    kept = int((sigma[:wanted] > RANK_TOLERANCE * sigma[0].clamp(min=1e-300)).sum())
    found = directions(kept, sigma)
    return Subspace(
        blocks.mean, _oriented(_orthonormal(found)), sigma[:kept] / rows**0.5, total / rows
    )


class _Blocks:
    """Centred blocks of rows, and the mean that was taken from them."""

    def __init__(self, pieces: Sequence[torch.Tensor], prepare: Prepare) -> None:
        self._pieces, self._prepare = pieces, prepare
        sums = [prepare(piece).sum(0, dtype=torch.float64) for piece in pieces]
        self.mean = torch.stack(sums).sum(0) / sum(len(piece) for piece in pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def exact(self, index: int) -> torch.Tensor:
        return self._prepare(self._pieces[index]).double() - self.mean

    def quick(self, index: int) -> torch.Tensor:
        return self._prepare(self._pieces[index]).float() - self.mean.float()


_Directions = Callable[[int, torch.Tensor], torch.Tensor]
"""The first so many directions, nearly orthonormal rows, given all singular values."""


def _by_gram_matrix(blocks: _Blocks, rows: int) -> tuple[_Directions, torch.Tensor, float]:
    gram = torch.empty(rows, rows, dtype=torch.float64, device=blocks.mean.device)
    spans = [slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE)]
    for i, span in enumerate(spans):
        block = blocks.exact(i)
        gram[span, span] = block @ block.T
        for j, other in enumerate(spans[:i]):
            products = block @ blocks.exact(j).T
            gram[span, other], gram[other, span] = products, products.T
    total = float(gram.trace())
    values, vectors = torch.linalg.eigh(gram)
    values, vectors = values.flip(0), vectors.flip(1)

    def directions(count: int, sigma: torch.Tensor) -> torch.Tensor:
        factors = vectors[:, :count] / sigma[:count]
        found = torch.zeros(count, blocks.mean.numel(), dtype=torch.float64, device=gram.device)
        for i, span in enumerate(spans):
            found.addmm_(factors[span].T, blocks.exact(i))
        return found

    return directions, values, total


def _by_power_iterations(
    blocks: _Blocks, rows: int, columns: int, width: int
) -> tuple[_Directions, torch.Tensor, float]:
    device = blocks.mean.device
    generator = torch.Generator().manual_seed(0)  # on the CPU: the same start on every device
    basis = torch.randn(columns, width, generator=generator).to(device)
    total = 0.0
    for iteration in range(ITERATIONS + 1):
        along = torch.empty(rows, width, device=device)
        for i in range(len(blocks)):
            block = blocks.quick(i)
            along[i * ROWS_AT_ONCE : i * ROWS_AT_ONCE + len(block)] = block @ basis
            if iteration == ITERATIONS:
                total += float(block.square().sum(dtype=torch.float64))
        if iteration == ITERATIONS:
            break
        basis.zero_()
        for i in range(len(blocks)):
            block = blocks.quick(i)
            basis.addmm_(block.T, along[i * ROWS_AT_ONCE : i * ROWS_AT_ONCE + len(block)])
        basis = torch.linalg.qr(basis)[0]
    inside = along.double()
    values, vectors = torch.linalg.eigh(inside.T @ inside)
    values, vectors = values.flip(0), vectors.flip(1)

    def directions(count: int, sigma: torch.Tensor) -> torch.Tensor:
        return vectors[:, :count].T.to(basis.dtype) @ basis.T

    return directions, values, total


def _orthonormal(rows: torch.Tensor) -> torch.Tensor:
    """Nearly orthonormal rows made so, in their order: a Cholesky QR, which needs no second copy of them."""
    if not len(rows):
        return rows
    products = (rows @ rows.T).double()
    factor = torch.linalg.cholesky(products).to(rows.dtype)
    return torch.linalg.solve_triangular(factor, rows, upper=False)


def _oriented(rows: torch.Tensor) -> torch.Tensor:
    """Rows with their largest entry positive, since the sign of a direction is arbitrary."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return rows * torch.sign(largest)
