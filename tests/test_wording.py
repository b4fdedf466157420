"""Wording: how times, figures and the training set are written on a page."""

from __future__ import annotations

from fractions import Fraction

import pytest

from facecap_core.reports.model_tables import composition_rows
from facecap_core.reports.wording import duration, figure
from facecap_core.timecode import timecode


def test_timecodes_count_frames():
    for fps, rate in ((Fraction(30), 30), (Fraction(30000, 1001), 30), (Fraction(24), 24)):
        seen = [timecode(frame, fps) for frame in range(0, 4000 * rate, 7)]
        for frame, text in zip(range(0, 4000 * rate, 7), seen, strict=True):
            hours, minutes, seconds, rest = (int(part) for part in text.split(":"))
            assert ((hours * 60 + minutes) * 60 + seconds) * rate + rest == frame
            assert max(minutes, seconds) < 60
            assert rest < rate


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (29700, "8.2 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_composition_counts_every_training_shot_once():
    shots = {"a": 1800, "b": 900, "c": 3600, "d": 1800}
    facts = {"actor": "ada", "training": {"shots": {s: {"frames": n} for s, n in shots.items()}}}
    rows = composition_rows(facts, {"a": "rom", "b": "rom", "c": "own"}, Fraction(30))
    by_name = {row["name"]: (row["shots"], row["frames"], row["minutes"]) for row in rows}
    assert by_name["rom"] == (2, 2700, 1.5)
    assert by_name["own"] == (1, 3600, 2.0)
    assert by_name["no category"] == (1, 1800, 1.0)
    assert by_name["in-character"] == (0, 0, 0.0)
    assert by_name["all"] == (4, 8100, 4.5)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (-0.0002, "0.000"), (-1.5, "-1.500"), (float("nan"), "–")],
)
def test_figures_have_three_decimals(value, text):
    assert figure(value) == text
