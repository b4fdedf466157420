"""Calibration fit: the numbers by which the signals of a frame foretell its error, learned from a sample of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from facecap_core.learning.confidence import Fit, logs
from facecap_core.learning.novelty import LEAST_ERROR_MM
from facecap_core.ranks import auroc_of_worst, spearman

NOVEL = 95  # percentile of the validation frames at which novelty is 1
DISTANCES = 2  # of the signals: the others say nothing of novelty
SHRINK = 1e-3  # what keeps the exponent of a part that is nothing near 1
STEPS = 200


@dataclass(frozen=True, eq=False)
class Sample:
    """Signals [frame, signal], errors in mm [frame] and shots [frame] of validation frames; those of
    spoilt ones have more weight or less."""

    signals: np.ndarray
    errors_mm: np.ndarray
    shots: np.ndarray
    weights: np.ndarray

    def of(self, chosen: np.ndarray) -> Sample:
        return Sample(*(part[chosen] for part in vars(self).values()))


def fit_to(sample: Sample) -> Fit:
    """The fit to all frames of a sample, and the distances at which novelty is 1."""
    plain = sample.of(sample.weights == 1)
    middle = np.median(plain.signals.astype(np.float64), axis=0)
    usual = tuple(float(one) or 1.0 for one in middle)
    parts_mm, exponents = _least_squares(
        logs(sample.signals, usual),
        np.log(np.maximum(sample.errors_mm, LEAST_ERROR_MM)),
        sample.weights,
    )
    apart = plain.signals[:, :DISTANCES]
    far = np.percentile(apart, NOVEL, axis=0)
    far[far == 0] = 1.0
    # The larger of two distances is above 1 more often than either.
    far *= np.percentile((apart / far).max(axis=1), NOVEL) or 1.0
    return Fit(usual, parts_mm, exponents, tuple(far.tolist()))


def _least_squares(
    inputs: np.ndarray, wanted: np.ndarray, weights: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Parts in mm and exponents for logarithms of signals [frame, signal] and of errors [frame]: the weighted
    least squares.

    The last two signals are errors themselves, so their exponent is 1; and their parts are the same. Which of the
    two is right depends on the expression, and validation frames need not show those that matter
    (docs/LOG.md, 2026-11-28).
    """
    given, errors, weight = map(torch.from_numpy, (inputs, wanted, weights / weights.sum()))
    count = given.shape[1]
    with torch.enable_grad():
        middle = float((weight * errors).sum()) - np.log(count) / 2
        free = torch.full((count - 1,), middle, dtype=torch.float64, requires_grad=True)
        powers = torch.zeros(count - 2, dtype=torch.float64, requires_grad=True)

        def parts() -> torch.Tensor:
            return torch.cat([free, free[-1:]])

        def exponents() -> torch.Tensor:
            return torch.cat([powers.exp(), powers.new_ones(2)])

        def loss() -> torch.Tensor:
            search.zero_grad()
            predicted = torch.logsumexp(2 * (parts() + exponents() * given), 1) / 2
            off = (weight * (predicted - errors).square()).sum() + SHRINK * powers.square().sum()
            off.backward()
            return off

        search = torch.optim.LBFGS([free, powers], max_iter=STEPS, line_search_fn="strong_wolfe")
        search.step(loss)
    return tuple(parts().detach().exp().tolist()), tuple(exponents().detach().tolist())


def shots_left_out(sample: Sample) -> dict[str, float | None] | None:
    """How well errors of each shot are foretold by a fit to the others; None with one shot alone, and of
    figures that never change."""
    shots = np.unique(sample.shots)
    if len(shots) < 2:
        return None
    predicted, errors = [], []
    for shot in shots:
        own = (sample.shots == shot) & (sample.weights == 1)
        fit = fit_to(sample.of(sample.shots != shot))
        predicted.append(fit.predicted_mm(sample.signals[own]))
        errors.append(sample.errors_mm[own])
    foretold, found = np.concatenate(predicted), np.concatenate(errors)
    figures = {
        "auroc_of_worst_tenth": auroc_of_worst(foretold, found),
        "spearman": spearman(foretold, found),
        "median_predicted_to_true": float(np.median(foretold / np.maximum(found, LEAST_ERROR_MM))),
    }
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}
