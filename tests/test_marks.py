"""Marks: the frames that are pointed out, and the seconds that are shown moving."""

from __future__ import annotations

import numpy as np
import pytest

from facecap_core.errors import StoreError
from facecap_core.evaluation.shot_measures import ShotMeter
from facecap_core.evaluation.yardstick import yardstick
from facecap_core.regions import FaceRegions
from facecap_core.reports.marks import (
    differing_frames,
    jaw_frames,
    liveliest,
    telling_frames,
    worst_by_region,
)

NONE = np.zeros((0, 2), int)
REGIONS = FaceRegions(
    {"jaw": np.array([0]), "rest": np.array([1])}, NONE, NONE, forward=np.array([0.0, 0.0, 1.0])
)
STICK = yardstick(np.zeros((2, 3)), np.arange(2), REGIONS, 1.0)


def measured(shot, errors_mm, rest_mm=0.0):
    """A shot whose jaw is off along the face, and whose rest is off across it."""
    result = np.zeros((len(errors_mm), 2, 3))
    result[:, 0, 2] = errors_mm
    result[:, 1, 0] = rest_mm
    meter = ShotMeter(shot, STICK)
    meter.add(result, np.zeros_like(result))
    return meter.finish()


def shots(seed, *lengths):
    rng = np.random.default_rng(seed)
    return [measured(f"s{i}", rng.gamma(2, 0.3, length)) for i, length in enumerate(lengths)]


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


@pytest.mark.parametrize("seed", range(4))
def test_no_telling_frame_is_better_than_one_of_a_better_kind(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(40, 100, 1 + seed % 2)  # short, and their worst frames are one moment
    given = [
        measured(f"s{i}", 0.1 + np.exp(-(((np.arange(n) - 10) / 6) ** 2)))
        for i, n in enumerate(lengths)
    ]
    marks = telling_frames(given, apart=24)
    errors = {
        kind: [m.rmse_mm for m in marks if m.kind == kind] for kind in ("best", "median", "worst")
    }
    assert all(errors.values())
    assert max(errors["best"]) <= min(errors["median"])
    assert max(errors["median"]) <= min(errors["worst"])


def test_telling_frames_of_few_are_none_twice():
    for length in (1, 2, 5):
        marks = telling_frames(shots(1, length), apart=1)
        assert len({(m.shot, m.frame) for m in marks}) == len(marks) == min(length, 6)
    assert len(telling_frames(shots(1, 10), apart=30)) == 3  # one of each kind fits


def test_the_worst_frames_of_regions_are_apart_from_those_above():
    jaw, rest = np.zeros(200), np.zeros(200)
    jaw[[50, 60, 120]] = [3, 2.9, 2]
    rest[[125, 180]] = [5, 4]
    found = measured("s", jaw, rest)
    worst = telling_frames([found], apart=30, best=0, median=0, worst=1)
    assert worst[0].frame == 125
    marks = worst_by_region([found], apart=30, but=worst)
    assert [(m.figure, m.kind, m.frame) for m in marks] == [(5, "jaw", 50), (5, "rest", 180)]
    assert marks[1].note == "rest 4.00 mm"


def test_jaw_frames_are_those_off_along_the_face():
    errors = np.zeros(100)
    errors[[10, 11, 70]] = [1.5, 1.6, -2.0]
    marks = jaw_frames([measured("a", np.zeros(40), 9.0), measured("b", errors)], apart=30, count=2)
    assert [(m.shot, m.frame) for m in marks] == [("b", 70), ("b", 11)]
    assert marks[0].note == "2.00 mm too far back"
    assert marks[1].note == "1.60 mm too far forward"


def test_differing_frames_name_the_nearer_model():
    ours, theirs = np.full(90, 1.0), np.full(90, 1.0)
    ours[5], theirs[70] = 3.0, 2.0
    marks = differing_frames(
        [measured("s", ours)], [measured("s", theirs)], ("A", "B"), apart=30, count=2
    )
    assert [(m.kind, m.frame) for m in marks] == [("A is nearer", 70), ("B is nearer", 5)]
    assert marks[0].rmse_mm == pytest.approx(1 / 2**0.5)
    assert marks[0].note == f"B: {2 / 2**0.5:.2f} mm"


@pytest.mark.parametrize("seed", range(5))
def test_liveliest_is_the_best_of_all_windows(seed):
    rng = np.random.default_rng(seed)
    motion = {f"s{i}": rng.gamma(1, 1, length) for i, length in enumerate((40, 70, 55))}
    shot, start, stop = liveliest(motion, 25)
    assert stop - start == 25
    sums = [m[i : i + 25].sum() for m in motion.values() for i in range(len(m) - 24)]
    assert motion[shot][start:stop].sum() == pytest.approx(max(sums))


def test_liveliest_takes_short_shots_whole():
    motion = np.array([np.nan, *range(7)])  # nothing is known of the first frame
    assert liveliest({"s0": motion}, 100) == ("s0", 0, 8)
    with pytest.raises(StoreError):
        liveliest({}, 10)
