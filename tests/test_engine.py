"""Engines against the network in float64, in 16 bits, for several cameras, and in lanes."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from facecap_core.learning import model as models
from facecap_core.learning import prepared_layers
from facecap_core.learning.area_mean import area_mean
from facecap_core.learning.engine import Engine, Pictures
from facecap_core.learning.lanes import Lanes
from facecap_core.learning.model import Model
from facecap_core.learning.network import shrink
from facecap_core.learning.networks import build_network, to_device
from facecap_core.learning.presets import resolve
from facecap_core.learning.whitening import Whitening

CPU = torch.device("cpu")
VERTICES = 40


def made_model(*settings, cameras=("center",), preset="cpu", units="cm", whitening=None):
    """A model that was never trained, of positions of some centimetres."""
    config = resolve(preset, settings)
    torch.manual_seed(0)
    network = build_network(config.network, 3 * VERTICES, len(cameras))
    with torch.no_grad():
        network.output.bias.normal_(0, 5)
    network.eval().requires_grad_(False)
    to_device(network, CPU)
    whitened = [whitening or Whitening(100.0 + 9 * view, 40.0) for view in range(len(cameras))]
    return Model(network, config, tuple(whitened), CPU, {"cameras": cameras, "units": units})


def pictures(frames, views=1, seed=0):
    """uint8 [frame, view, y, x]"""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (frames, views, 320, 240), dtype=np.uint8)


def reference(model, luma, views=None):
    """The network's layers one by one in float64, positions [frame, vertex, xyz] in the model's units."""
    network = copy.deepcopy(model.network).double()
    views = range(luma.shape[1]) if views is None else views
    trunks = network.features if len(model.cameras) > 1 else [network.features]
    features = []
    for place, view in enumerate(views):
        small = shrink(torch.from_numpy(luma[:, place]), model.config.network.input_size).double()
        one = model.whitening[view]
        features.append(trunks[view](((small - one.mean) / one.deviation)[:, None]).flatten(1))
    fc = network.fc if len(model.cameras) == 1 else network.fc["-".join(map(str, views))]
    positions = network.output(fc(torch.cat(features, 1)))
    return positions.reshape(len(luma), -1, 3).numpy() * {"cm": 1, "mm": 10}[model.facts["units"]]


def solved_in_float32(model, luma, views=None):
    """positions [frame, vertex, xyz] by the engine, also where the processor would take bfloat16."""
    return model.engine(range(luma.shape[1]) if views is None else views).start(luma)()


@pytest.mark.parametrize("units", ["cm", "mm"])
def test_solved_is_what_float64_gives(units):
    model, luma = made_model(units=units), pictures(5)
    solved = solved_in_float32(model, luma)
    assert solved.dtype == np.float32
    np.testing.assert_allclose(solved, reference(model, luma), rtol=3e-6, atol=1e-6)


def test_a_large_network_is_taken_in_parts(monkeypatch):
    # The first layer's output is 154 kB a picture.
    monkeypatch.setattr(prepared_layers, "ACTIVATION_BYTES", 3 * 160_000)
    model, luma = made_model(), pictures(7)
    found = solved_in_float32(model, luma)
    np.testing.assert_allclose(found, reference(model, luma), rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize("views", [(0, 1), (0,), (1,)])
def test_each_set_of_cameras_has_its_own_layer(views):
    model = made_model("network.view_dropout=0.5", cameras=("center", "left"))
    luma = pictures(3, len(views))
    found = solved_in_float32(model, luma, views)
    np.testing.assert_allclose(found, reference(model, luma, views), rtol=3e-6, atol=1e-6)


def test_lanes_give_every_batch_its_own_result():
    model = made_model()
    engine = model.engine((0,))
    lanes = Lanes(engine)
    batches = [pictures(frames, seed=frames) for frames in (4, 4, 4, 1, 6)]  # padded, made anew
    results = [lanes.start(batch) for batch in batches]
    for batch, result in zip(batches, results, strict=True):
        # A kernel may add up a padded batch in another order; batches differ by far more.
        np.testing.assert_allclose(result(), engine.start(batch)(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_16_bits_cost_little_and_are_said(half):
    model, luma = made_model(), pictures(4)
    engine = model.engine((0,), half)
    off_mm = 10 * np.sqrt(np.square(engine.start(luma)() - reference(model, luma)).sum(-1)).max()
    assert 0 < off_mm < 0.3
    assert engine.name.endswith({torch.float16: "fp16", torch.bfloat16: "bf16"}[half])


def test_16_bits_are_taken_where_they_cost_less_than_allowed(monkeypatch):
    monkeypatch.setattr(models, "half_type", lambda device: torch.float16)
    luma = pictures(3)
    assert made_model().solver(luma).name.endswith("fp16")
    monkeypatch.setattr(models, "MOST_ERROR_MM", 1e-6)
    assert made_model().solver(luma).name.endswith("fp32")


@pytest.mark.filterwarnings("error")
def test_16_bits_are_refused_where_they_overflow(monkeypatch):
    monkeypatch.setattr(models, "half_type", lambda device: torch.float16)
    model, damaged = made_model(), made_model()
    with torch.no_grad():
        model.network.features[0].weight.mul_(1e6)
        damaged.network.output.bias.fill_(torch.inf)  # inf - inf is no number, which is no news
    assert model.solver(pictures(2)).name.endswith("fp32")
    assert damaged.solver(pictures(2)).name.endswith("fp32")


@pytest.mark.parametrize("size", [(60, 80), (120, 160), (240, 320)])
def test_the_area_mean_is_that_of_training(size):
    levels = torch.from_numpy(pictures(66)[:, 0])
    levels[0], levels[1] = 255, 0
    levels[2].view(80, 4, 60, 4)[:, 0, :, :] = (
        1  # a quarter of 1 and the rest 0 or 4: halves to even
    )
    levels[2].view(80, 4, 60, 4)[:, 1:, :, :2] = 0
    levels[2].view(80, 4, 60, 4)[:, 1:, :, 2:] = 2
    assert torch.equal(area_mean(levels, size), shrink(levels, size))
    assert torch.equal(area_mean(levels[1:3], size), shrink(levels[1:3], size))


def test_each_pictures_own_whitening_goes_through():
    own = Whitening(0.0, 1.0, per_image=True)
    model, luma = made_model(whitening=own), pictures(3)
    small = shrink(torch.from_numpy(luma[:, 0]), (60, 80))
    with torch.inference_mode():
        expected = model.network(own(small)[:, None]).reshape(3, -1, 3).numpy()
    np.testing.assert_allclose(solved_in_float32(model, luma), expected, rtol=1e-5, atol=1e-5)


def test_an_engine_says_what_it_is():
    model = replace(made_model(), _engines={})
    assert model.solver(pictures(1)).name in ("oneDNN fp32", "oneDNN bf16", "torch fp32")
    given = Pictures((60, 80), (0,), model.whitening)
    assert Engine(model.network, given, CPU).half is None
