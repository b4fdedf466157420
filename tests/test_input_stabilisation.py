"""Input stabilisation: landmarks from dlib and from files, the turned pictures, and their way into the store."""

from __future__ import annotations

import pickle
import shutil
import sys
from fractions import Fraction

import numpy as np
import pytest
from made_face import made_faces, moved, train_predictor, upright_points
from tiny_production import write_video

from facecap_core.errors import LandmarksError
from facecap_core.footage.input_stabilisation import NOSE, stabilise, stabiliser
from facecap_core.footage.landmark_file import EYES
from facecap_core.footage.landmarks import DlibLandmarks, packaged_predictor
from facecap_core.ingest import ingest_frames, ingest_stabilised
from facecap_core.productions.production_toml import CameraSettings
from facecap_core.stores.groups import open_frames

CROP = (0, 0, 48, 64)


def camera(landmarks):
    return CameraSettings(crop=CROP, landmarks=landmarks)


@pytest.fixture(scope="module")
def faces():
    """The last eight were not trained on."""
    return made_faces(44)


@pytest.fixture(scope="module")
def predictor(faces, tmp_path_factory):
    luma, points = faces
    path = tmp_path_factory.mktemp("predictor") / "made_up.dat"
    return train_predictor(path, luma[:36], points[:36])


def poses(points):
    """Of each frame, what stabilisation has to undo: angle in degrees, and x, y of the face when upright."""
    left, right = (points[:, eye].mean(1) for eye in EYES)
    across = right - left
    angle = np.degrees(np.arctan2(across[:, 1], across[:, 0]))
    return np.column_stack([angle, ((left + right) / 2)[:, 0], points[:, NOSE].mean(1)[:, 1]])


def ramp(angle_degrees=0.0, shift=(0, 0)):
    """A picture whose level tells the place in it, turned and shifted like `moved`; uint8 [y, x]."""
    y, x = np.mgrid[:320, :240]
    places = np.stack([x, y], -1).reshape(-1, 2)
    angle = np.radians(angle_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = (places - (119.5, 159.5) - np.asarray(shift)) @ turn + (119.5, 159.5)
    level = 128 + 50 * np.sin(back[:, 0] / 17) + 50 * np.cos(back[:, 1] / 23)
    return level.reshape(320, 240).round().astype(np.uint8)


def test_an_upright_face_in_the_middle_stays_as_it_is():
    luma = np.random.default_rng(0).integers(0, 256, (2, 320, 240), dtype=np.uint8)
    points = np.stack([upright_points()] * 2)
    np.testing.assert_array_equal(stabilise(luma, points), luma)


@pytest.mark.parametrize(("angle", "shift"), [(0, (5, -7)), (9, (0, 0)), (-6, (11.5, 4.25))])
def test_the_face_is_turned_and_moved_back(angle, shift):
    luma = ramp(angle, shift)[None]
    points = moved(upright_points(), angle, shift)[None]
    found = stabilise(luma, points)[0].astype(int)
    wanted = ramp().astype(int)
    inside = np.s_[60:260, 60:180]
    assert np.abs(found - wanted)[inside].max() <= 2  # two roundings and the bilinear weights
    assert abs((found - wanted)[inside].mean()) < 0.25  # to the nearest level, not down
    assert np.abs(luma[0].astype(int) - wanted)[inside].max() > 20


def test_a_blink_does_not_move_the_picture():
    luma = ramp()[None]
    points = upright_points()[None].copy()
    for eye in EYES:
        points[:, eye, 1] += 4  # lids come down
    np.testing.assert_array_equal(stabilise(luma, points), luma)


def test_beyond_the_picture_its_edge_is_repeated():
    luma = np.zeros((1, 320, 240), np.uint8)
    luma[:, :, 0], luma[:, :, -1] = 77, 99
    found = stabilise(luma, upright_points()[None] - (30, 0))
    assert (found[0, :, :30] == 77).all()
    found = stabilise(luma, upright_points()[None] + (30, 0))
    assert (found[0, :, -30:] == 99).all()


def test_dlib_finds_the_points_of_a_rendered_face(faces, predictor):
    luma, points = faces
    landmarks = DlibLandmarks(predictor)
    found = landmarks(luma[36:], 0)
    assert found.shape == (8, 68, 2)
    errors = np.abs(poses(found) - poses(points[36:]))
    assert errors.max() < 1.0, errors  # degrees, pixels
    assert landmarks.facts["pictures_without_face"] == 0


def test_stabilised_faces_lie_still(faces, predictor):
    luma, _ = faces
    stabilised = stabiliser(camera(str(predictor)), "shot")(luma[36:], 0)
    middle = np.s_[:, 90:230, 50:190]
    before, after = (
        part[middle].astype(float).std(axis=0).mean() for part in (luma[36:], stabilised)
    )
    assert after < 0.4 * before


def test_batches_of_any_size_give_the_same(faces, predictor):
    luma, _ = faces
    blank = luma[:7].copy()
    blank[3:5] = 90  # no face to be found: the box before counts
    whole, parts = (stabiliser(camera(str(predictor)), "shot") for _ in range(2))
    wanted = whole(blank, 0)
    found = [parts(blank[start : start + 4], start) for start in (0, 4)]
    np.testing.assert_array_equal(np.concatenate(found), wanted)
    assert whole.landmarks.facts["pictures_without_face"] == 2
    np.testing.assert_array_equal(whole(blank, 0), wanted)  # a shot from its start again


def test_without_a_face_the_box_before_counts_and_at_the_start_the_whole_picture(faces, predictor):
    landmarks, blank = DlibLandmarks(predictor), np.full((2, 320, 240), 90, np.uint8)
    alone = landmarks(blank, 0)
    assert np.abs(alone.mean(axis=1) - (119.5, 159.5)).max() < 60
    assert landmarks.facts["pictures_without_face"] == 2
    face = faces[0][np.argmax(np.abs(faces[1][:, 30] - (119.5, 159.5)).sum(1))]
    after = landmarks(np.stack([face, blank[0]]), 0)[1]
    assert landmarks.facts["pictures_without_face"] == 1
    assert np.abs(after - alone[0]).max() > 5
    np.testing.assert_array_equal(landmarks(blank, 0), alone)  # another shot


def test_the_packaged_model_is_found_without_importing_the_package(tmp_path, monkeypatch):
    package = tmp_path / "face_recognition_models"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("import pkg_resources_that_is_gone")
    model = package / "models" / "shape_predictor_68_face_landmarks.dat"
    model.write_bytes(b"")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert packaged_predictor() == model
    model.unlink()
    with pytest.raises(LandmarksError, match=r"facecap-farm\[landmarks\]"):
        packaged_predictor()
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(LandmarksError, match=r"facecap-farm\[landmarks\]"):
        stabiliser(camera("dlib"), "shot")


def test_without_dlib_the_remedy_is_named(predictor, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(LandmarksError, match=r"facecap-farm\[landmarks\]") as caught:
        stabiliser(camera(str(predictor)), "shot")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_a_predictor_that_is_none(tmp_path, predictor):
    broken = tmp_path / "broken.dat"
    with pytest.raises(LandmarksError, match="no such file"):
        stabiliser(camera(str(broken)), "shot")
    for content in (b"", b"not trees", predictor.read_bytes()[:5000]):
        broken.write_bytes(content)
        with pytest.raises(LandmarksError, match="no shape predictor"):
            stabiliser(camera(str(broken)), "shot")


@pytest.fixture
def shot(tmp_path):
    """A shot in the store and a file of landmarks for it: its frame store, and the pattern of the file."""
    frames = 90
    video = write_video(tmp_path / "shot.mp4", frames)
    folder = tmp_path / "frames.zarr"
    ingest_frames(video, crop=CROP, fps=Fraction(30), destination=folder)
    points = np.stack([moved(upright_points(), i % 7 - 3, (i % 5, 0)) for i in range(frames)])
    np.save(tmp_path / "shot.npy", points.astype(np.float32))
    return folder, str(tmp_path / "{shot}.npy"), points


def test_the_store_of_stabilised_pictures(tmp_path, shot):
    frames, pattern, points = shot
    destination = tmp_path / "stabilised.zarr"
    settings = camera(pattern)
    result = ingest_stabilised(
        frames, stabiliser=stabiliser(settings, "shot"), destination=destination
    )
    assert (result.frames, result.reused) == (90, False)
    original, store = open_frames(frames), open_frames(destination)
    luma = original.read("luma")
    np.testing.assert_array_equal(
        store.read("luma"), stabilise(luma, points.astype(np.float32).astype(float))
    )
    np.testing.assert_array_equal(store.read("landmarks"), points.astype(np.float32))
    np.testing.assert_array_equal(store.read("pts_seconds"), original.read("pts_seconds"))
    facts = store.attributes
    assert facts["landmarks"] == "shot.npy"
    assert len(facts["landmarks_fingerprint"]) == 32
    for name in ("footage_fingerprint", "crop", "fps", "footage", "picture_size"):
        assert facts[name] == original.attributes[name]
    # As inference does it, on the decoder's batches.
    live = stabiliser(settings, "shot")
    batches = [live(luma[start : start + 16], start) for start in range(0, 90, 16)]
    np.testing.assert_array_equal(np.concatenate(batches), store.read("luma"))
    live.check_frames(90)


def test_it_is_made_again_only_when_the_landmarks_or_the_frames_change(tmp_path, shot):
    frames, pattern, points = shot
    destination = tmp_path / "stabilised.zarr"

    def again():
        found = stabiliser(camera(pattern), "shot")
        return ingest_stabilised(frames, stabiliser=found, destination=destination).reused

    assert [again(), again()] == [False, True]
    np.save(tmp_path / "shot.npy", points.astype(np.float32) + 1)
    assert [again(), again()] == [False, True]
    video = write_video(tmp_path / "other.mp4", 90, seed=5)
    shutil.rmtree(frames, ignore_errors=True)
    ingest_frames(video, crop=CROP, fps=Fraction(30), destination=frames)
    assert [again(), again()] == [False, True]


@pytest.mark.parametrize("frames_of_file", [80, 100])
def test_landmarks_of_another_length_leave_nothing_behind(tmp_path, shot, frames_of_file):
    frames, pattern, points = shot
    np.save(tmp_path / "shot.npy", np.resize(points, (frames_of_file, 68, 2)))
    destination = tmp_path / "stabilised.zarr"
    with pytest.raises(LandmarksError, match=f"{frames_of_file} frames, the footage has 90"):
        ingest_stabilised(
            frames, stabiliser=stabiliser(camera(pattern), "shot"), destination=destination
        )
    assert not destination.exists()
