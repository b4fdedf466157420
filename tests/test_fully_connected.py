"""Fully connected network against the table of Appendix B and a float64 reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from facecap_core.learning.basis import compute_basis
from facecap_core.learning.config import NetworkConfig
from facecap_core.learning.fully_connected import FullyConnected
from facecap_core.learning.image_basis import compute_image_basis
from facecap_core.learning.networks import parameter_count
from facecap_core.learning.presets import resolve
from facecap_core.learning.whitening import compute_whitening

OUTPUTS = 30


def small(**settings):
    values = {"kind": "fully-connected", "input_size": (30, 40), "image_components": 50}
    return NetworkConfig(**values | {"hidden": (400, 300), "components": 20} | settings)


@pytest.fixture(scope="module")
def images():
    """uint8 [frame, y, x] of smooth patterns."""
    rng = np.random.default_rng(0)
    patterns = rng.normal(size=(70, 40, 30)) * (60 * 0.9 ** np.arange(70))[:, None, None]
    levels = 120 + np.einsum("fr,ryx->fyx", rng.normal(size=(300, 70)), patterns) / 5
    return torch.from_numpy(levels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def white(images):
    return compute_whitening(images)(images)[:, None]


@pytest.fixture(scope="module")
def meshes():
    return torch.randn(300, OUTPUTS, generator=torch.Generator().manual_seed(1)) + 4


def trained_shape(config, images, meshes, seed=2):
    network = FullyConnected(config, OUTPUTS)
    network.initialise(config, compute_basis(meshes, config.components), seed)
    whitening = compute_whitening(images)
    network.set_inputs(compute_image_basis(images, whitening, config.image_components))
    return network.eval()


def test_the_layers_and_parameters_are_those_of_the_papers_table():
    config = resolve("paper", ["network.kind=fully-connected"]).network
    with torch.device("meta"):  # the image basis of the paper's size takes 0.9 GB
        network = FullyConnected(config, 15000)
    layers = [(m.in_features, m.out_features) for m in network.children() if hasattr(m, "weight")]
    assert layers == [(3000, 2000), (2000, 1000), (1000, 160), (160, 15000)]
    assert (network.drop1.p, network.drop2.p) == (0.2, 0.2)
    assert network.image_components.shape == (3000, 240 * 320)
    counts = (3000 + 1) * 2000, (2000 + 1) * 1000, (1000 + 1) * 160, (160 + 1) * 15000
    assert parameter_count(network) == sum(counts) == 10_578_160


def test_it_computes_what_the_table_says(images, white, meshes):
    network = trained_shape(small(), images, meshes)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(white)
    assert found.dtype == torch.float32
    w = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    x = white.double().flatten(1).numpy() - w["image_mean"]
    x = x @ w["image_components"].T
    x = np.maximum(x @ w["fc1.weight"].T + w["fc1.bias"], 0)
    x = np.tanh(x @ w["fc2.weight"].T + w["fc2.bias"])
    x = x @ w["fc3.weight"].T + w["fc3.bias"]
    reference = x @ w["output.weight"].T + w["output.bias"]
    np.testing.assert_allclose(found.numpy(), reference, atol=2e-5)


def test_both_dropouts_act_in_training_only(images, white, meshes):
    network = trained_shape(small(dropout=0.5), images, meshes)
    assert torch.equal(network(white), network(white))
    network.train()
    for kept, dropped in (("drop1", "drop2"), ("drop2", "drop1")):
        getattr(network, kept).p, getattr(network, dropped).p = 0.0, 0.5
        assert not torch.allclose(network(white), network(white))


def test_its_inputs_are_the_coefficients_under_one_factor(images, white, meshes):
    config = small()
    network = trained_shape(config, images, meshes)
    basis = compute_image_basis(images, compute_whitening(images), config.image_components)
    inputs = (white.flatten(1) - network.image_mean) @ network.image_components.T
    assert inputs.square().mean().item() == pytest.approx(1, rel=1e-3)
    torch.testing.assert_close(inputs.mean(0), torch.zeros(50), atol=1e-3, rtol=0)
    factors = basis.deviation / inputs.std(0, correction=0)
    torch.testing.assert_close(factors, factors[:1].expand(50), rtol=1e-3, atol=0)


def test_he_initialisation_keeps_the_size_of_signals(images, white, meshes):
    network = trained_shape(small(), images, meshes)
    with torch.no_grad():
        inputs = (white.flatten(1) - network.image_mean) @ network.image_components.T
        hidden = torch.relu(network.fc1(inputs))
        assert hidden.square().mean().item() == pytest.approx(1, rel=0.2)
        assert network.fc2(hidden).square().mean().item() == pytest.approx(1, rel=0.2)


def test_fewer_images_than_components_leave_inputs_without_effect(images, white, meshes):
    network = trained_shape(small(image_components=500), images, meshes)
    assert network.image_components[299:].abs().max() == 0
    inputs = (white.flatten(1) - network.image_mean) @ network.image_components.T
    assert inputs.square().mean().item() == pytest.approx(1, rel=1e-3)
    assert torch.isfinite(network(white)).all()


@pytest.mark.parametrize("train_output", [True, False])
def test_the_output_layer_starts_as_the_convolutional_networks(meshes, images, train_output):
    config = small(train_output=train_output, basis_scale="orthonormal")
    network = trained_shape(config, images, meshes)
    basis = compute_basis(meshes, 20)
    torch.testing.assert_close(network.output.weight, basis.components.T)
    torch.testing.assert_close(network.output.bias, basis.mean)
    assert {p.requires_grad for p in network.output.parameters()} == {train_output}
    assert all(p.requires_grad for p in network.fc1.parameters())


def test_a_random_output_layer_knows_no_shapes(meshes, images):
    weights = [
        trained_shape(small(output_start="random"), images, meshes, seed).output.weight
        for seed in (1, 1, 2)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.allclose(weights[0], weights[2])


def test_the_image_basis_is_saved_but_not_learned(images, white, meshes):
    network = trained_shape(small(), images, meshes)
    learned = {name for name, _ in network.named_parameters()}
    assert not any(name.startswith("image_") for name in learned)
    again = FullyConnected(small(), OUTPUTS)
    again.load_state_dict(load(save(network.state_dict())))
    assert torch.equal(again.eval()(white), network(white))


def test_it_learns_expressions_that_change_the_image(images, white):
    """Meshes that follow from the image by a linear rule: nine tenths of their variance within some steps."""
    rule = torch.randn(1200, OUTPUTS, generator=torch.Generator().manual_seed(4)) / 1200**0.5
    meshes = white.flatten(1) @ rule
    network = trained_shape(small(dropout=0.0), images, meshes)
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(60):
        loss = torch.nn.functional.mse_loss(network(white), meshes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 * meshes.var(0).mean().item()
