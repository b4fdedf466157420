"""The augmentations that Section 4.1 rejects: each as its formula says, and nothing of them by default."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facecap_core.learning.augment import Draws, augment, draw
from facecap_core.learning.config import AugmentationConfig

WIDTH, HEIGHT = 90, 120
STILL = AugmentationConfig(translation=0, rotation_degrees=0, zoom=0, brightness=0, contrast=0)


def pictures(images, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (images, HEIGHT, WIDTH), dtype=np.uint8)
    return torch.from_numpy(levels)


def drawn(images=3, strength=1.0, **magnitudes):
    config = STILL.model_copy(update=magnitudes)
    return draw(images, config, strength, torch.Generator().manual_seed(5))


def still(images=1, **further):
    """Draws that change nothing, but for these."""
    zeros, ones = torch.zeros(images), torch.ones(images)
    names = ("translation_x", "translation_y", "angle", "brightness")
    return Draws(**dict.fromkeys(names, zeros) | {"zoom": ones, "contrast": ones} | further)


def test_without_them_the_random_stream_is_as_ever():
    generator, other = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)
    draws = draw(4, AugmentationConfig(), 1.0, generator)
    unit = torch.rand(6, 4, generator=other) * 2 - 1
    assert torch.equal(generator.get_state(), other.get_state())
    assert torch.equal(draws.translation_x, unit[0] * 0.05)
    assert torch.equal(draws.contrast, (unit[5] * 0.10).exp())
    assert draws.gamma is draws.perspective_x is draws.perspective_y is draws.noise is None
    # As version 0.2 drew and toned them.
    drew = torch.tensor([0.003492, -0.030120, 0.015921, 0.015689])
    torch.testing.assert_close(draws.translation_x, drew, atol=1e-6, rtol=0)
    levels = augment(pictures(4), draws, 100.0)[:, 60, 45]
    were = torch.tensor([145.937, 96.968, 218.401, 172.479])
    torch.testing.assert_close(levels, were, atol=1e-2, rtol=0)


def test_each_leaves_the_draws_of_the_others_alone():
    everything = {"gamma": 0.3, "perspective": 0.1, "noise": 0.05, "translation": 0.05}
    together = drawn(**everything)
    assert not torch.equal(together.perspective_x, together.perspective_y)
    for name in ("gamma", "perspective_x", "perspective_y", "noise"):
        magnitude = name.partition("_")[0]
        alone = drawn(**{magnitude: everything[magnitude]})
        assert torch.equal(getattr(alone, name), getattr(together, name))
        assert sum(value is not None for value in vars(alone).values()) < len(vars(alone))
    assert torch.equal(drawn(translation=0.05).translation_x, together.translation_x)
    assert alone.noise_seed == together.noise_seed != 0


def test_without_strength_nothing_changes():
    draws = drawn(strength=0.0, gamma=0.3, perspective=0.1, noise=0.05)
    levels = augment(pictures(3), draws, 100.0)
    torch.testing.assert_close(levels, pictures(3).float(), atol=2e-2, rtol=0)


@pytest.mark.parametrize("exponent", [0.7, 1.4])
def test_gamma_is_a_power_of_the_level(exponent):
    levels = augment(pictures(1), still(gamma=torch.tensor([exponent])), 100.0)
    expected = 255 * (pictures(1).double() / 255) ** exponent
    torch.testing.assert_close(levels.double(), expected, atol=1e-1, rtol=0)
    assert (levels > pictures(1).float() + 1).any() == (exponent < 1)  # below 1 it brightens


def test_gamma_comes_before_tone():
    draws = still(gamma=torch.tensor([1.3]), brightness=torch.tensor([-40.0]))
    expected = 255 * (pictures(1).double() / 255) ** 1.3 - 40
    torch.testing.assert_close(
        augment(pictures(1), draws, 100.0).double(), expected, atol=1e-1, rtol=0
    )


def spot(x, y):
    """A soft spot about a place in pixels of a black picture."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    level = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.5**2))
    return torch.from_numpy(level.round().astype(np.uint8))[None]


def middle(levels):
    """The centre of a picture's light in pixels, and its spread along x."""
    weight = levels[0].double().numpy()
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    x, y = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    return x, y, np.sqrt((weight * (columns - x) ** 2).sum() / weight.sum())


@pytest.mark.parametrize("at", [(70.0, 60.0), (25.0, 90.0), (45.0, 60.0)])
def test_perspective_moves_points_as_a_tilted_plane(at):
    across, down = 0.2, -0.15
    draws = still(
        perspective_x=torch.tensor([across]),
        perspective_y=torch.tensor([down]),
        translation_x=torch.tensor([0.05]),
    )
    x, y, _ = middle(augment(spot(*at), draws, 0.0))
    # From -1 to 1 along each axis: what is seen at p comes from (p - shift) / (1 + across x + down y).
    source = np.array([2 * at[0] / WIDTH - 1, 2 * at[1] / HEIGHT - 1])
    system = np.eye(2) - np.outer(source, [across, down])
    seen = np.linalg.solve(system, source + [2 * 0.05, 0])
    np.testing.assert_allclose([x, y], (seen + 1) / 2 * [WIDTH, HEIGHT], atol=0.1)


def test_what_perspective_brings_nearer_grows():
    draws = still(perspective_x=torch.tensor([0.3]), perspective_y=torch.tensor([0.0]))
    spreads = [middle(augment(spot(x, 60.0), draws, 0.0))[2] for x in (15.0, 45.0, 65.0)]
    assert spreads[0] < 0.9 * spreads[1] < 0.9 * spreads[2] * 0.9


def test_perspective_mirrors():
    across, down = torch.tensor([0.3]), torch.tensor([0.2])
    one = augment(pictures(1), still(perspective_x=across, perspective_y=down), 0.0)
    other = augment(pictures(1).flip(1, 2), still(perspective_x=-across, perspective_y=-down), 0.0)
    torch.testing.assert_close(other.flip(1, 2), one, atol=0.1, rtol=0)


def test_the_largest_perspective_stays_finite():
    ones = torch.ones(1)
    draws = still(perspective_x=0.5 * ones, perspective_y=0.5 * ones)
    levels = augment(pictures(1), draws, 0.0)
    assert levels.isfinite().all()
    assert 0 <= levels.min() <= levels.max() <= 255


def test_noise_has_its_deviation_and_comes_again_with_its_seed():
    deviation = torch.tensor([0.0, 3.0, 12.0])
    gray = torch.full((3, HEIGHT, WIDTH), 90, dtype=torch.uint8)
    levels = augment(gray, still(3, noise=deviation, noise_seed=11), 100.0)
    again = augment(gray, still(3, noise=deviation, noise_seed=11), 100.0)
    other = augment(gray, still(3, noise=deviation, noise_seed=12), 100.0)
    assert torch.equal(levels, again)
    assert not torch.equal(levels, other)
    torch.testing.assert_close(levels.std((1, 2)), deviation, atol=0.02, rtol=0.02)
    torch.testing.assert_close(levels.mean((1, 2)), torch.full((3,), 90.0), atol=0.5, rtol=0)
    assert abs(np.corrcoef(levels[1:].flatten(1).numpy())[0, 1]) < 0.03  # each image has its own


def test_magnitudes_are_the_largest_draws():
    draws = drawn(images=4000, gamma=0.3, perspective=0.1, noise=0.05)
    for values, largest in (
        (draws.gamma.log(), 0.3),
        (draws.perspective_x, 0.1),
        (draws.perspective_y, 0.1),
    ):
        assert -largest <= values.min() < -0.99 * largest
        assert 0.99 * largest < values.max() <= largest
    assert 0 <= draws.noise.min() < 0.02
    assert 0.99 * 0.05 * 255 < draws.noise.max() <= 0.05 * 255
    weaker = drawn(images=4000, strength=0.5, gamma=0.3, perspective=0.1, noise=0.05)
    torch.testing.assert_close(weaker.noise, draws.noise / 2)


def test_taken_draws_move_neighbours_alike():
    config = AugmentationConfig(gamma=0.2, perspective=0.1)
    draws = draw(3, config, 1.0, torch.Generator().manual_seed(1))
    taken = draws.taken(torch.tensor([0, 1, 2, 0, 1]))
    luma = torch.randint(0, 256, (1, 32, 24), dtype=torch.uint8).expand(5, -1, -1)
    moved = augment(luma, taken, 100.0)
    assert torch.equal(moved[0], moved[3])
    assert torch.equal(moved[1], moved[4])
    assert not torch.equal(moved[0], moved[1])
    torch.testing.assert_close(moved[:3], augment(luma[:3], draws, 100.0))
