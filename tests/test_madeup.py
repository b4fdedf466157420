"""The made-up actor: a face that is sound geometry, moves as told, and is the same for the same seed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from pinhole import seen_at

from facecap_core.madeup.actor import MadeUpActor
from facecap_core.madeup.expressions import CONTROLS, INDEX, controls
from facecap_core.madeup.identity import Identity
from facecap_core.madeup.mask import build_mask
from facecap_core.madeup.motion import CATEGORIES, EXTREMES, PANGRAMS, perform
from facecap_core.madeup.production import (
    shot_plan,
)
from facecap_core.madeup.rotations import head_rotations
from facecap_core.madeup.sculpt import EYE_RADIUS_CM, eye_centres
from facecap_core.madeup.shoot import (
    CAMERA,
    PICTURE_SIZE,
    VIEWS,
    Studio,
    encode,
    imaging,
)
from facecap_core.rasteriser import Camera, Rasteriser


@lru_cache
def person(seed: int) -> MadeUpActor:
    return MadeUpActor(seed)


@pytest.fixture(scope="module")
def actor() -> MadeUpActor:
    return person(2017)


def all_poses() -> np.ndarray:
    motions = [perform(category, 40, (3, number)) for number, category in enumerate(CATEGORIES)]
    return np.concatenate([motion.controls for motion in motions])


def test_mask_is_one_connected_manifold_with_four_borders() -> None:
    mask = build_mask()
    faces = mask.triangles()
    assert 4700 <= mask.vertex_count <= 5400
    assert set(faces.reshape(-1).tolist()) == set(range(mask.vertex_count))
    halves = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert (halves[:, 0] != halves[:, 1]).all()
    # Every directed edge once: no face twice, no edge with three faces, all turned the same way.
    assert len(np.unique(halves, axis=0)) == len(halves)
    directed = {tuple(edge) for edge in halves.tolist()}
    border = {start: end for start, end in directed if (end, start) not in directed}
    loops = 0
    while border:
        loops += 1
        at = next(iter(border))
        while at in border:
            at = border.pop(at)
    assert loops == 4  # two eyes, the mouth, the rim
    vertices, edges = mask.vertex_count, len({tuple(sorted(edge)) for edge in directed})
    assert vertices - edges + len(faces) == 2 - loops  # one connected sheet
    assert sum(len(polygon) - 2 for polygon in mask.polygons()) == len(faces)
    assert mask.uvs.min() >= 0
    assert mask.uvs.max() <= 1


def areas(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corner = points[..., faces, :].astype(np.float64)
    first, second = corner[..., 1, :] - corner[..., 0, :], corner[..., 2, :] - corner[..., 0, :]
    return np.linalg.norm(np.cross(first, second), axis=-1) / 2


@pytest.mark.parametrize("seed", [2017, 1, 2])
def test_no_face_is_degenerate_for_any_identity(seed: int) -> None:
    someone = person(seed)
    assert np.isfinite(someone.template).all()
    assert areas(someone.template, someone.mask.triangles()).min() > 1e-5
    reach = np.abs(someone.template).max(axis=0)
    assert 6.5 < reach[0] < 8.5
    assert 8.5 < reach[1] < 11
    assert 10 < reach[2] < 13


def test_moves_stay_finite_and_every_control_does_something(actor: MadeUpActor) -> None:
    moved = actor.face.pose(all_poses())
    assert np.isfinite(moved).all()
    assert np.abs(moved - actor.template).max() < 5
    for name in CONTROLS:
        shift = np.abs(actor.face.pose(controls(1, **{name: 1.0}))[0] - actor.template).max()
        assert shift > (0.05 if name != "gaze_left_right" else -1), name
    animated = actor.animated()
    assert 0.6 * len(actor.template) < len(animated) < len(actor.template)


def eye_pixels(actor: MadeUpActor, values: np.ndarray) -> int:
    """How many pixels show an eyeball."""
    _, drawn = actor.scene(values, np.zeros((1, 3)), np.zeros((1, 3)))
    camera = Camera((0.0, 3.0, 100.0), (0.0, 3.0, 0.0), vertical_fov_degrees=6.0)
    seen = Rasteriser(actor.faces, size=(300, 200)).see(torch.from_numpy(drawn[0]), camera)
    first = len(actor.template)
    last = first + sum(len(part.positions) for part in actor.parts[:2])
    corner = torch.from_numpy(actor.faces)[seen.faces, 0]
    return int(((corner >= first) & (corner < last)).sum())


@pytest.mark.parametrize("seed", [2017, 1, 2])
def test_closed_lids_hide_the_eyeballs(seed: int) -> None:
    someone = person(seed)
    opened = eye_pixels(someone, controls())
    wide = eye_pixels(someone, controls(wide=1.0))
    assert opened > 800
    assert wide > 1.15 * opened
    for other in (
        {},
        {"squint": 1.0},
        {"wide": 1.0},
        {"gaze_up_down": 1.0},
        {"gaze_up_down": -1.0},
    ):
        assert eye_pixels(someone, controls(blink=1.0, **other)) <= 0.01 * opened, other
    assert 0.3 * opened < eye_pixels(someone, controls(1, blink_left=1.0)) < 0.7 * opened


def test_lids_never_enter_the_eyeball(actor: MadeUpActor) -> None:
    moved = actor.face.pose(all_poses())
    for slit, centre in zip(
        (actor.mask.right_eye, actor.mask.left_eye), eye_centres(), strict=True
    ):
        rims = np.concatenate([slit.upper, slit.lower])
        distance = np.linalg.norm(moved[:, rims] - centre, axis=2)
        assert distance.min() > EYE_RADIUS_CM


def test_jaw_opens_the_mouth_and_lips_never_cross(actor: MadeUpActor) -> None:
    mouth = actor.mask.mouth
    middle = len(mouth.upper) // 2

    def gap(points: np.ndarray) -> np.ndarray:
        return points[..., mouth.upper, 1] - points[..., mouth.lower, 1]

    assert abs(gap(actor.template)[middle]) < 0.01
    half = gap(actor.face.pose(controls(jaw_open=0.5))[0])[middle]
    full = gap(actor.face.pose(controls(jaw_open=1.0))[0])[middle]
    assert 0.7 < half < full
    assert 2.0 < full < 4.5
    chin = np.abs(actor.template - [0, -7.2, 9.0]).sum(axis=1).argmin()
    assert actor.face.pose(controls(jaw_open=1.0))[0, chin, 1] < actor.template[chin, 1] - 1.0
    values = all_poses()
    values[:, INDEX["jaw_open"]] = 0  # the worst case
    assert gap(actor.face.pose(values)).min() > -0.02


def test_targets_are_stabilised(actor: MadeUpActor) -> None:
    values = perform("pangrams", 6, (1, 2)).controls
    still, drawn_still = actor.scene(values, np.zeros((6, 3)), np.zeros((6, 3)))
    turned, drawn = actor.scene(values, np.full((6, 3), 3.0), np.full((6, 3), 0.5))
    np.testing.assert_array_equal(still, turned)
    np.testing.assert_array_equal(drawn_still[:, : still.shape[1]], still)
    assert np.abs(drawn - drawn_still).max() > 0.5
    # What the head's motion does to the mask is rigid.
    turn = head_rotations(np.full((1, 3), 3.0))[0]
    differences = np.diff(drawn[0, : still.shape[1]].astype(np.float64), axis=0)
    np.testing.assert_allclose(differences, np.diff(still[0], axis=0) @ turn.T, atol=1e-4)


def test_same_seed_same_bytes_other_seed_other_face(actor: MadeUpActor) -> None:
    again, other = MadeUpActor(2017), person(1)
    np.testing.assert_array_equal(actor.template, again.template)
    np.testing.assert_array_equal(actor.texture, again.texture)
    np.testing.assert_array_equal(actor.colours, again.colours)
    np.testing.assert_array_equal(actor.mask.quads, other.mask.quads)
    assert np.abs(actor.template - other.template).max() > 0.1
    assert Identity.drawn(5) == Identity.drawn(5) != Identity.drawn(6)
    first, second = (Studio(body, size=(120, 160)) for body in (actor, again))
    performance = perform("rom", 3, (2017, 0))
    _, drawn = actor.scene(
        performance.controls, performance.head_rotation_degrees, performance.head_translation_cm
    )
    light = imaging(3, (2017, 0))
    for one, two in zip(
        first.pictures(drawn, light, (2017, 0)),
        second.pictures(drawn, light, (2017, 0)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)
    third = next(first.pictures(drawn, light, (2017, 1)))
    assert not np.array_equal(third, two)


def test_motion_is_seeded_smooth_and_within_range() -> None:
    for category in CATEGORIES:
        motion = perform(category, 120, (7, 1))
        np.testing.assert_array_equal(motion.controls, perform(category, 120, (7, 1)).controls)
        assert not np.array_equal(motion.controls, perform(category, 120, (7, 2)).controls)
        assert np.abs(motion.controls).max() <= 1
        assert np.abs(np.diff(motion.controls, axis=0)).max() < 0.75
        assert motion.controls[:, INDEX["jaw_open"]].std() > 0.03
        assert 0.1 < np.abs(motion.head_rotation_degrees).max() <= 4
        assert np.abs(motion.head_translation_cm).max() <= 0.8
    assert all(set(text.replace(" ", "")) == set("abcdefghijklmnopqrstuvwxyz") for text in PANGRAMS)
    with pytest.raises(ValueError, match="category"):
        perform("opera", 10, (1,))


@pytest.mark.parametrize("camera", list(VIEWS))
def test_mask_stays_in_the_crop(actor: MadeUpActor, camera: str) -> None:
    x, y, width, height = VIEWS[camera].crop
    for shot in shot_plan():
        motion = perform(shot.category, shot.frames, (shot.seed, shot.number))
        _, drawn = actor.scene(
            motion.controls[::5],
            motion.head_rotation_degrees[::5],
            motion.head_translation_cm[::5],
        )
        mask = drawn[:, : len(actor.template)].astype(np.float64)
        seen, _ = seen_at(mask, VIEWS[camera].camera, PICTURE_SIZE)
        low, high = seen.min(axis=(0, 1)), seen.max(axis=(0, 1))
        assert (low > [x, y]).all(), shot.name
        assert (high < [x + width, y + height]).all(), shot.name
    assert width * 4 == height * 3
    assert x + width <= PICTURE_SIZE[0]
    assert y + height <= PICTURE_SIZE[1]


def test_the_picture_has_a_dark_mouth_white_teeth_and_eyes(actor: MadeUpActor) -> None:
    studio = Studio(actor)

    def picture(**values: float) -> np.ndarray:
        _, drawn = actor.scene(controls(1, **values), np.zeros((1, 3)), np.zeros((1, 3)))
        return studio.picture(drawn[0]).numpy().mean(axis=0)

    def place(point: list[float]) -> tuple[int, int]:
        (x, y), _ = seen_at(np.array(point), CAMERA, PICTURE_SIZE)
        return int(y), int(x)

    row, column = place([0.0, -5.4, 7.0])
    inside = picture(jaw_open=1.0)[row - 8 : row + 8, column - 20 : column + 20]
    outside = picture()[row - 8 : row + 8, column - 20 : column + 20]
    assert inside.mean() < 0.6 * outside.mean()
    row, column = place([3.12, 3.0, 7.5])
    look = picture()[row - 20 : row + 20, column - 45 : column + 45]
    assert look.min() < 0.15  # the pupil
    assert look.max() > 0.75  # the white, or the light in it


def test_the_second_camera_stands_sixty_degrees_to_the_actors_left() -> None:
    camera = VIEWS["left"].camera
    x, y, z = np.subtract(camera.position, camera.target)
    assert (x > 0, y) == (True, 0)
    assert np.degrees(np.arctan2(x, z)) == pytest.approx(60, abs=0.1)


def test_a_jaw_pushed_forward_shows_from_the_side_only(actor: MadeUpActor) -> None:
    moved = actor.face.pose(controls(jaw_forward=1.0))[0].astype(np.float64)
    chin = np.abs(actor.template - [0, -7.2, 9.0]).sum(axis=1).argmin()
    ways = {}
    for name, view in VIEWS.items():
        chins = np.stack([actor.template[chin], moved[chin]])
        seen, _ = seen_at(chins, view.camera, PICTURE_SIZE)
        ways[name] = np.linalg.norm(seen[1] - seen[0])
    assert ways["left"] > 8 > 5 * ways["center"]
    assert any(pose.get("jaw_forward") == 1.0 for pose in EXTREMES)


def test_from_the_side_nothing_is_seen_through_the_mouth() -> None:
    camera = VIEWS["left"].camera
    holes = []
    for someone in (person(2017), MadeUpActor(2017, inside=True)):
        _, drawn = someone.scene(controls(jaw_open=1.0), np.zeros((1, 3)), np.zeros((1, 3)))
        sight = Rasteriser(someone.faces, size=PICTURE_SIZE).see(torch.from_numpy(drawn[0]), camera)
        covered = np.zeros(PICTURE_SIZE[::-1], bool)
        covered.reshape(-1)[sight.pixels.numpy()] = True
        mouth = someone.mask.mouth
        lips = drawn[0, [*mouth.upper, *mouth.lower]].astype(np.float64)
        rims, _ = seen_at(lips, camera, PICTURE_SIZE)
        (left, top), (right, bottom) = rims.min(axis=0).astype(int), rims.max(axis=0).astype(int)
        face = covered[top:bottom, left:right]
        holes.append(int((~face & np.maximum.accumulate(face, axis=1)).sum()))
    assert holes[0] > 200
    assert holes[1] == 0


def test_encoding_gives_every_picture_in_the_right_colours(tmp_path: Path) -> None:
    size = (64, 48)
    flat = [np.full((72, 64), 40 + 10 * k, np.uint8) for k in range(12)]
    for picture in flat:
        picture[48:] = 128
    path = tmp_path / "flat.mp4"
    encode(path, iter(flat), size)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 30
        frames = list(container.decode(stream))
    assert [frame.format.name for frame in frames] == ["yuv420p"] * 12
    assert frames[0].color_range == 1
    assert frames[0].colorspace == 1
    levels = [frame.to_ndarray()[:48].mean() for frame in frames]
    np.testing.assert_allclose(levels, np.arange(12) * 10 + 40, atol=1.5)
    assert [path.name] == [each.name for each in tmp_path.iterdir()]
