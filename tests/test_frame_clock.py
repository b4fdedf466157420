"""Frame clock: times of pictures that pass, and those that are another or no constant rate."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from footage_files import FPS, FRAMES, read, write_video

from facecap_core.errors import FrameRateError
from facecap_core.footage.footage import Footage
from facecap_core.footage.source import count_packets, probe


def test_ntsc_rate_in_milliseconds(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    path = write_video(tmp_path / "shot.mkv", "mpeg4", fps=rate, stamps=range(400), size=(32, 32))
    assert len(read(path, fps=rate)) == 400
    with pytest.raises(FrameRateError, match=r"runs at 29\.97 fps, the production at 30"):
        read(path)


@pytest.mark.parametrize("name", ["shot.mp4", "shot.mkv", "shot.mov"])
def test_footage_may_start_later(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, stamps=range(10, 24), options={"bf": "2"})
    times = [frame.pts_seconds for frame in Footage(path, crop=(0, 0, 96, 96), fps=FPS)]
    assert times == pytest.approx((np.arange(FRAMES) + 10) / 30, abs=2e-3)


def test_pictures_hidden_by_an_edit_list_are_not_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4", stamps=range(-5, 9))
    assert probe(path).frames_from_header == FRAMES
    assert count_packets(path) == len(read(path)) == FRAMES - 5


def test_jitter_within_a_quarter_frame_passes(tmp_path: Path) -> None:
    jitter = [0, 200, -300, 500, -600, 100, 0, 0, 300, -200]
    stamps = [index * 3000 + offset for index, offset in enumerate(jitter)]
    path = write_video(tmp_path / "shot.mp4", stamps=stamps, time_base=Fraction(1, 90000))
    assert len(read(path)) == len(jitter)


@pytest.mark.parametrize("name", ["shot.mp4", "shot.mkv", "shot.avi"])
def test_a_dropped_frame_is_a_variable_rate(tmp_path: Path, name: str) -> None:
    codec = "mjpeg" if name.endswith("avi") else "libx264"
    stamps = [*range(8), *range(9, 15)]
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / name, codec, pixel_format, stamps=stamps)
    with pytest.raises(FrameRateError, match="variable frame rate at frame 8") as error:
        read(path)
    assert error.value.fault.file == str(path)
    assert "constant 30 fps" in error.value.fault.remedy


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(60), Fraction(30000, 1001)])
def test_another_rate_says_both(tmp_path: Path, fps: Fraction) -> None:
    path = write_video(tmp_path / "shot.mp4", fps=fps)
    assert len(read(path, fps=fps)) == FRAMES
    with pytest.raises(
        FrameRateError, match=rf"runs at {float(fps):.5g} fps, the production at 30"
    ):
        read(path)
