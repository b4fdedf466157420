"""Validation and figures: the frames that are pointed out, the lively clip, and scales that can be read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from facecap_core.errors import StoreError
from facecap_core.learning.evaluation import rmse_mm_of_loss
from facecap_core.reports.figures import (
    error_colours,
    jpeg,
    losses_cm2,
    rmse_mm_of_losses,
    scale_top_mm,
)
from facecap_core.reports.validation import ShotErrors, liveliest, telling_frames


def shots(seed, *lengths):
    rng = np.random.default_rng(seed)
    return [
        ShotErrors(f"s{i}", rng.gamma(2, 0.3, length), rng.gamma(1, 1, length))
        for i, length in enumerate(lengths)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_telling_frames_are_extreme_and_apart(seed):
    given = shots(seed, 200, 90, 130)
    errors = {s.shot: s.rmse_mm for s in given}
    every = np.concatenate(list(errors.values()))
    marks = telling_frames(given, apart=30)
    assert [m.kind for m in marks] == ["best", "median", "median", "worst", "worst", "worst"]
    assert all(m.rmse_mm == errors[m.shot][m.frame] for m in marks)
    assert marks[0].rmse_mm == every.min()
    assert marks[3].rmse_mm == every.max()
    assert abs(marks[1].rmse_mm - np.median(every)) == np.abs(every - np.median(every)).min()
    for a in marks:
        for b in marks:
            if a is not b and a.kind == b.kind and a.shot == b.shot:
                assert abs(a.frame - b.frame) >= 30


def test_telling_frames_of_few_are_none_twice():
    for length in (1, 2, 5):
        marks = telling_frames(shots(1, length), apart=1)
        assert len({(m.shot, m.frame) for m in marks}) == len(marks) == min(length, 6)
    assert len(telling_frames(shots(1, 10), apart=30)) == 3  # one of each kind fits


@pytest.mark.parametrize("seed", range(5))
def test_liveliest_is_the_best_of_all_windows(seed):
    given = shots(seed, 40, 70, 55)
    shot, start, stop = liveliest(given, 25)
    motion = {s.shot: s.motion_mm for s in given}
    assert stop - start == 25
    sums = [m[i : i + 25].sum() for m in motion.values() for i in range(len(m) - 24)]
    assert motion[shot][start:stop].sum() == pytest.approx(max(sums))


def test_liveliest_takes_short_shots_whole():
    assert liveliest(shots(0, 8), 100) == ("s0", 0, 8)
    with pytest.raises(StoreError):
        liveliest([], 10)


def test_loss_axis_is_the_paper_s():
    losses = np.array([0.0028, 1e-4, 0.5])
    assert rmse_mm_of_losses(losses) == pytest.approx([rmse_mm_of_loss(v) for v in losses])
    assert losses_cm2(rmse_mm_of_losses(losses)) == pytest.approx(losses)
    assert round(float(rmse_mm_of_losses(0.0028)), 2) == 0.92


def test_loss_axis_counts_the_animated_vertices_only():
    rng = np.random.default_rng(3)
    apart_cm = rng.normal(size=(5, 40, 3)) * (np.arange(40) < 30)[:, None]  # 30 of 40 err
    rmse_mm = 10 * np.sqrt((apart_cm[:, :30] ** 2).sum(2).mean())
    assert rmse_mm_of_losses((apart_cm**2).mean(), 0.75) == pytest.approx(rmse_mm)
    assert losses_cm2(rmse_mm, 0.75) == pytest.approx((apart_cm**2).mean())


def test_heat_map_darkens_steadily():
    colours = error_colours(np.linspace(0, 5, 200), 5.0)
    light = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert np.all(
        np.diff(light) < 1e-3
    )  # so that it reads in gray print and with any colour vision
    assert light[0] - light[-1] > 0.8
    assert np.array_equal(error_colours(np.array([7.0]), 5.0), colours[-1:])


@pytest.mark.parametrize("rmse_mm", [0.004, 0.13, 0.4, 0.92, 1.85, 30.0])
def test_scale_is_round_and_about_four_times_the_error(rmse_mm):
    top = scale_top_mm(rmse_mm)
    assert 4 * rmse_mm <= top <= 8.001 * rmse_mm
    assert float(f"{top:.1g}") == top


def test_jpeg_keeps_gray_gray():
    gray = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    back = imread(io.BytesIO(jpeg(gray)), format="jpg")
    assert back.shape == (48, 64, 3)
    assert np.abs(back.astype(int) - gray[..., None]).max() < 12
