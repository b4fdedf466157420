"""A shot's way: footage into a frame store, and through a model into a vertex store."""

from __future__ import annotations

import os
import threading
from fractions import Fraction

import av
import footage_files
import numpy as np
import pytest
import torch
from tiny_model import CROP, save_tiny_model
from tiny_production import TEMPLATE, write_video

from facecap_core.errors import (
    Cancelled,
    FootageError,
    FootageTruncated,
    ModelError,
    PictureSizeError,
    PointCacheError,
)
from facecap_core.frame_names import FrameNames
from facecap_core.inference import infer_shot
from facecap_core.ingest import ingest_frames, ingest_targets
from facecap_core.learning.lanes import Lanes
from facecap_core.learning.model import Model, load_model, save_model
from facecap_core.learning.trainingset import ShotPaths, load_examples
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.stores.groups import open_frames, open_targets, open_vertices
from facecap_core.template import read_template

FPS = Fraction(30)
FRAMES = 150


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("footage") / "shot.mp4", FRAMES)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("actor") / "template.obj"
    path.write_text(TEMPLATE)
    return read_template(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory, template):
    folder = tmp_path_factory.mktemp("store") / "m1"
    return save_tiny_model(folder, template, actor="a", model="m1", units="m")


def test_frames_and_targets_are_stored_as_the_contract_says(tmp_path, video, template):
    frames, targets = tmp_path / "f" / "center.zarr", tmp_path / "t.zarr"
    first = ingest_frames(video, crop=CROP, fps=FPS, destination=frames)
    assert (first.frames, first.reused, first.picture_size) == (FRAMES, False, (48, 64))
    store = open_frames(frames)
    assert store.shape("luma") == (FRAMES, 320, 240)
    np.testing.assert_allclose(store.read("pts_seconds"), np.arange(FRAMES) / 30, atol=1e-6)
    assert store.attributes["made"]["versions"]["av"] == av.__version__

    positions = np.random.default_rng(0).normal(size=(FRAMES, 4, 3)).astype(np.float32)
    write_pc2(tmp_path / "c.pc2", positions)
    ingest_targets(
        tmp_path / "c.pc2",
        template=template,
        units="m",
        fps=FPS,
        destination=targets,
        expected_frames=FRAMES,
    )
    np.testing.assert_array_equal(open_targets(targets).read("positions"), positions)
    examples = load_examples([ShotPaths("s", (frames,), targets)], units="m", input_size=(120, 160))
    assert examples.luma.shape == (FRAMES, 1, 160, 120)
    np.testing.assert_allclose(  # the network learns in cm
        examples.positions.numpy(), positions.reshape(FRAMES, -1) * 100, rtol=1e-6
    )


def test_with_a_device_or_without_the_same_pictures_and_vertices(tmp_path, video, model):
    made = []
    for hardware in (False, True):
        frames, vertices = tmp_path / f"f{hardware}.zarr", tmp_path / f"v{hardware}.zarr"
        ingested = ingest_frames(video, crop=CROP, fps=FPS, destination=frames, hardware=hardware)
        solved = infer_shot(
            model,
            {"center": video},
            fps=FPS,
            destination=vertices,
            hardware=hardware,
            device="cpu",
            threads=1,
        )
        # Where a device was asked for, the log says what became of that.
        for result in (ingested, solved):
            assert ("(" in result.decoder) is hardware, result.decoder
        made.append((open_frames(frames).read("luma"), open_vertices(vertices).read("positions")))
    for one, other in zip(*made, strict=True):
        assert np.array_equal(one, other)


def test_the_same_input_is_not_decoded_twice_and_changed_input_is(tmp_path):
    video, store = write_video(tmp_path / "a.mp4", frames=20), tmp_path / "s.zarr"
    ingest_frames(video, crop=CROP, fps=FPS, destination=store)
    made = os.path.realpath(store)
    assert ingest_frames(video, crop=CROP, fps=FPS, destination=store).reused
    assert os.path.realpath(store) == made
    assert not ingest_frames(video, crop=(2, 0, 46, 64), fps=FPS, destination=store).reused
    write_video(tmp_path / "a.mp4", frames=21, seed=1)
    assert ingest_frames(video, crop=(2, 0, 46, 64), fps=FPS, destination=store).frames == 21


def test_a_truncated_shot_leaves_nothing(tmp_path, video):
    short = tmp_path / "short.mp4"
    short.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises(FootageTruncated) as caught:
        ingest_frames(short, crop=CROP, fps=FPS, destination=tmp_path / "s.zarr")
    assert "short.mp4" in str(caught.value)
    assert not (tmp_path / "s.zarr").exists()


def test_a_cache_of_another_length_is_refused(tmp_path, template):
    write_pc2(tmp_path / "c.pc2", np.zeros((10, 4, 3), np.float32))
    with pytest.raises(PointCacheError, match="10 frames, its video has 11"):
        ingest_targets(
            tmp_path / "c.pc2",
            template=template,
            units="cm",
            fps=FPS,
            destination=tmp_path / "t.zarr",
            expected_frames=11,
        )
    assert not (tmp_path / "t.zarr").exists()


def test_vertices_are_what_the_network_says_frame_by_frame(tmp_path, video, model):
    ingest_frames(video, crop=CROP, fps=FPS, destination=tmp_path / "f.zarr")
    luma = open_frames(tmp_path / "f.zarr").read("luma")
    expected = load_model(model, "cpu").predict(luma)
    out = tmp_path / "v.zarr"
    result = infer_shot(
        model,
        {"center": video},
        fps=FPS,
        destination=out,
        provenance={"shot": "s"},
        device="cpu",
        threads=1,
    )
    assert (result.frames, result.reused) == (FRAMES, False)
    store = open_vertices(out)
    # Batches differ in size here, and with them the order of sums.
    np.testing.assert_allclose(store.read("positions"), expected, rtol=1e-4, atol=1e-6)
    for name in ("confidence", "predicted_rmse_mm", "novelty"):
        assert store.read(name).shape == (FRAMES,)
        assert np.isnan(store.read(name)).all(), "the model has no calibration"
    facts = store.attributes
    assert (facts["shot"], facts["actor"], facts["model"], facts["fps"]) == ("s", "a", "m1", "30")
    assert (facts["units"], facts["start_frame"]) == ("m", 0)
    assert (facts["crops"], facts["stabilised_input"]) == ({"center": list(CROP)}, False)
    assert len(facts["footage_fingerprint"]) == len(facts["model_fingerprint"]) == 32
    assert facts["made"]["engine"] == load_model(model, "cpu").solver(luma[:, None]).name
    assert infer_shot(model, {"center": video}, fps=FPS, destination=out, device="cpu").reused


def test_stores_say_where_the_footage_starts(tmp_path, model):
    film = footage_files.write_video(tmp_path / "a.mov", size=(48, 64), timecode="10:20:30:12")
    stills = footage_files.write_images(
        tmp_path, "b.%04d.png", numbers=[1001, 1002, 1003], size=(48, 64)
    )
    for number, footage in enumerate((film, stills)):
        frames, vertices = tmp_path / f"f{number}.zarr", tmp_path / f"v{number}.zarr"
        ingest_frames(footage, crop=CROP, fps=FPS, destination=frames)
        infer_shot(model, {"center": footage}, fps=FPS, destination=vertices, device="cpu")
        for store in (open_frames(frames), open_vertices(vertices)):
            names = FrameNames.of(store.attributes, store.path)
            assert names == (
                FrameNames(FPS, 0, "10:20:30:12") if footage is film else FrameNames(FPS, 1001)
            )


def test_two_runs_give_the_same_bytes(tmp_path, video, model):
    for name in "ab":
        infer_shot(
            model, {"center": video}, fps=FPS, destination=tmp_path / name, device="cpu", threads=1
        )
    first, second = (open_vertices(tmp_path / name).read("positions") for name in "ab")
    assert first.tobytes() == second.tobytes()


def test_a_shot_in_lanes_as_on_a_gpu_is_the_same(tmp_path, video, model, monkeypatch):
    plain, laned = tmp_path / "plain", tmp_path / "laned"
    # Both in float32, which the fastest engine of this machine may not be.
    monkeypatch.setattr(Model, "solver", lambda self, luma, views: self.engine(views))
    infer_shot(model, {"center": video}, fps=FPS, destination=plain, device="cpu", threads=1)
    monkeypatch.setattr(Model, "solver", lambda self, luma, views: Lanes(self.engine(views)))
    infer_shot(model, {"center": video}, fps=FPS, destination=laned, device="cpu", threads=1)
    # The last batch is padded, which may change the order of sums.
    np.testing.assert_allclose(
        open_vertices(laned).read("positions"),
        open_vertices(plain).read("positions"),
        rtol=1e-5,
        atol=1e-6,
    )


def test_positions_that_are_not_numbers_are_not_stored(tmp_path, video, model):
    loaded = load_model(model)
    weights = loaded.network.state_dict()
    weights["fc.bias"] = torch.full_like(weights["fc.bias"], torch.inf)
    save_model(tmp_path / "m", weights, loaded.facts, [])
    out = tmp_path / "v.zarr"
    with pytest.raises(ModelError, match="not numbers"):
        infer_shot(tmp_path / "m", {"center": video}, fps=FPS, destination=out, device="cpu")
    assert not out.exists()


def test_footage_framed_otherwise_is_refused(tmp_path, model):
    wide = write_video(tmp_path / "wide.mp4", frames=5, size=(96, 64))
    with pytest.raises(PictureSizeError):
        infer_shot(model, {"center": wide}, fps=FPS, destination=tmp_path / "v.zarr", device="cpu")
    assert not (tmp_path / "v.zarr").exists()


def test_a_fault_in_mid_shot_leaves_nothing_and_no_thread(tmp_path, video, model):
    short = tmp_path / "short.mp4"
    # Fragments play up to where the file ends, so the fault appears in the middle of the work.
    with (
        av.open(str(video)) as source,
        av.open(
            str(short), "w", options={"movflags": "frag_keyframe+empty_moov", "frag_size": "4000"}
        ) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = bytearray(short.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    short.write_bytes(content)
    before = threading.active_count()
    with pytest.raises(FootageError, match=r"short\.mp4"):
        infer_shot(model, {"center": short}, fps=FPS, destination=tmp_path / "v.zarr", device="cpu")
    assert not (tmp_path / "v.zarr").exists()
    assert threading.active_count() == before


def test_cancelling_leaves_nothing(tmp_path, video, model):
    with pytest.raises(Cancelled):
        infer_shot(
            model,
            {"center": video},
            fps=FPS,
            destination=tmp_path / "v.zarr",
            device="cpu",
            on_progress=lambda progress: progress.done < 64,
        )
    assert not (tmp_path / "v.zarr").exists()
