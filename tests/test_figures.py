"""Figures: scales that can be read, and the losses of two kinds of network in their charts."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from matplotlib.image import imread

from facecap_core.errors import ModelError
from facecap_core.evaluation.clips import Clip
from facecap_core.learning.rmse import rmse_mm_of_loss
from facecap_core.rasteriser import framing_camera
from facecap_core.reports.comparison import MeshPictures, moving_face
from facecap_core.reports.convergence import (
    EpochRow,
    Level,
    convergence,
    final_validation_cm2,
    losses_cm2,
    read_epochs,
    rmse_mm_of_losses,
)
from facecap_core.reports.convergence_figures import newest_of_kind
from facecap_core.reports.figures import error_colours, jpeg, scale_top_mm


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


def write_model(folder, name, kind, date, *, shots=("a", "b"), targets="original", **files):
    facts = {
        "schema_version": 1,
        "config": {"network": {"kind": kind}, "targets": targets},
        "validation": {"shots": {shot: {} for shot in shots}},
        "training": {"fingerprints": {"a": {"footage": "f", "cache": "c"} | files}},
        "made": {"date": date},
    }
    (folder / name).mkdir(parents=True)
    (folder / name / "model.json").write_text(json.dumps(facts))
    return facts


def test_figure_9_takes_the_newest_model_that_was_validated_alike(tmp_path):
    """A loss on other shots, or against other targets, is no line to hold a run against."""
    like = write_model(tmp_path, "conv", "convolutional", "2026-01-09")
    write_model(tmp_path, "old", "fully-connected", "2026-01-01")
    write_model(tmp_path, "new", "fully-connected", "2026-01-02", footage="of another camera")
    write_model(tmp_path, "shots", "fully-connected", "2026-01-03", shots=("a",))
    write_model(tmp_path, "targets", "fully-connected", "2026-01-03", targets="stabilised")
    write_model(tmp_path, "tracked", "fully-connected", "2026-01-03", cache="again")
    write_model(tmp_path, ".staged", "fully-connected", "2026-01-04")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text("{")
    assert newest_of_kind(tmp_path, "fully-connected", like) == tmp_path / "new"
    del like["config"]["network"]["kind"]  # as older models are
    assert newest_of_kind(tmp_path, "convolutional", like) == tmp_path / "conv"
    assert newest_of_kind(tmp_path / "none", "convolutional", like) is None


def test_levels_are_drawn_and_named():
    rows = [EpochRow(1, 0.02, None), EpochRow(2, 0.01, 0.012), EpochRow(3, 0.005, None)]
    assert final_validation_cm2(rows) == 0.012
    assert final_validation_cm2(rows[:1]) is None
    chart = convergence(rows, [Level("conv", 0.004, (6, 3)), Level("floor", 1e-9)])
    assert "conv" in chart
    assert "floor (below)" in chart
    assert "stroke-dasharray" in chart


def test_damaged_metrics_are_a_model_error(tmp_path):
    with pytest.raises(ModelError, match=r"metrics\.jsonl.*damaged"):
        read_epochs(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(ModelError, match="training_loss_cm2"):
        read_epochs(tmp_path)


def test_each_view_of_the_moving_face_has_its_own_name():
    triangle = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], dtype=np.float32)
    luma, none = np.full((1, 2, 320, 240), 90, dtype=np.uint8), np.zeros((1, 3), dtype=np.float32)
    clip = Clip("shot", 0, luma, triangle, triangle, none, np.ones(1), start_frame=0)
    pictures = MeshPictures(
        np.array([[0, 1, 2]]),
        camera=framing_camera(triangle, 0.75),
        size=(120, 160),
        highest_mm=1.0,
        supersample=1,
    )

    def names(*views):
        head = next(moving_face(clip, pictures, views))[:-160]
        return head[-26:, :120], head[-26:, 120:240]

    center, left = names("center", "left")
    assert (center < 128).any()
    assert (left < 128).any()
    assert not np.array_equal(center, left)
    again, same = names("center", "center")
    assert np.array_equal(again, center)
    assert np.array_equal(same, center)
