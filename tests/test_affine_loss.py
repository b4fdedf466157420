"""The affine-invariant loss of Appendix A.1, against least squares in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facecap_core.errors import ConfigError
from facecap_core.learning.affine_loss import affine_invariant_loss
from facecap_core.learning.presets import resolve

VERTICES = 60


def faces(frames, seed=0, noise=0.3):
    """Predictions and targets [frame, 3 * vertex] within 10 cm, float64, related by an affine motion and noise."""
    rng = np.random.default_rng(seed)
    target = rng.uniform(-10, 10, (frames, VERTICES, 3)) * [0.8, 1.0, 0.4] + [1, -2, 6]
    turn = np.eye(3) + rng.normal(size=(frames, 3, 3)) * 0.1
    predicted = target @ turn + rng.normal(size=(frames, 1, 3))
    predicted += rng.normal(size=predicted.shape) * noise
    return tuple(torch.from_numpy(each.reshape(frames, -1)) for each in (predicted, target))


def by_lstsq(predicted, target, weights=None):
    """The loss as the paper writes it, frame by frame, with the columns of ones."""
    losses = []
    root = np.ones((VERTICES, 1)) if weights is None else np.sqrt(weights / weights.mean())[:, None]
    for p, q in zip(predicted.numpy(), target.numpy(), strict=True):
        padded = np.hstack([p.reshape(-1, 3), np.ones((VERTICES, 1))])
        wanted = q.reshape(-1, 3)
        transform = np.linalg.lstsq(root * padded, root * wanted, rcond=None)[0]
        losses.append(np.mean((root * (padded @ transform - wanted)) ** 2))
    return np.mean(losses)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_error_after_the_best_transform(weighted):
    predicted, target = faces(7)
    weights = np.random.default_rng(1).uniform(0, 3, VERTICES) if weighted else None
    loss = affine_invariant_loss(
        predicted, target, None if weights is None else torch.tensor(weights)
    )
    assert loss.item() == pytest.approx(by_lstsq(predicted, target, weights), rel=1e-8)
    # The mean over coordinates: a third of the sum that the paper divides by the vertices.
    assert loss < torch.nn.functional.mse_loss(predicted, target)


def test_a_prediction_in_float32_loses_nothing():
    predicted, target = faces(5, noise=1e-3)
    loss = affine_invariant_loss(predicted.float(), target.float())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(by_lstsq(predicted, target), rel=1e-4)


def test_an_affinely_moved_prediction_has_no_loss():
    predicted, target = faces(4, noise=0.0)
    assert affine_invariant_loss(predicted, target).item() < 1e-15


def test_the_gradient_is_that_of_the_whole_loss():
    predicted, target = (each[:, :36].contiguous() for each in faces(2))
    weights = torch.linspace(0.5, 1.5, 12, dtype=torch.float64)
    predicted.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: affine_invariant_loss(p, target), predicted)
    assert torch.autograd.gradcheck(lambda p: affine_invariant_loss(p, target, weights), predicted)


def test_a_smaller_mesh_has_no_smaller_loss():
    predicted, target = faces(6)
    loss = affine_invariant_loss(predicted, target).item()
    for factor in (0.5, 0.01):
        assert affine_invariant_loss(predicted * factor, target).item() == pytest.approx(
            loss, rel=1e-3
        )
    # The other way round it would be smaller by the factor's square.
    assert by_lstsq(target, predicted * 0.1) == pytest.approx(0.01 * by_lstsq(target, predicted))


def test_without_extent_the_loss_is_that_of_the_mean_and_gradients_are_finite():
    _, target = faces(3)
    about_mean = target.reshape(3, -1, 3) - target.reshape(3, -1, 3).mean(1, keepdim=True)
    flat = target.reshape(3, -1, 3) * torch.tensor([1.0, 1.0, 0.0])
    point = torch.full_like(target, 2.5)
    for predicted, largest in ((flat.reshape(3, -1), about_mean[..., 2]), (point, about_mean)):
        predicted = predicted.float().clone().requires_grad_()
        loss = affine_invariant_loss(predicted, target.float())
        loss.backward()
        whole = largest.square().sum() / target.numel()
        assert 0.5 * whole < loss.item() < 1.001 * whole
        assert predicted.grad.isfinite().all()
    # What is flat but for rounding is not stretched to fit: its slope would break a training.
    noise = torch.from_numpy(np.random.default_rng(2).normal(size=flat.shape)) * 1e-6
    thin = (flat + noise).reshape(3, -1).requires_grad_()
    affine_invariant_loss(thin, target).backward()
    assert thin.grad.abs().max() < 1
    both = affine_invariant_loss(point.requires_grad_(), torch.full_like(target, 1.0))
    both.backward()
    assert both.item() < 1e-20
    assert point.grad.isfinite().all()


def test_it_needs_a_fixed_output_layer():
    with pytest.raises(ConfigError, match="keep the mesh in its place") as refused:
        resolve("paper", ["loss.kind=affine-invariant"])
    assert "network.train_output=false" in str(refused.value)
    allowed = resolve("paper", ["loss.kind=affine-invariant", "network.train_output=false"])
    assert allowed.loss.kind == "affine-invariant"
