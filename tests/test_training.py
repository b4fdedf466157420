"""Training: it converges, a seed decides it, and a killed run ends with the bits of an undisturbed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from facecap_core.errors import Cancelled, ModelError, TrainingError
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.examples import Examples
from facecap_core.learning.model import MOST_ERROR_MM, load_model
from facecap_core.learning.muon import orthogonalised
from facecap_core.learning.presets import resolve
from facecap_core.learning.training import train
from facecap_core.regions import FaceRegions

VERTICES = 30


def examples(frames, seed, size=(30, 40)):
    """A bright square whose place, a smooth function of time, moves a mesh."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6.28, 2)
    t = np.arange(frames)[:, None] / 7.0
    place = np.sin(t * [1.0, 1.37] + phase)  # [frame, xy]
    width, height = size
    x = np.arange(width) - (width / 2 + 8 * place[:, :1])
    y = np.arange(height) - (height / 2 + 8 * place[:, 1:])
    luma = 40 + 180 * np.exp(-(x[:, None, :] ** 2 + y[:, :, None] ** 2) / 20)
    luma += rng.normal(0, 2, luma.shape)
    shapes = np.random.default_rng(99).normal(size=(2, 3 * VERTICES))
    positions = place @ shapes * 0.3 + np.random.default_rng(98).normal(size=3 * VERTICES)
    return Examples(
        torch.from_numpy(luma.clip(0, 255).astype(np.uint8))[:, None],
        torch.from_numpy(positions).float(),
        ((f"shot{seed}", frames),),
    )


def config(epochs=3, **changes) -> TrainConfig:
    values = {
        "preset": "test",
        "batch": 16,
        "network": {
            "input_size": (30, 40),
            "channels": (16, 24, 32),
            "refine": (False, True, False),
            "components": 4,
        },
        "schedule": {"kind": "cosine", "epochs": epochs, "learning_rate": 4e-3},
        "augmentation": {"translation": 0.01, "rotation_degrees": 1, "zoom": 0.0},
        "optimizer": {"average": 0.9},
    }
    return TrainConfig.model_validate(values | changes)


FULLY_CONNECTED = {
    "kind": "fully-connected",
    "input_size": (30, 40),
    "image_components": 30,
    "hidden": (48, 32),
    "components": 4,
}


def run(folder, settings, **options):
    facts = {"actor": "square", "model": "m", "units": "cm", "cameras": ["center"]}
    return train(
        examples(120, 0),
        examples(50, 1),
        settings,
        animated=np.arange(VERTICES),
        facts=facts,
        model_directory=Path(folder) / "model",
        state_directory=Path(folder) / "state",
        device="cpu",
        threads=1,
        **options,
    )


def weights(folder):
    return load_file(Path(folder) / "model" / "weights.safetensors")


def assert_same_bits(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_it_learns_and_says_how_well(tmp_path):
    result = run(tmp_path, config(epochs=25))
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    validation = facts["validation"]
    assert result.validation_rmse_mm == validation["rmse_mm"]
    assert validation["rmse_mm"] < validation["mean_shape_rmse_mm"] / 4
    assert validation["pca_floor_rmse_mm"] < 0.01
    held = facts["architecture"]["variance_held"]
    assert held == {"meshes": pytest.approx(1, abs=1e-5)}  # two shapes, four components
    lines = [json.loads(s) for s in (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 26))
    # The history's last line and the final evaluation are two ways to the same figure.
    assert lines[-1]["validation_rmse_mm"] == pytest.approx(validation["rmse_mm"], rel=1e-3)
    model = load_model(tmp_path / "model", "cpu")
    held_back = examples(50, 1)
    # predict() takes stored frames, which for this tiny network have its own size.
    predicted = model.predict(held_back.luma.numpy())
    error = np.square(predicted.reshape(50, -1) - held_back.positions.numpy()).mean()
    # A processor with bfloat16 validates in it, and solves so few pictures in what it finds exact enough.
    assert 10 * (3 * error) ** 0.5 == pytest.approx(validation["rmse_mm"], abs=MOST_ERROR_MM)


@pytest.mark.parametrize(
    ("every", "meant"), [(0.4, [1, 2, 3, 4, 5, 6]), (1.5, [2, 3, 5, 6]), (4, [4, 6]), (9, [6])]
)
def test_it_validates_at_the_first_end_of_an_epoch_after_each_interval(tmp_path, every, meant):
    run(tmp_path, config(epochs=6, validate_every_epochs=every))
    lines = [json.loads(s) for s in (tmp_path / "model" / "metrics.jsonl").read_text().splitlines()]
    assert [x["epoch"] for x in lines if x["validation_rmse_mm"] is not None] == meant


def image_variance_held():
    """Of the training images' variance, the part in the 30 leading components: by LAPACK."""
    pixels = examples(120, 0).luma.double().flatten(1).numpy()
    sigma = np.linalg.svd(pixels - pixels.mean(0), compute_uv=False)
    return np.square(sigma[:30]).sum() / np.square(sigma).sum()


def test_the_fully_connected_network_learns_as_well_and_is_read_back(tmp_path):
    still = {"translation": 0.0, "rotation_degrees": 0.0, "zoom": 0.0}
    result = run(tmp_path, config(epochs=25, network=FULLY_CONNECTED, augmentation=still))
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    assert facts["architecture"]["kind"] == "fully-connected"
    held = facts["architecture"]["variance_held"]
    assert held["images"] == pytest.approx(image_variance_held(), abs=1e-4)
    assert result.validation_rmse_mm < facts["validation"]["mean_shape_rmse_mm"] / 2
    held_back = examples(50, 1)
    predicted = load_model(tmp_path / "model", "cpu").predict(held_back.luma.numpy())
    error = np.square(predicted.reshape(50, -1) - held_back.positions.numpy()).mean()
    assert 10 * (3 * error) ** 0.5 == pytest.approx(result.validation_rmse_mm, rel=1e-3)


@pytest.mark.parametrize("whitening", ["image", "none"])
def test_other_whitenings_are_kept_with_the_model(tmp_path, whitening):
    result = run(tmp_path, config(whitening=whitening))
    held_back = examples(50, 1)
    predicted = load_model(tmp_path / "model", "cpu").predict(held_back.luma.numpy())
    error = np.square(predicted.reshape(50, -1) - held_back.positions.numpy()).mean()
    assert 10 * (3 * error) ** 0.5 == pytest.approx(result.validation_rmse_mm, abs=MOST_ERROR_MM)


def test_a_seed_decides_the_run(tmp_path):
    run(tmp_path / "a", config())
    run(tmp_path / "b", config())
    run(tmp_path / "c", config(seed=1))
    assert_same_bits(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not torch.equal(
        weights(tmp_path / "a")["fc.weight"], weights(tmp_path / "c")["fc.weight"]
    )


KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
from test_training import config, run
calls = []
def end(progress):
    calls.append(progress)
    if len(calls) == {call}:
        os.kill(os.getpid(), 9)
run({folder!r}, config(), checkpoint_seconds=0, progress_seconds=0, on_progress=end)
"""


@pytest.mark.parametrize("call", [3, 11])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, call):
    run(tmp_path / "whole", config())
    folder = str(tmp_path / "killed")
    script = KILLED.format(tests=os.path.dirname(__file__), folder=folder, call=call)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert not (tmp_path / "killed" / "model").exists()
    assert (tmp_path / "killed" / "state" / "state.safetensors").exists()
    seen = []
    run(folder, config(), progress_seconds=0, on_progress=lambda p: seen.append(p.done))
    assert seen[0] == (call + 1) * 16  # it went on, and did not begin anew
    assert_same_bits(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    lines = (tmp_path / "killed" / "model" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert not (tmp_path / "killed" / "state" / "state.safetensors").exists()


@pytest.mark.parametrize(
    "settings",
    [
        config(optimizer={"kind": "adam", "average": 0.9}),
        config(optimizer={"kind": "muon", "average": 0.9}),
        config(loss={"motion": 2.0, "by_motion": 0.5}, augmentation={"noise": 0.05}),
        config(network=FULLY_CONNECTED, optimizer={"kind": "muon"}),
    ],
    ids=["adam", "muon", "pairs", "fully connected"],
)
def test_cancelled_and_resumed_equals_uninterrupted(tmp_path, settings):
    run(tmp_path / "whole", settings)
    with pytest.raises(Cancelled):
        run(tmp_path / "b", settings, progress_seconds=0, on_progress=lambda p: p.done < 100)
    run(tmp_path / "b", settings)
    assert_same_bits(weights(tmp_path / "whole"), weights(tmp_path / "b"))


def test_another_runs_state_is_not_resumed(tmp_path):
    with pytest.raises(Cancelled):
        run(tmp_path, config(), progress_seconds=0, on_progress=lambda p: p.done < 100)
    seen = []
    run(tmp_path, config(seed=5), progress_seconds=0, on_progress=lambda p: seen.append(p.done))
    assert seen[0] == 16


def test_other_pairs_of_lips_are_another_run(tmp_path):
    settings, seen = config(loss={"lips": 1.0}), []

    def first_step(lower, until=0):
        nothing = np.zeros((0, 2), np.int64)
        regions = FaceRegions({"rest": np.arange(VERTICES)}, np.array([[0, lower]]), nothing)
        seen.clear()
        with pytest.raises(Cancelled):
            run(
                tmp_path,
                settings,
                regions=regions,
                progress_seconds=0,
                on_progress=lambda p: bool(seen.append(p.done)) or p.done < until,
            )
        return seen[0]

    assert first_step(1, until=100) == 16
    assert first_step(1) == 128  # it went on
    assert first_step(2) == 16


def test_muons_steps_are_orthogonal():
    for shape in ((8, 30), (30, 8)):
        matrix = torch.randn(shape, generator=torch.manual_seed(1), dtype=torch.float64)
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        step = orthogonalised(matrix)
        values = torch.linalg.svdvals(step)
        assert values.min() > 0.6
        assert values.max() < 1.3
        # The same singular vectors: what is left of them after U^T X V is diagonal.
        core = left.T @ step @ right.T
        assert (core - core.diagonal().diag()).abs().max() < 1e-9


def test_a_loss_that_explodes_ends_the_run_by_name(tmp_path):
    with pytest.raises(TrainingError, match="learning_rate"):
        run(tmp_path, config(schedule={"kind": "cosine", "epochs": 5, "learning_rate": 1e18}))
    assert not (tmp_path / "model").exists()


def test_a_damaged_model_is_a_named_error(tmp_path):
    run(tmp_path, config(epochs=1))
    path = tmp_path / "model" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="damaged"):
        load_model(tmp_path / "model")
    with pytest.raises(ModelError, match="not a model"):
        load_model(tmp_path / "nothing")


def test_the_papers_preset_takes_a_step(tmp_path):
    settings = resolve("paper", ["batch=2", "schedule.epochs=1"])
    luma = torch.randint(0, 256, (2, 320, 240), dtype=torch.uint8)
    data = Examples(luma[:, None], torch.randn(2, 300), (("a", 2),))
    facts = {"actor": "a", "model": "m", "units": "cm", "cameras": ["center"]}
    result = train(
        data,
        None,
        settings,
        animated=np.arange(100),
        facts=facts,
        model_directory=tmp_path / "model",
        state_directory=tmp_path / "state",
        device="cpu",
    )
    assert np.isnan(result.validation_rmse_mm)
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    assert facts["architecture"]["parameters"] == 10_277_160 - 14_700 * 161
