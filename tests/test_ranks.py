"""Ranks against counting every pair."""

from __future__ import annotations

import numpy as np
import pytest

from facecap_core.ranks import auroc, auroc_of_worst, ranks, spearman


@pytest.mark.parametrize("seed", range(4))
def test_auroc_is_the_share_of_pairs_in_the_right_order(seed):
    rng = np.random.default_rng(seed)
    figure = rng.integers(0, 12, 60).astype(float)  # with ties
    positive = rng.random(60) < 0.3
    pairs = [(a > b) + 0.5 * (a == b) for a in figure[positive] for b in figure[~positive]]
    assert auroc(figure, positive) == pytest.approx(np.mean(pairs))


def test_the_worst_tenth_is_found_by_the_error_itself_and_by_nothing_that_is_constant():
    error = np.random.default_rng(0).random(250)
    assert auroc_of_worst(error, error) == 1
    assert auroc_of_worst(-error, error) == 0
    assert auroc_of_worst(np.zeros(250), error) == 0.5
    assert np.isnan(auroc(error, np.ones(250, bool)))


def test_spearman_sees_order_alone():
    first = np.random.default_rng(1).random(90)
    assert spearman(first, np.exp(5 * first)) == pytest.approx(1)
    assert spearman(first, -first) == pytest.approx(-1)
    assert np.isnan(spearman(first, np.ones(90)))
    assert ranks(np.array([3.0, 1, 3, 7])).tolist() == [2.5, 1, 2.5, 4]
