"""Schedules against the formulas of Section 4.2, at every epoch."""

from __future__ import annotations

import itertools
import math

import pytest

from facecap_core.errors import ConfigError
from facecap_core.learning.config import LossConfig
from facecap_core.learning.presets import resolve
from facecap_core.learning.schedule import augmentation_strength, beta1, learning_rate

PAPER = resolve("paper")


def test_the_paper_preset_is_what_the_paper_says():
    """Sections 3.1 and 4.2, number by number; what the paper tried and left is off."""
    network, optimizer = PAPER.network, PAPER.optimizer
    assert (network.input_size, network.components, network.dropout) == ((240, 320), 160, 0.2)
    assert (network.output_start, network.train_output, network.basis_scale) == (
        "pca",
        True,
        "orthonormal",
    )
    assert (PAPER.batch, PAPER.schedule.epochs, PAPER.whitening) == (50, 200, "training")
    assert (PAPER.schedule.rampup_epochs, PAPER.schedule.rampdown_epochs) == (1, 30)
    assert (PAPER.schedule.beta1, PAPER.schedule.final_beta1) == (0.9, 0.5)
    # Kingma and Ba recommend these.
    assert (optimizer.kind, optimizer.beta2, optimizer.epsilon) == ("adam", 0.999, 1e-8)
    assert PAPER.schedule.learning_rate == 1e-3
    assert (optimizer.weight_decay, optimizer.average) == (0, 0)
    assert PAPER.augmentation.ramp_epochs == 5
    rejected = PAPER.augmentation.noise, PAPER.augmentation.gamma, PAPER.augmentation.perspective
    assert rejected == (0, 0, 0)
    assert PAPER.loss == LossConfig()
    assert (PAPER.targets, PAPER.stabilised_input) == ("original", False)


@pytest.mark.parametrize("preset", ["paper", "fast", "cpu", "demo"])
def test_the_fully_connected_network_is_appendix_bs_in_every_preset(preset):
    config = resolve(preset, network="fully-connected")
    network = config.network
    assert (network.kind, network.image_components, network.hidden) == (
        "fully-connected",
        3000,
        (2000, 1000),
    )
    assert (network.dropout, config.optimizer.kind) == (0.2, "adam")
    still = config.augmentation
    assert (still.translation, still.rotation_degrees, still.zoom) == (0, 0, 0)
    assert still.brightness > 0


@pytest.mark.parametrize("epoch", range(1, 201))
def test_the_paper_schedule_is_its_formula(epoch):
    ramp = 0.0 if epoch < 170 else 0.5 * (1 - math.cos(math.pi * (epoch - 170) / 30))
    assert learning_rate(epoch, PAPER.schedule) == pytest.approx(
        1e-3 / math.sqrt(epoch) * (1 - ramp)
    )
    assert beta1(epoch, PAPER.schedule) == pytest.approx(0.9 - 0.4 * ramp)
    assert augmentation_strength(epoch, PAPER.augmentation) == pytest.approx(min(1, epoch / 5))


def test_the_first_epoch_rises_geometrically():
    rates = [learning_rate(i / 10, PAPER.schedule) for i in range(11)]
    ratios = [after / before for before, after in itertools.pairwise(rates)]
    assert ratios == pytest.approx([ratios[0]] * 10)
    assert rates[0] == pytest.approx(1e-6)
    assert rates[-1] == pytest.approx(1e-3)


def test_the_run_ends_at_zero_and_starts_unaugmented():
    for preset in ("paper", "fast", "cpu", "demo"):
        config = resolve(preset)
        assert learning_rate(config.schedule.epochs, config.schedule) == pytest.approx(0, abs=1e-12)
        assert augmentation_strength(0, config.augmentation) == 0


def test_of_two_to_four_cameras_some_may_be_missing_if_not_told_otherwise():
    def dropout(cameras, *overrides):
        return resolve("cpu", overrides, cameras=cameras).network.view_dropout

    assert [dropout(count) > 0 for count in (1, 2, 3, 4, 5)] == [False, True, True, True, False]
    assert dropout(2, "network.view_dropout=0") == 0
    assert resolve("cpu", cameras=1) == resolve("cpu"), "trainings of one camera keep their names"


def test_overrides_are_checked_together():
    config = resolve("paper", ["schedule.epochs=3", "network.dropout=0", "seed=7"])
    assert (config.schedule.epochs, config.network.dropout, config.seed) == (3, 0, 7)
    with pytest.raises(ConfigError) as caught:
        resolve("paper", ["network.dropuot=0", "batch"])
    assert "did you mean network.dropout" in str(caught.value)
    assert "KEY=VALUE" in str(caught.value)
    with pytest.raises(ConfigError, match="less than"):
        resolve("paper", ["network.dropout=1.5"])
    with pytest.raises(ConfigError, match="paper, fast"):
        resolve("papre")


@pytest.mark.parametrize(
    "override",
    [
        "loss.motion=Infinity",  # JSON of a request has no such number
        "schedule.learning_rate=Infinity",
        "schedule.rampup_epochs=NaN",
        "network.channels=[32,0,80,112]",
        "network.channels=[32,-48,80,112]",
        "network.hidden=[2000,0]",
    ],
)
def test_what_is_no_size_or_no_number_is_refused(override):
    with pytest.raises(ConfigError, match=override.partition("=")[0]):
        resolve("cpu", [override])
