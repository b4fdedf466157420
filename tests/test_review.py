"""Reviews: the video shows every frame of the footage beside its result, and says how far that is from its target."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from solved_shots import result, solve
from tiny_production import make_production, write_video
from typer.testing import CliRunner

from facecap_core.errors import StoreError
from facecap_core.footage.footage import Footage
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from farm.app import app

FRAMES = 66  # more than a scene


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    folder = make_production(tmp_path_factory.mktemp("review") / "show", bulk=2, frames=FRAMES)
    solve(folder, "bulk_0", FRAMES)
    return folder


def run(folder, *arguments):
    return CliRunner().invoke(app, ["review", *arguments, "--production", str(folder), "--json"])


def pictures_of(path):
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (1280, 720)
        assert stream.average_rate == Fraction(30)
        return [picture.to_ndarray(format="rgb24") for picture in video.decode(stream)]


def test_every_frame_is_shown_beside_its_result(production, tmp_path):
    done = run(production, "bulk_0", "--out", str(tmp_path), "--cpus", "3")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["shots"][0]["frames"] == FRAMES
    assert told["shots"][0]["rmse_mm"] is None
    pictures = pictures_of(tmp_path / "bulk_0.mp4")
    assert len(pictures) == FRAMES
    actor = load_production(production).actors["ada"].cameras["center"]
    source = production / "footage" / "bulk_0.mp4"
    with Footage(source, crop=actor.crop, fps=Fraction(30)) as footage:
        luma = np.concatenate([batch.luma for batch in footage.batches(16)])
    # The input panel, a little left of a third of the picture: its brightness column by column.
    shown = np.stack([picture[150:550, 60:380].mean(axis=(0, 2)) for picture in pictures])
    meant = np.stack([picture[40:280].mean(axis=0) for picture in luma])
    places = np.linspace(6, 201, shown.shape[1])
    stretched = [np.interp(places, np.arange(240), columns) for columns in meant]
    like = [np.argmax([np.corrcoef(row, one)[0, 1] for one in stretched]) for row in shown]
    # The pattern comes round after 48 frames.
    assert [frame % 48 for frame in like] == [frame % 48 for frame in range(FRAMES)]
    orange = [
        picture[630:690, :, 0].mean(axis=0) - picture[630:690, :, 2].mean(axis=0)
        for picture in pictures
    ]
    cursor = [int(np.argmax(columns)) for columns in orange]
    assert cursor[0] < cursor[35] < cursor[65]


def test_the_distance_to_a_target_is_measured_and_drawn(production, tmp_path):
    write_pc2(tmp_path / "truth" / "bulk_0.pc2", result(FRAMES) + np.float32([0.3, 0, 0]))
    out = ["--out", str(tmp_path)]
    done = run(production, "bulk_0", *out, "--against", str(tmp_path / "truth"))
    assert done.exit_code == 0, done.output
    (shot,) = json.loads(done.stdout)["shots"]
    assert shot["rmse_mm"] == pytest.approx(3.0, rel=1e-4), "0.3 cm"
    assert len(pictures_of(tmp_path / "bulk_0.mp4")) == FRAMES


def test_what_cannot_be_shown_is_said_and_leaves_nothing(production, tmp_path):
    out = ["--out", str(tmp_path / "out")]
    write_pc2(tmp_path / "truth" / "bulk_0.pc2", result(FRAMES - 1))
    for arguments, words in (
        (["bulk_1"], "the shot is not solved"),
        (["bulk_0", "--against", str(tmp_path / "truth")], "65 frames in the target, 66 in"),
    ):
        done = run(production, *arguments, *out)
        assert isinstance(done.exception, StoreError), done.output
        assert words in str(done.exception)
    some = run(production, "bulk_*", *out)
    assert some.exit_code == 100
    told = json.loads(some.stdout[some.stdout.index("{") :])
    assert [shot["shot"] for shot in told["shots"]] == ["bulk_0"]
    assert list(told["failed"]) == ["bulk_1"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"bulk_0.mp4", "bulk_0.png", "bulk_0.review.json"}


@pytest.mark.parametrize("solved", [FRAMES - 3, FRAMES + 3])
def test_footage_of_another_length_is_refused(production, tmp_path, solved):
    folder = make_production(tmp_path / "show", bulk=1, frames=4)
    write_video(folder / "footage" / "bulk_0.mp4", FRAMES)
    solve(folder, "bulk_0", solved)
    done = run(folder, "bulk_0", "--out", str(tmp_path / "out"))
    assert isinstance(done.exception, StoreError)
    assert f"{solved} frames are solved" in str(done.exception)
    assert not list((tmp_path / "out").iterdir())
