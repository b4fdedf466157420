"""Network, basis, whitening and augmentation against the paper and float64 references."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facecap_core.errors import ConfigError
from facecap_core.learning.augment import Draws, augment, draw
from facecap_core.learning.basis import compute_basis
from facecap_core.learning.config import AugmentationConfig, NetworkConfig
from facecap_core.learning.network import Network, convolutions, shrink
from facecap_core.learning.networks import parameter_count
from facecap_core.learning.presets import resolve
from facecap_core.learning.whitening import compute_whitening

PAPER_LAYERS = [  # Section 3.1's table: inputs, outputs, stride
    (1, 64, 2), (64, 64, 1), (64, 96, 2), (96, 96, 1), (96, 144, 2), (144, 144, 1),
    (144, 216, 2), (216, 216, 1), (216, 324, 2), (324, 324, 1), (324, 486, 2), (486, 486, 1),
]  # fmt: skip


def test_the_layers_are_the_papers():
    network = Network(resolve("paper").network, 15000)
    layers = [m for m in network.features if isinstance(m, torch.nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.stride[0]) for m in layers] == PAPER_LAYERS
    assert all(m.kernel_size == (3, 3) for m in layers)
    assert (network.fc.in_features, network.fc.out_features) == (9720, 160)
    assert network.drop.p == 0.2
    before = sum(9 * i * o + o for i, o, _ in PAPER_LAYERS)
    assert parameter_count(network) == before + 9720 * 160 + 160 + 160 * 15000 + 15000
    assert round(parameter_count(network) / 1e6, 2) == 10.28
    # "Almost 40 times" the weights, were the last two layers one.
    assert 9720 * 15000 / (network.fc.weight.numel() + network.output.weight.numel()) > 36


def meshes(frames, vertices, rank, seed=0):
    rng = np.random.default_rng(seed)
    shapes = rng.normal(size=(rank, 3 * vertices)) * (0.7 ** np.arange(rank))[:, None]
    return torch.from_numpy(rng.normal(size=(frames, rank)) @ shapes + 5).float()


@pytest.mark.parametrize("frames", [40, 2500])
def test_the_basis_is_that_of_an_svd_in_float64(frames):
    positions = meshes(frames, 50, rank=100)
    basis = compute_basis(positions, 12)
    reference = positions.double().numpy()
    centred = reference - reference.mean(0)
    _, sigma, rows = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(basis.mean.numpy(), reference.mean(0), rtol=1e-5)
    np.testing.assert_allclose(basis.deviation.numpy(), sigma[:12] / frames**0.5, rtol=1e-3)
    np.testing.assert_allclose(
        np.abs(np.sum(basis.components.numpy() * rows[:12], axis=1)), 1, atol=1e-3
    )
    captured = np.square(sigma[:12]).sum() / np.square(sigma).sum()
    assert 0.99 < captured < 0.9999
    assert basis.captured == pytest.approx(captured, abs=1e-5)


def test_a_basis_of_fewer_dimensions_than_asked_has_zero_rows():
    basis = compute_basis(meshes(30, 20, rank=3), 8)
    norms = basis.components.norm(dim=1)
    torch.testing.assert_close(norms[:3], torch.ones(3))
    assert norms[3:].abs().max() == 0


@pytest.mark.parametrize("scale", ["orthonormal", "deviation"])
def test_the_output_layer_starts_from_the_basis(scale):
    positions = meshes(100, 40, rank=20)
    basis = compute_basis(positions, 160)
    config = NetworkConfig(
        input_size=(30, 40), channels=(8, 8), refine=(True, False), basis_scale=scale
    )
    network = Network(config, 120)
    network.initialise(config, basis, seed=1)
    torch.testing.assert_close(network.output.bias, basis.mean)
    coefficients = (positions - basis.mean) @ basis.components.T
    if scale == "deviation":
        coefficients = coefficients / basis.deviation.clamp(min=1e-9)
    torch.testing.assert_close(network.output(coefficients), positions, atol=1e-3, rtol=1e-3)


def test_he_initialisation_is_that_of_every_layer_by_what_follows_it():
    network = Network(resolve("paper").network, 30)
    network.initialise(resolve("paper").network, compute_basis(meshes(20, 10, 5), 160), seed=3)
    layers = [m for m in network.features if isinstance(m, torch.nn.Conv2d)]
    assert len(layers) == 12
    for layer in layers:  # a ReLU follows, which halves the mean square
        inputs = 9 * layer.in_channels
        assert layer.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.1)
        assert layer.bias.abs().max() == 0
    assert network.fc.weight.std().item() == pytest.approx((1 / 9720) ** 0.5, rel=0.01)
    assert network.fc.bias.abs().max() == 0
    apart = {layer.weight.flatten()[0].item() / layer.weight.std().item() for layer in layers}
    assert len(apart) == 12  # one stream for all, not one seed for each


@pytest.mark.parametrize("stem", [(2, 1), (4, 3), (5, 4), (8, 8), (7, 7)])
@pytest.mark.parametrize("size", [(60, 80), (15, 20), (48, 64)])
def test_any_first_convolution_has_as_many_features_as_come_out_of_it(stem, size):
    config = NetworkConfig(input_size=size, stem=stem, channels=(3, 2), refine=(False, True))
    layers, features = convolutions(config)
    assert layers(torch.zeros(1, 1, size[1], size[0])).numel() == features


@pytest.mark.parametrize(
    "size", [(480, 640), (0, 0), (237, 316), (126, 168), (-3, -4), (60, 60), (240, 319)]
)
def test_pictures_that_are_no_whole_part_of_those_in_the_store_are_refused(size):
    with pytest.raises(ConfigError, match="240x320 divided by a whole number"):
        resolve("paper", [f"network.input_size={list(size)}"])
    with pytest.raises(ConfigError, match="larger than the pictures"):
        resolve("paper", ["network.input_size=[15,20]", "network.stem=[16,16]"])
    assert resolve("paper", ["network.input_size=[48,64]"]).network.input_size == (48, 64)


def test_whitening_is_the_mean_and_deviation_of_all_pixels():
    luma = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (300, 20, 15), dtype=np.uint8)
    )
    whitening = compute_whitening(luma)
    reference = luma.double()
    assert whitening.mean == pytest.approx(reference.mean().item())
    assert whitening.deviation == pytest.approx(reference.std(correction=0).item())
    white = whitening(luma)
    assert white.mean().item() == pytest.approx(0, abs=1e-4)
    assert white.std().item() == pytest.approx(1, abs=1e-3)


def identity(images):
    zeros, ones = torch.zeros(images), torch.ones(images)
    names = ("translation_x", "translation_y", "angle", "brightness")
    return dict.fromkeys(names, zeros) | {"zoom": ones, "contrast": ones}


def test_without_strength_augmentation_changes_nothing():
    luma = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 32, 24), dtype=np.uint8))
    draws = draw(4, AugmentationConfig(), 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(augment(luma, draws, 100.0), luma.float(), atol=1e-2, rtol=0)


def test_translation_and_tone_are_as_stated():
    luma = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 32, 24), dtype=np.uint8))
    moved = augment(luma, Draws(**identity(1) | {"translation_x": torch.tensor([3 / 24])}), 0.0)
    torch.testing.assert_close(moved[:, :, 3:], luma[:, :, :-3].float(), atol=1e-2, rtol=0)
    moved = augment(luma, Draws(**identity(1) | {"translation_y": torch.tensor([2 / 24])}), 0.0)
    torch.testing.assert_close(moved[:, 2:], luma[:, :-2].float(), atol=1e-2, rtol=0)
    toned = Draws(
        **identity(1) | {"contrast": torch.tensor([1.5]), "brightness": torch.tensor([7.0])}
    )
    torch.testing.assert_close(
        augment(luma, toned, 100.0), (luma.float() - 100) * 1.5 + 107, atol=2e-2, rtol=0
    )


def test_a_quarter_turn_is_a_quarter_turn_in_pixels_not_in_parts_of_the_axes():
    luma = torch.zeros(1, 41, 31, dtype=torch.uint8)
    luma[0, 20, 25] = 200  # ten pixels right of the centre
    turned = augment(luma, Draws(**identity(1) | {"angle": torch.tensor([torch.pi / 2])}), 0.0)
    y, x = divmod(int(turned[0].argmax()), 31)
    assert (abs(y - 20), x) == (10, 15)
    assert turned.max() > 150


def test_zoom_enlarges():
    luma = torch.zeros(1, 40, 30, dtype=torch.uint8)
    luma[0, 15:25, 10:20] = 255
    area = [
        (augment(luma, Draws(**identity(1) | {"zoom": torch.tensor([z])}), 0.0) > 127).sum().item()
        for z in (1.0, 1.5)
    ]
    assert area[1] / area[0] == pytest.approx(2.25, rel=0.2)


def test_shrink_is_the_area_mean():
    luma = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (3, 320, 240), dtype=np.uint8)
    )
    small = shrink(luma, (120, 160)).double()
    reference = luma.double().reshape(3, 160, 2, 120, 2).mean((2, 4))
    assert (small - reference).abs().max() <= 0.5
