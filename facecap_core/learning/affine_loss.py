"""Affine-invariant loss: the error that no affine motion of the prediction can take away (Appendix A.1)."""

from __future__ import annotations

import torch

FLATTEST = 1e-9  # of the target's extent: added to the prediction's, which may have none


def affine_invariant_loss(
    predicted: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The mean square error after the best affine transform of each frame, a scalar (Appendix A.1).

    Each frame's prediction is taken through the affine transform that brings it nearest to its target
    in the sense of least squares, P' = P ((QᵀP) (PᵀP)⁻¹)ᵀ. Predictions without extent stay finite.
    The mean is over coordinates, as that of the plain loss, so that the two compare; the paper divides
    by the number of vertices, which is three times as much.

    Args:
        predicted, target: meshes [frame, 3 * vertex], in one unit.
        weights: of the vertices, [vertex], in the fit as in the mean; only their ratios count. None: all alike.
    """
    # Never the other way round, from target to prediction: a network that may move the target finds out
    # that a smaller mesh has a smaller error, and that with all vertices in one place there is none left.
    points = predicted.reshape(len(predicted), -1, 3).double()
    goals = target.reshape(len(target), -1, 3).double()
    shares = torch.ones_like(points[0, :, :1])
    if weights is not None:
        shares = weights.double()[:, None] / weights.double().mean()
    # About their means, translation and the rest of the transform do not depend on each other: the
    # paper's 4x4 matrix PᵀP falls apart into a number and a 3x3 matrix, which is well conditioned.
    points = points - (shares * points).mean(1, keepdim=True)
    goals = goals - (shares * goals).mean(1, keepdim=True)
    # The transform is where the error is least, so the error's slope in it is zero: without a gradient
    # through the inverse the loss has the very same gradient.
    with torch.no_grad():
        spread = (shares * points).transpose(1, 2) @ points
        least = FLATTEST * (shares * goals.square()).sum((1, 2)) + 1e-30
        spread.diagonal(dim1=1, dim2=2).add_(least[:, None])
        shared = (shares * points).transpose(1, 2) @ goals
        transform = torch.linalg.solve_ex(spread, shared).result  # transposed: points on the left
    return (shares * (points @ transform - goals).square()).mean().to(target.dtype)
