"""Image basis against an SVD in float64: directions, deviations, part captured; few images and many."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facecap_core.learning import subspace
from facecap_core.learning.image_basis import compute_image_basis
from facecap_core.learning.whitening import Whitening, choose_whitening

SIZE = (24, 18)  # y, x
WHITENING = Whitening(120.0, 40.0)


def pictures(frames, seed=0, rank=60):
    """Images with a decaying spectrum, of smooth patterns and a little grain, rounded to levels."""
    rng = np.random.default_rng(seed)
    patterns = rng.normal(size=(rank, *SIZE)) * (40 * 0.85 ** np.arange(rank))[:, None, None]
    levels = 120 + np.einsum("fr,ryx->fyx", rng.normal(size=(frames, rank)), patterns) / 3
    return torch.from_numpy(levels.clip(0, 255).round().astype(np.uint8))


def reference(luma, whitening=WHITENING):
    """Mean, singular values and directions by LAPACK in float64."""
    white = whitening(luma).double().flatten(1).numpy()
    mean = white.mean(0)
    _, sigma, rows = np.linalg.svd(white - mean, full_matrices=False)
    return mean, sigma, rows


def subspace_angles(rows, others):
    """Sines of the angles between two subspaces, both given by orthonormal rows."""
    outside = rows - rows @ others.T @ others
    return np.linalg.norm(outside, axis=1)


@pytest.fixture
def never_exact(monkeypatch):
    """Even small data go through the range finder."""
    monkeypatch.setattr(subspace, "MOST_EXACT_ROWS", 0)


@pytest.mark.parametrize("frames", [90, 700])
def test_few_images_are_exact(frames):
    luma = pictures(frames)
    mean, sigma, rows = reference(luma)
    basis = compute_image_basis(luma, WHITENING, 40)
    np.testing.assert_allclose(basis.mean.numpy(), mean, atol=1e-6)
    np.testing.assert_allclose(basis.deviation.numpy(), sigma[:40] / frames**0.5, rtol=1e-6)
    alignment = np.abs(np.sum(basis.components.numpy() * rows[:40], axis=1))
    np.testing.assert_allclose(alignment, 1, atol=1e-6)
    captured = np.sum(sigma[:40] ** 2) / np.sum(sigma**2)
    assert basis.captured == pytest.approx(captured, abs=1e-6)
    assert 0.9 < captured < 1


@pytest.mark.usefixtures("never_exact")
def test_many_images_go_through_the_range_finder():
    luma = pictures(1500)
    mean, sigma, rows = reference(luma)
    basis = compute_image_basis(luma, WHITENING, 40)
    np.testing.assert_allclose(basis.mean.numpy(), mean, atol=1e-6)
    np.testing.assert_allclose(basis.deviation.numpy(), sigma[:40] / 1500**0.5, rtol=1e-4)
    assert subspace_angles(rows[:30], basis.components.double().numpy()).max() < 1e-3
    captured = np.sum(sigma[:40] ** 2) / np.sum(sigma**2)
    assert basis.captured == pytest.approx(captured, rel=1e-4)


@pytest.mark.parametrize("route", ["exact", "range finder"])
def test_small_deviations_survive_large_ones(route, request):
    """A thousandth of the largest deviation, which float32 would lose if it were squared."""
    if route == "range finder":
        request.getfixturevalue("never_exact")
    rng = np.random.default_rng(3)
    levels = np.full((1100, 20, 20), 128.0)
    levels[:, :10] += rng.choice([-100, 100], 1100)[:, None, None]
    levels[np.arange(1100), 15, rng.integers(0, 20, 1100)] += 1  # of one level, in one pixel
    luma = torch.from_numpy(levels.astype(np.uint8))
    _, sigma, rows = reference(luma)
    assert sigma[10] < 1e-3 * sigma[0]
    basis = compute_image_basis(luma, WHITENING, 15)
    np.testing.assert_allclose(basis.deviation.numpy(), sigma[:15] / 1100**0.5, rtol=1e-2)
    inside = basis.components.double().numpy() @ rows[:20].T @ rows[:20]
    np.testing.assert_allclose(np.linalg.norm(inside, axis=1), 1, atol=1e-3)


def test_fewer_images_than_components():
    luma = pictures(25)
    basis = compute_image_basis(luma, WHITENING, 3000)
    assert basis.components.shape == (24, SIZE[0] * SIZE[1])  # their mean takes one
    assert basis.captured == pytest.approx(1, abs=1e-5)
    gram = basis.components @ basis.components.T
    torch.testing.assert_close(gram, torch.eye(24), atol=1e-4, rtol=0)
    white = WHITENING(luma).flatten(1) - basis.mean
    torch.testing.assert_close(
        white @ basis.components.T @ basis.components, white, atol=1e-3, rtol=0
    )


def test_equal_images_have_no_components():
    basis = compute_image_basis(pictures(1).expand(9, *SIZE), WHITENING, 5)
    assert basis.components.shape == (0, SIZE[0] * SIZE[1])
    torch.testing.assert_close(basis.mean, WHITENING(pictures(1)).flatten())


@pytest.mark.parametrize("kind", ["training", "image", "none"])
def test_images_are_whitened_as_the_network_sees_them(kind):
    luma = pictures(100)
    whitening = choose_whitening(kind, luma)
    mean, sigma, _ = reference(luma, whitening)
    basis = compute_image_basis(luma, whitening, 10)
    np.testing.assert_allclose(basis.mean.numpy(), mean, atol=1e-5)
    np.testing.assert_allclose(basis.deviation.numpy(), sigma[:10] / 10, rtol=1e-5)


@pytest.mark.parametrize("route", ["exact", "range finder"])
def test_the_same_images_give_the_same_basis(route, request):
    if route == "range finder":
        request.getfixturevalue("never_exact")
    luma = pictures(600)
    torch.manual_seed(4)
    one = compute_image_basis(luma, WHITENING, 20)
    torch.manual_seed(5)  # torch's own state has no say
    other = compute_image_basis(luma.clone(), WHITENING, 20)
    assert torch.equal(one.components, other.components)
    assert torch.equal(one.deviation, other.deviation)
    largest = one.components.gather(1, one.components.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()  # else a direction could come out either way round
    assert one.captured == other.captured


def test_a_view_of_several_cameras_is_read_in_place():
    views = torch.stack([pictures(80), pictures(80, seed=9)], dim=1)
    plain = compute_image_basis(views[:, 0].contiguous(), WHITENING, 7)
    assert torch.equal(compute_image_basis(views[:, 0], WHITENING, 7).components, plain.components)
