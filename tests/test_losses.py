"""Losses against plain float64 references, and what each term sees and does not see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facecap_core.errors import ConfigError
from facecap_core.learning.config import LossConfig
from facecap_core.learning.losses import Objective, vertex_deviation
from facecap_core.regions import FaceRegions

VERTICES = 6
REGIONS = FaceRegions(
    groups={"lips": np.array([0, 1]), "lids": np.array([2, 3]), "rest": np.array([4, 5])},
    lip_pairs=np.array([[0, 1]]),
    lid_pairs=np.array([[2, 3]]),
)


def meshes(frames, seed):
    return np.random.default_rng(seed).normal(size=(frames, VERTICES, 3))


PREDICTED, TARGET = meshes(8, 0), meshes(8, 1)


def flat(positions):
    return torch.from_numpy(positions.reshape(len(positions), -1)).float()


def loss(predicted=PREDICTED, target=TARGET, deviation=None, **settings):
    deviation = torch.ones(VERTICES) if deviation is None else deviation
    objective = Objective(LossConfig(**settings), regions=REGIONS, deviation=deviation)
    return float(objective(flat(predicted), flat(target), 3))


MSE = np.square(PREDICTED - TARGET).mean()


def test_the_papers_loss_is_the_mean_over_coordinates():
    assert loss() == pytest.approx(MSE, rel=1e-6)


def test_regions_weigh_as_told_and_the_mean_weight_stays_one():
    weights = np.array([4, 4, 1, 1, 1, 1]) / 2
    squares = np.square(PREDICTED - TARGET).mean(axis=(0, 2))
    assert loss(regions={"lips": 4}) == pytest.approx((weights * squares).mean(), rel=1e-6)
    everything = {"lips": 3, "lids": 3, "rest": 3}
    assert loss(regions=everything) == pytest.approx(MSE, rel=1e-6)


def test_still_targets_are_no_fault_of_the_regions():
    with pytest.raises(ConfigError, match=r"loss\.by_motion: no vertex .* moves"):
        loss(deviation=torch.zeros(VERTICES), by_motion=0.5, regions={"lips": 4})


def test_weights_by_motion_follow_the_deviation():
    deviation = torch.tensor([0.0, 0.0, 1.0, 1.0, 4.0, 4.0])
    floor = 0.1 * deviation.mean().item()
    weights = (deviation.numpy() + floor) ** 0.5
    squares = np.square(PREDICTED - TARGET).mean(axis=(0, 2))
    expected = (weights / weights.mean() * squares).mean()
    assert loss(deviation=deviation, by_motion=0.5) == pytest.approx(expected, rel=1e-5)


def test_deviation_is_how_far_vertices_stray():
    positions = meshes(2500, 3) * np.arange(1, VERTICES + 1)[:, None] + 7
    expected = np.sqrt(positions.var(axis=0).sum(axis=1))
    np.testing.assert_allclose(vertex_deviation(flat(positions)).numpy(), expected, rtol=1e-4)


def test_the_motion_term_is_the_error_of_what_changes_within_a_pair():
    wrong = PREDICTED - TARGET
    expected = MSE + 3 * np.square(wrong[5:] - wrong[:3]).mean()
    assert loss(motion=3) == pytest.approx(expected, rel=1e-6)
    off = TARGET + 0.1  # wrong, but moving rightly
    assert loss(off, motion=3) == pytest.approx(0.01, rel=1e-4)


def test_the_aperture_terms_see_the_distance_alone():
    def gap(positions, pair):
        return np.linalg.norm(positions[:, pair[0]] - positions[:, pair[1]], axis=1)

    for name, pair in (("lips", (0, 1)), ("lids", (2, 3))):
        wrong = gap(PREDICTED, pair) - gap(TARGET, pair)
        expected = MSE + 2 * np.square(wrong).mean()
        assert loss(**{name: 2}) == pytest.approx(expected, rel=1e-5)
    moved = TARGET + np.array([0.2, 0, 0])
    assert loss(moved, lips=5, lids=5) == pytest.approx(0.04 / 3, rel=1e-4)


def test_touching_lips_have_a_finite_gradient():
    predicted = flat(np.zeros((2, VERTICES, 3))).requires_grad_()
    objective = Objective(LossConfig(lips=1.0), regions=REGIONS, deviation=torch.ones(VERTICES))
    objective(predicted, flat(TARGET[:2])).backward()
    assert predicted.grad.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "regions", "words"),
    [
        ({"regions": {"lip": 2}}, REGIONS, "no region 'lip'.*did you mean 'lips'"),
        ({"regions": {"lips": 2}}, None, "no region 'lips'.*farm regions"),
        ({"regions": {"lips": 0, "lids": 0, "rest": 0}}, REGIONS, "no vertex any weight"),
        ({"lips": 1}, None, "lips lie opposite.*farm regions"),
    ],
)
def test_what_the_mesh_does_not_have_is_refused(settings, regions, words):
    with pytest.raises(ConfigError, match=words):
        Objective(LossConfig(**settings), regions=regions, deviation=torch.ones(VERTICES))
