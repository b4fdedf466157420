"""Ranks: how well one figure a frame tells which frames have a large other one."""

from __future__ import annotations

import numpy as np

WORST = 0.1


def ranks(values: np.ndarray) -> np.ndarray:
    """1 for the least of values [n], equal ones sharing the mean of theirs: float64 [n]."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + 1 + last) / 2)[place]


def auroc_of_worst(figure: np.ndarray, error: np.ndarray) -> float:
    """The chance that `figure` is larger for a frame of the worst tenth by `error` than for another one.

    Both [frame]; the area under the receiver operating characteristic (Mann and Whitney's U); nan where there are
    no others.
    """
    worst = np.zeros(len(error), bool)
    worst[np.argsort(error, kind="stable")[len(error) - max(1, round(WORST * len(error))) :]] = True
    return auroc(figure, worst)


def auroc(figure: np.ndarray, positive: np.ndarray) -> float:
    """The chance that `figure` [n] is larger where `positive` bool [n] than where it is not; nan where all or
    none are."""
    count = int(positive.sum())
    others = len(positive) - count
    if not count or not others:
        return float("nan")
    above = ranks(figure)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * others))


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of the ranks of two figures [n]; nan where one of them never changes."""
    one, other = ranks(first), ranks(second)
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size else float("nan")
