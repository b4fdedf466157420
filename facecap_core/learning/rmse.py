"""RMSE: how far meshes are apart, in mm, with what is to be compared with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from facecap_core.learning.basis import Basis


def rmse_mm_of_loss(loss_cm2: float) -> float:
    """The paper's loss (mean over coordinates, cm²) as RMSE over vertices: 10 * sqrt(3 * loss)."""
    return 10.0 * (3.0 * loss_cm2) ** 0.5


def per_frame_rmse_mm(
    predicted: np.ndarray,
    target: np.ndarray,
    *,
    animated: np.ndarray | None = None,
    mm_per_unit: float = 1.0,
) -> np.ndarray:
    """Error of each frame [frame] in mm, float64 (Figure 4's caption).

    The root of the mean over the animated vertices of the squared Euclidean distance between
    `predicted` and `target`, both [frame, vertex, xyz].
    """
    if animated is not None:
        predicted, target = predicted[:, animated], target[:, animated]
    difference = predicted.astype(np.float64) - target.astype(np.float64)
    return mm_per_unit * np.sqrt(np.square(difference).sum(2).mean(1))


def pooled_rmse_mm(per_frame: np.ndarray | Sequence[float]) -> float:
    """One figure for the errors [frame] of many frames: the root of the mean of their squares, as the loss
    would give; nan for none."""
    values = np.asarray(per_frame, dtype=np.float64)
    return float(np.sqrt(np.square(values).mean())) if values.size else float("nan")


def baselines_mm(
    basis: Basis, target: torch.Tensor, *, animated: torch.Tensor, mm_per_unit: float
) -> tuple[float, float]:
    """RMSE of the mean training mesh, and the floor below which the PCA basis cannot come.

    `target` [frame, 3 * vertex] in the basis' units; `animated` vertex indices.
    """
    squares = torch.zeros(2, dtype=torch.float64)
    for block in target.split(512):
        for i, guess in enumerate((basis.mean.expand_as(block), basis.project(block))):
            apart = (guess - block).reshape(len(block), -1, 3)[:, animated].double()
            squares[i] += apart.square().sum(2).mean(1).sum().cpu()
    mean_shape, floor = (squares / len(target)).sqrt() * mm_per_unit
    return float(mean_shape), float(floor)
