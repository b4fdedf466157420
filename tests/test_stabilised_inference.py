"""Inference with a model that was trained on stabilised pictures."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from made_face import moved, upright_points
from tiny_model import CROP, save_tiny_model
from tiny_production import TEMPLATE, write_video

from facecap_core.errors import LandmarksError, ModelError
from facecap_core.footage.input_stabilisation import stabiliser
from facecap_core.inference import infer_shot
from facecap_core.ingest import ingest_frames, ingest_stabilised
from facecap_core.learning.model import load_model
from facecap_core.productions.production_toml import CameraSettings
from facecap_core.stores.groups import open_frames, open_vertices
from facecap_core.template import read_template

FPS = Fraction(30)
FRAMES = 40


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actor")
    (folder / "template.obj").write_text(TEMPLATE)
    template = read_template(folder / "template.obj")
    saved = save_tiny_model(folder / "m1", template, actor="a", model="m1", units="cm")
    facts = json.loads((saved / "model.json").read_text())
    facts["config"]["stabilised_input"] = True
    (saved / "model.json").write_text(json.dumps(facts))
    return saved


def camera(tmp_path, frames=FRAMES):
    points = np.stack([moved(upright_points(), i % 7 - 3, (i % 5, 0)) for i in range(frames)])
    np.save(tmp_path / "shot.npy", points.astype(np.float32))
    return CameraSettings(crop=CROP, landmarks=str(tmp_path / "{shot}.npy"))


def solve(model, video, destination, settings=None):
    def stabiliser_of(name):
        return None if settings is None else stabiliser(settings, "shot")

    return infer_shot(
        model,
        {"center": video},
        fps=FPS,
        destination=destination,
        stabiliser_of=stabiliser_of,
        device="cpu",
        threads=1,
    )


def test_it_sees_the_pictures_that_training_saw(tmp_path, model):
    video, settings = write_video(tmp_path / "shot.mp4", FRAMES), camera(tmp_path)
    ingest_frames(video, crop=CROP, fps=FPS, destination=tmp_path / "f.zarr")
    ingest_stabilised(
        tmp_path / "f.zarr",
        stabiliser=stabiliser(settings, "shot"),
        destination=tmp_path / "s.zarr",
    )
    network = load_model(model, "cpu")
    still, moving = (
        network.predict(open_frames(tmp_path / name).read("luma")) for name in ("s.zarr", "f.zarr")
    )
    assert solve(model, video, tmp_path / "v.zarr", settings).frames == FRAMES
    found = open_vertices(tmp_path / "v.zarr").read("positions")
    np.testing.assert_allclose(found, still, rtol=1e-4, atol=1e-5)
    assert np.abs(found - moving).max() > 1e-3


def test_other_landmarks_make_other_vertices(tmp_path, model):
    video, settings = write_video(tmp_path / "shot.mp4", FRAMES), camera(tmp_path)
    assert not solve(model, video, tmp_path / "v.zarr", settings).reused
    assert solve(model, video, tmp_path / "v.zarr", settings).reused
    np.save(tmp_path / "shot.npy", np.load(tmp_path / "shot.npy") + 2)
    assert not solve(model, video, tmp_path / "v.zarr", settings).reused


def test_without_landmarks_or_with_those_of_another_shot_it_is_refused(tmp_path, model):
    video = write_video(tmp_path / "shot.mp4", FRAMES)
    with pytest.raises(ModelError, match=r"camera center has no landmarks.*production\.toml"):
        solve(model, video, tmp_path / "v.zarr")
    for frames in (FRAMES - 3, FRAMES + 3):
        with pytest.raises(LandmarksError, match=f"{frames} frames"):
            solve(model, video, tmp_path / "v.zarr", camera(tmp_path, frames))
    assert not (tmp_path / "v.zarr").exists()
