"""The pre-process stabilisation of Appendix A.2: the transform that it finds, and the store that it writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_production import VERTICES

from facecap_core.errors import StoreError, TrainingError
from facecap_core.learning.target_stabilisation import (
    MOST_FRAMES,
    apart_mm,
    check_stabilised,
    most_like_rest,
    nearest_affine,
    stabilise,
    stabilised_identity,
    write_stabilised,
)
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import open_targets
from facecap_core.template import Template

TURN = np.array([[0.999, -0.04, 0.01], [0.04, 1.01, 0.02], [-0.01, -0.02, 0.98]])
SHIFT = np.array([0.2, -0.15, 0.1])
POINTS = 80


def rest_pose(vertices=POINTS, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.uniform(-8, 8, (vertices, 3)) * [1, 1.2, 0.6] + [0, 1, 5]).astype(np.float32)


def template(rest, topology="t"):
    empty = np.zeros((0, 3), np.int32)
    sizes = np.zeros(0, np.int32)
    return Template(Path("rest.obj"), rest, empty, sizes, sizes, None, None, topology)


def unstable(rest, frames, seed=1, noise=0.0, matrix=TURN, shift=SHIFT):
    """Frames [frame, vertex, xyz] that the planted transform takes to the rest pose, but for noise."""
    rng = np.random.default_rng(seed)
    lively = rest + rng.normal(size=(frames, *rest.shape)) * noise
    return (lively - shift) @ np.linalg.inv(matrix).T


def store(path, positions, **attributes):
    identity = {"cache_fingerprint": "c", "topology_sha256": "t", "units": "cm", "fps": "30"}
    with new_group(path, identity | attributes) as group:
        array = group.positions(positions.shape[1])
        array.append(positions.astype(np.float32))
        group.set_attributes({"cache": "c.pc2"})
    return path


def mean_distance(matrix, points, rest):
    moved = points @ matrix[:, :3].T + matrix[:, 3]
    return np.linalg.norm(moved - rest, axis=2).mean()


def least_squares(points, rest):
    padded = np.concatenate([points, np.ones((*points.shape[:2], 1))], 2).reshape(-1, 4)
    return np.linalg.lstsq(padded, np.tile(rest, (len(points), 1)), rcond=None)[0].T


def heavy_tailed(rest, frames):
    """Frames of which every other one is torn in a third of its vertices, far and to one side."""
    rng = np.random.default_rng(3)
    points = unstable(rest, frames)
    torn = points[::2, : len(rest) // 3]
    torn += np.abs(rng.standard_cauchy(torn.shape)).clip(max=20) * [0.2, -1.0, 0.3]
    return points


def test_a_planted_transform_is_found_where_least_squares_are_led_astray():
    rest = rest_pose()
    points = heavy_tailed(rest, 40)
    found = nearest_affine(points, rest, tolerance=1e-9)
    planted = np.column_stack([TURN, SHIFT])
    np.testing.assert_allclose(found, planted, atol=1e-5)
    assert np.abs(least_squares(points, rest) - planted).max() > 0.1


def test_what_least_squares_have_stabilised_already_is_taken_further():
    rest = rest_pose()
    points = heavy_tailed(rest, 40)
    first = least_squares(points, rest)
    points = points @ first[:, :3].T + first[:, 3]
    found = nearest_affine(points, rest, tolerance=1e-6)
    still = np.column_stack([np.eye(3), np.zeros(3)])
    assert mean_distance(found, points, rest) < 0.9 * mean_distance(still, points, rest)


def test_no_transform_nearby_is_better():
    rest = rest_pose()
    points = unstable(rest, 20, noise=0.4)
    points[:, :20] += np.random.default_rng(4).standard_cauchy((20, 20, 3)).clip(-5, 5)
    found = nearest_affine(points, rest, tolerance=1e-8)
    least = mean_distance(found, points, rest)
    assert least < mean_distance(least_squares(points, rest), points, rest) - 1e-3
    rng = np.random.default_rng(5)
    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(20):
            change = rng.normal(size=(3, 4)) * [1, 1, 1, 8] * size
            assert mean_distance(found + change, points, rest) > least


def test_a_flat_mesh_is_taken_as_it_is():
    rest = rest_pose() * np.array([1, 1, 0], np.float32)
    points = np.repeat(rest[None].astype(float), 4, axis=0) + [0.5, 0, 0]
    found = nearest_affine(points, rest, tolerance=1e-9)
    np.testing.assert_allclose(found, np.column_stack([np.eye(3), [-0.5, 0, 0]]), atol=1e-9)


def test_the_better_half_is_chosen_evenly():
    distances = np.array([5.0, 1.0, 4.0, 2.0, 9.0, 3.0, 8.0])
    assert most_like_rest(distances).tolist() == [1, 3, 5]
    assert most_like_rest(np.array([3.0])).tolist() == [0]
    many = most_like_rest(np.concatenate([np.zeros(1000), np.ones(1000)]))
    assert len(many) == MOST_FRAMES == len(np.unique(many))
    assert (many[0], many[-1]) == (0, 999)
    assert set(np.diff(many).tolist()) == {7, 8}


def test_frames_unlike_the_rest_pose_do_not_take_part(tmp_path):
    rest = rest_pose()
    points = unstable(rest, 30, noise=0.05)
    points[15:] += np.array([3.0, 0, 0])  # a whole half, and all of its vertices
    targets = store(tmp_path / "targets.zarr", points)
    found = stabilise(targets, template(rest), mm_per_unit=10.0)
    assert (found.frames, found.frames_used) == (30, 15)
    np.testing.assert_allclose(found.transform, np.column_stack([TURN, SHIFT]), atol=0.02)


def test_reading_by_chunks_gives_what_the_whole_gives(tmp_path):
    rest = rest_pose()
    points = unstable(rest, 150, noise=0.2).astype(np.float32)  # three chunks
    targets = store(tmp_path / "targets.zarr", points)
    found = stabilise(targets, template(rest), mm_per_unit=10.0)
    chosen = most_like_rest(np.square(points - rest.astype(np.float64)).sum(2).mean(1))
    whole = nearest_affine(points[chosen], rest, tolerance=1e-6)
    np.testing.assert_allclose(found.transform, whole, atol=1e-9)
    assert found.before_mm == pytest.approx(
        10 * np.linalg.norm(points[chosen] - rest, axis=2).mean(), rel=1e-5
    )
    assert found.after_mm == pytest.approx(10 * mean_distance(whole, points[chosen], rest))
    assert found.after_mm < found.before_mm


def test_what_it_says_of_a_transform(tmp_path):
    rest = rest_pose()
    angle = np.radians(3.0)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    centre = rest.mean(axis=0)
    # About its centre, turned by 3 degrees, 2 % larger, moved by 1.5 mm.
    shift = centre - 1.02 * turn @ centre + [0.09, 0.12, 0.0]
    points = unstable(rest, 8, matrix=1.02 * turn, shift=shift)
    found = stabilise(store(tmp_path / "a.zarr", points), template(rest), mm_per_unit=10.0)
    assert found.rotation_degrees == pytest.approx(3.0, abs=1e-3)
    assert found.scale == pytest.approx(1.02, abs=1e-5)
    assert found.shear == pytest.approx(0.0, abs=1e-5)
    assert found.translation_mm == pytest.approx(1.5, abs=1e-3)
    assert found.after_mm < 1e-3 < 1 < found.moved_mm
    stretched = np.diag([1.0, 1.0, 1.05])
    points = unstable(rest, 8, matrix=stretched, shift=0 * shift)
    found = stabilise(store(tmp_path / "b.zarr", points), template(rest), mm_per_unit=10.0)
    assert found.shear == pytest.approx(0.05, abs=1e-5)
    assert found.rotation_degrees == pytest.approx(0.0, abs=1e-3)


def test_shots_are_apart_by_what_they_do_not_share(tmp_path):
    rest = rest_pose()
    shared, own = np.array([2.0, 1.0, 0.0]), np.array([0.0, 0.03, 0.04])
    found = [
        stabilise(
            store(tmp_path / f"{number}.zarr", unstable(rest, 4, matrix=np.eye(3), shift=shift)),
            template(rest),
            mm_per_unit=10.0,
        )
        for number, shift in enumerate((shared, shared + 2 * own, shared + own))
    ]
    apart = apart_mm(found, template(rest), mm_per_unit=10.0)
    assert apart == pytest.approx([0.5, 0.5, 0.0], abs=1e-3)


def test_stable_targets_stay_where_they_are(tmp_path):
    rest = rest_pose(400)
    points = unstable(rest, 60, noise=0.05, matrix=np.eye(3), shift=np.zeros(3))
    found = stabilise(store(tmp_path / "a.zarr", points), template(rest), mm_per_unit=10.0)
    assert found.moved_mm < 0.1
    assert np.abs(found.apply(points[:3]) - points[:3]).max() < 0.03


def test_the_stabilised_store_says_what_it_is_made_from_and_the_original_stays(tmp_path):
    rest = rest_pose()
    points = unstable(rest, 70, noise=0.1)
    targets = store(tmp_path / "targets.zarr", points)
    before = open_targets(targets).read("positions")
    found = stabilise(targets, template(rest), mm_per_unit=10.0)
    destination = tmp_path / "stabilised" / "targets.zarr"
    with pytest.raises(TrainingError, match=r"is not stabilised.*farm stabilise"):
        check_stabilised("a", targets, destination, template(rest))
    assert write_stabilised(targets, destination, template(rest), found)
    np.testing.assert_array_equal(open_targets(targets).read("positions"), before)
    written = open_targets(destination)
    assert written.frames == 70
    expected = before.astype(float) @ np.array(found.transform)[:, :3].T
    expected += np.array(found.transform)[:, 3]
    np.testing.assert_allclose(written.read("positions"), expected, atol=1e-5)
    kept = written.attributes
    assert {name: kept[name] for name in ("cache_fingerprint", "units", "fps", "cache")} == {
        "cache_fingerprint": "c",
        "units": "cm",
        "fps": "30",
        "cache": "c.pc2",
    }
    assert kept["stabilisation"]["after_mm"] == found.after_mm
    np.testing.assert_array_equal(kept["stabilisation"]["transform"], found.transform)
    check_stabilised("a", targets, destination, template(rest))
    version = destination.resolve()
    assert not write_stabilised(targets, destination, template(rest), found)
    assert destination.resolve() == version


def test_other_targets_or_another_rest_pose_need_another_stabilisation(tmp_path):
    rest = rest_pose()
    targets = store(tmp_path / "targets.zarr", unstable(rest, 10))
    destination = tmp_path / "stabilised.zarr"
    write_stabilised(
        targets, destination, template(rest), stabilise(targets, template(rest), mm_per_unit=10)
    )
    moved = template(rest + np.float32(0.1))
    with pytest.raises(TrainingError, match="another rest pose"):
        check_stabilised("a", targets, destination, moved)
    assert write_stabilised(targets, destination, moved, stabilise(targets, moved, mm_per_unit=10))
    check_stabilised("a", targets, destination, moved)
    store(targets, unstable(rest, 12), cache_fingerprint="d")
    with pytest.raises(TrainingError, match="other targets"):
        check_stabilised("a", targets, destination, moved)


def test_another_topology_is_refused(tmp_path):
    rest = rest_pose(VERTICES)
    targets = store(tmp_path / "targets.zarr", unstable(rest, 5))
    other = replace(template(rest), topology_sha256="u")
    with pytest.raises(StoreError, match="topology"):
        stabilise(targets, other, mm_per_unit=10.0)
    with pytest.raises(StoreError, match="is not in the store"):
        stabilise(tmp_path / "absent.zarr", other, mm_per_unit=10.0)
    assert stabilised_identity({}, other)["cache_fingerprint"] is None
