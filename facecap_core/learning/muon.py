"""Muon: momentum whose steps are made orthogonal, for the weights of convolutions and of linear layers.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. On our networks it needs about half of
Adam's epochs for the same error: docs/LOG.md, 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

# A quintic iteration that drives singular values towards 1, by the authors above.
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """For parameters of two or more dimensions; a convolution counts as [out, in * y * x].

    Args:
        lr: length of a step: each weight moves by about lr / sqrt(inputs).
        momentum: decay per step of the averaged gradient, which is used with Nesterov's look ahead.
        weight_decay: decoupled, times lr.
    """

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                average = state["momentum"]
                average.lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(average, group["momentum"]).flatten(1)
                update = orthogonalised(ahead)
                # Tall matrices need longer steps for the same change of what they put out.
                length = group["lr"] * max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update.view_as(parameter), alpha=-length)


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """Nearly U V^T of the singular value decomposition U S V^T of a matrix [row, column].

    Each iteration multiplies by a polynomial of x x^T from the left. The polynomials are collected as
    one small square matrix, which meets the wide one at the end only: a third of the time.
    """
    flipped = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if flipped else matrix
    x = x / (x.norm() + 1e-12)
    square = x @ x.T
    factor = step = _polynomial(square)
    for _ in range(ITERATIONS - 1):
        square = step @ square @ step
        step = _polynomial(square)
        factor = step @ factor
    x = factor @ x
    return x.T if flipped else x


def _polynomial(square: torch.Tensor) -> torch.Tensor:
    """What x with this x x^T is multiplied by."""
    result = torch.addmm(square, square, square, beta=CUBIC, alpha=QUINTIC)
    result.diagonal().add_(LINEAR)
    return result
