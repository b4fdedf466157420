"""Schedules against the formulas of Section 4.2, at every epoch."""

from __future__ import annotations

import itertools
import math

import pytest

from facecap_core.errors import ConfigError
from facecap_core.learning.presets import resolve
from facecap_core.learning.schedule import augmentation_strength, beta1, learning_rate

PAPER = resolve("paper")


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
