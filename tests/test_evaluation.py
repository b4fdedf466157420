"""Evaluation: every figure against plain numpy on whole arrays, and on errors that were planted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from facecap_core.evaluation.shot_measures import ShotMeter
from facecap_core.evaluation.summary import summarise
from facecap_core.evaluation.yardstick import yardstick
from facecap_core.regions import FaceRegions

VERTICES = 60
MM = 10.0  # the positions are centimetres
FORWARD = np.array([0.0, 0.6, 0.8])
REGIONS = FaceRegions(
    groups={
        "lips": np.arange(0, 12),
        "lids": np.arange(12, 20),
        "jaw": np.arange(20, 35),
        "brows": np.arange(35, 40),
        "rest": np.arange(40, VERTICES),
    },
    lip_pairs=np.array([[0, 6], [1, 7], [2, 8]]),
    lid_pairs=np.array([[12, 16], [13, 17]]),
    forward=FORWARD,
)
REST = np.random.default_rng(1).normal(0, 5, (VERTICES, 3)).astype(np.float32)
ANIMATED = np.arange(4, VERTICES)
STICK = yardstick(REST, ANIMATED, REGIONS, MM)


def motion(frames, seed=0, speed=0.15):
    """A target that moves smoothly: float32 [frame, vertex, xyz]."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames) * speed
    waves = sum(
        np.sin(time * k + rng.uniform(0, 6))[:, None, None] * rng.normal(0, 0.2, (VERTICES, 3))
        for k in (1, 2.3)
    )
    return (REST + waves).astype(np.float32)


def measured(pairs, blocks=64):
    """Shots of (result, target), fed in blocks of `blocks` frames."""
    found = []
    for number, (result, target) in enumerate(pairs):
        meter = ShotMeter(f"shot{number}", STICK)
        for start in range(0, len(result), blocks):
            meter.add(result[start : start + blocks], target[start : start + blocks])
        found.append(meter.finish())
    return found


def summary(pairs, blocks=64):
    return summarise(measured(pairs, blocks), STICK)


def rms(vectors):
    """Of vectors [..., xyz] over everything but xyz."""
    return np.sqrt(np.square(vectors).sum(-1).mean())


def pooled(get, pairs):
    """Root mean square over the frames of all shots of what `get` finds in each of them."""
    found = np.concatenate([get(r.astype(np.float64), t.astype(np.float64)) for r, t in pairs])
    return np.sqrt(np.square(found).sum(-1).mean()) * MM


@pytest.fixture(scope="module")
def noisy():
    """Three shots of random error, one of them too short for an acceleration."""
    rng = np.random.default_rng(5)
    targets = [motion(frames, seed=frames) for frames in (150, 2, 67)]
    return [(t + rng.normal(0, 0.05, t.shape).astype(np.float32), t) for t in targets]


@pytest.mark.parametrize("blocks", [1, 2, 3, 64, 1000])
def test_figures_are_those_of_plain_numpy_whatever_the_blocks(noisy, blocks):
    found = summary(noisy, blocks)
    error = np.concatenate([r.astype(np.float64) - t for r, t in noisy])
    frame = np.sqrt(np.square(error[:, ANIMATED]).sum(2).mean(1)) * MM
    assert found.frames == 219
    assert found.rmse_mm == pytest.approx(rms(error[:, ANIMATED]) * MM)
    assert found.mean_frame_rmse_mm == pytest.approx(frame.mean())
    assert found.p95_mm == pytest.approx(np.quantile(frame, 0.95))
    assert found.worst_mm == pytest.approx(frame.max())
    shots = [("shot0", i) for i in range(150)] + [("shot1", 0), ("shot1", 1)]
    shots += [("shot2", i) for i in range(67)]
    assert (found.worst_shot, found.worst_frame) == shots[int(frame.argmax())]
    for name, group in REGIONS.groups.items():
        inside = np.intersect1d(group, ANIMATED)
        assert found.regions_mm[name] == pytest.approx(rms(error[:, inside]) * MM)


@pytest.mark.parametrize("blocks", [1, 2, 3, 64, 1000])
def test_differences_over_time_do_not_cross_shots(noisy, blocks):
    found = summary(noisy, blocks)
    moving = [(r[:, ANIMATED], t[:, ANIMATED]) for r, t in noisy]
    velocity = pooled(lambda r, t: np.diff(r - t, axis=0).reshape(-1, 3), moving)
    acceleration = pooled(lambda r, t: np.diff(r - t, n=2, axis=0).reshape(-1, 3), moving)
    assert found.velocity_error_mm_per_frame == pytest.approx(velocity)
    assert found.acceleration_error_mm_per_frame2 == pytest.approx(acceleration)
    ours = pooled(lambda r, t: np.diff(r, n=2, axis=0).reshape(-1, 3), moving)
    wanted = pooled(lambda r, t: np.diff(t, n=2, axis=0).reshape(-1, 3), moving)
    assert found.stability == pytest.approx(ours / wanted)


def test_amplitude_is_the_slope_of_the_regression(noisy):
    ours, wanted = (np.concatenate([pair[i] for pair in noisy]).astype(np.float64) for i in (0, 1))
    for vertices, found in (
        (ANIMATED, summary(noisy).amplitude),
        (REGIONS.groups["jaw"], summary(noisy).region_amplitudes["jaw"]),
    ):
        centred = wanted[:, vertices] - wanted[:, vertices].mean(0)
        followed = ours[:, vertices] - wanted[:, vertices].mean(0)
        slope, *_ = np.linalg.lstsq(centred.reshape(-1, 1), followed.ravel(), rcond=None)
        assert found == pytest.approx(slope[0], rel=1e-6)


def test_apertures_are_distances_of_pairs(noisy):
    found = summary(noisy)
    for pairs, error, bias in (
        (REGIONS.lip_pairs, found.lip_aperture_error_mm, found.lip_aperture_bias_mm),
        (REGIONS.lid_pairs, found.lid_aperture_error_mm, found.lid_aperture_bias_mm),
    ):
        difference = np.concatenate(
            [
                np.linalg.norm(r[:, pairs[:, 0]] - r[:, pairs[:, 1]], axis=2)
                - np.linalg.norm(t[:, pairs[:, 0]] - t[:, pairs[:, 1]], axis=2)
                for r, t in noisy
            ]
        )
        assert error == pytest.approx(np.abs(difference).mean() * MM, rel=1e-5)
        assert bias == pytest.approx(difference.mean() * MM, rel=1e-3, abs=1e-5)


def test_a_constant_offset_is_no_motion():
    target = motion(90)
    found = summary([(target + np.float32(0.3), target)])
    assert found.rmse_mm == pytest.approx(0.3 * MM * 3**0.5, rel=1e-5)
    assert found.velocity_error_mm_per_frame < 1e-4
    assert found.acceleration_error_mm_per_frame2 < 1e-4
    assert found.amplitude == pytest.approx(1, abs=1e-5)
    assert found.stability == pytest.approx(1, abs=1e-4)
    assert found.lip_aperture_error_mm < 1e-4
    only = measured([(target + np.float32(0.3), target)])[0]
    np.testing.assert_allclose(only.sums.systematic_mm, 0.3 * MM * 3**0.5, rtol=1e-5)


def test_attenuated_motion_shows_in_the_amplitude():
    target = motion(200)
    mean = target.mean(axis=0)
    found = summary([(mean + 0.8 * (target - mean), target)])
    assert found.amplitude == pytest.approx(0.8, abs=1e-5)
    assert found.region_amplitudes["lips"] == pytest.approx(0.8, abs=1e-5)
    assert found.stability == pytest.approx(0.8, abs=1e-4)
    assert summary([(np.broadcast_to(mean, target.shape), target)]).amplitude == pytest.approx(
        0, abs=1e-6
    )


def test_jitter_shows_where_the_target_stands_still():
    target = motion(300)
    target[100:150] = target[100]
    shake = np.random.default_rng(2).normal(0, 0.01, target.shape)
    found = summary([((target + shake).astype(np.float32), target)])
    # The second difference of white noise has 1 + 4 + 1 times its variance.
    assert found.still_jitter_mm_per_frame2 == pytest.approx(0.01 * MM * (3 * 6) ** 0.5, rel=0.05)
    assert found.still_jitter_target_mm_per_frame2 == 0
    assert found.amplitude == pytest.approx(1, abs=0.01)
    assert found.stability > 1.05


def test_a_jaw_that_stays_behind_is_an_error_along_the_face():
    """Figure 7: what the target's jaw does along the face is missing in the result."""
    target = np.repeat(REST[None], 100, axis=0).astype(np.float32)
    push = np.zeros(100)
    push[40:44] = [0.5, 0.8, 0.8, 0.5]  # cm
    jaw = REGIONS.groups["jaw"]
    target[:, jaw] += (push[:, None] * FORWARD)[:, None]
    result = np.repeat(REST[None], 100, axis=0)
    shot = measured([(result, target)])[0]
    np.testing.assert_allclose(shot.jaw_forward_mm, push * MM, atol=1e-5)
    np.testing.assert_allclose(shot.jaw_forward_error_mm, -push * MM, atol=1e-5)
    found = summary([(result, target)])
    assert found.jaw_forward_rmse_mm == pytest.approx(np.sqrt(np.square(push * MM).mean()))
    assert found.regions_mm["lips"] == 0


def test_the_worst_frame_may_be_a_shot_s_first():
    still = np.repeat(REST[None], 3, axis=0)
    off = still.copy()
    off[0] += 1
    found = summary([(still, still), (off, still)])
    assert (found.worst_shot, found.worst_frame) == ("shot1", 0)


def test_what_cannot_be_known_is_null_in_json():
    bare = FaceRegions({"rest": np.arange(VERTICES)}, np.zeros((0, 2), int), np.zeros((0, 2), int))
    stick = yardstick(REST, ANIMATED, bare, MM)
    meter = ShotMeter("one", stick)
    meter.add(REST[None] + 1, REST[None])
    found = summarise([meter.finish()], stick)
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["rmse_mm"] == pytest.approx(MM * 3**0.5)
    assert told["velocity_error_mm_per_frame"] is None
    assert told["stability"] is None
    assert told["amplitude"] is None
    assert told["lip_aperture_error_mm"] is None
    assert told["jaw_forward_rmse_mm"] is None
    assert told["regions_mm"] == {"rest": pytest.approx(MM * 3**0.5)}
