"""Run: a step of a training is the gradient of its loss, at the rates of its schedule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_training import VERTICES, config, examples

from facecap_core.learning.examples import Examples
from facecap_core.learning.model import autocast
from facecap_core.learning.run import Run
from facecap_core.learning.schedule import beta1, learning_rate

CPU = torch.device("cpu")
STILL = {"ramp_epochs": 2}  # the first step is not augmented


def made(settings, shots=(("a", 50), ("b", 1), ("c", 69))):
    data = examples(120, 0)
    run = Run(Examples(data.luma, data.positions, shots), None, settings, np.arange(VERTICES), CPU)
    run.network.train()
    return run


def without_dropout(train_output=True, **changes):
    network = config().network.model_dump() | {"dropout": 0.0, "train_output": train_output}
    return config(network=network, augmentation=STILL, **changes)


@pytest.mark.parametrize("part", [0.25, 1.0])
def test_a_step_for_motion_learns_from_frames_and_their_neighbours(part):
    run = made(without_dropout(loss={"motion": 3.0, "motion_part": part}, batch=30))
    indices = run.order.batch(0, 30)
    pairs = round(30 * part)
    ends = {49: 48, 50: 50, 119: 118}  # the last frames of shots; one of them has no other
    beside = torch.tensor([ends.get(i, i + 1) for i in indices[:pairs].tolist()])
    frames = torch.cat([indices, beside])
    images = run.whitening[0](run.training.luma[frames, 0])[:, None]
    target = run.training.positions[frames]
    with autocast(CPU):
        wrong = run.network(images) - target
    loss = wrong.square().mean() + 3 * (wrong[30:] - wrong[:pairs]).square().mean()
    wanted = torch.autograd.grad(loss, list(run.network.parameters()))
    told = run.step(0)
    assert told.item() == pytest.approx(wrong[:30].square().mean().item(), rel=1e-3)
    for parameter, gradient in zip(run.network.parameters(), wanted, strict=True):
        apart = (parameter.grad - gradient).norm()
        assert apart < 0.02 * gradient.norm() + 1e-9  # bfloat16 adds up in other orders


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_the_optimizers_have_the_rates_of_the_schedule_at_every_step(kind):
    schedule = {"kind": "paper", "epochs": 6, "rampdown_epochs": 4, "learning_rate": 2e-3}
    run = made(without_dropout(schedule=schedule, optimizer={"kind": kind}, batch=40))
    seen = set()
    for step in range(run.steps):
        run.step(step)
        epoch, settings = step * 40 / 120, run.config.schedule
        rate = learning_rate(epoch, settings)
        groups = [group for optimizer in run.optimizers for group in optimizer.param_groups]
        (adam,) = (group for group in groups if "betas" in group)
        assert adam["lr"] == pytest.approx(rate)
        assert adam["betas"] == (pytest.approx(beta1(epoch, settings)), 0.999)
        seen.add(round(adam["betas"][0], 3))
        for group in groups:
            if group is not adam:  # Muon rises and falls alike, about a peak of its own
                assert group["lr"] == pytest.approx(0.02 * rate / 2e-3)
        learned = sum(len(group["params"]) for group in groups)
        assert learned == len(list(run.network.parameters()))
    assert run.steps == 18
    assert {0.9, 0.7} <= seen


def test_a_fixed_output_layer_stays_as_it_starts():
    run = made(without_dropout(train_output=False))
    output = run.network.output
    weight, bias, inner = (
        p.detach().clone() for p in (output.weight, output.bias, run.network.fc.weight)
    )
    for step in range(3):
        run.step(step)
    assert torch.equal(output.weight, weight)
    assert torch.equal(output.bias, bias)
    assert not torch.equal(run.network.fc.weight, inner)
