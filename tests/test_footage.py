"""Footage: every codec and container, crops, turns, batches, threads."""

from __future__ import annotations

import os
from collections import deque
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage_files import FPS, FRAMES, SIZE, decoded_levels, picture, read, reference, write_video

from facecap_core.errors import CropOutsidePicture
from facecap_core.footage import video_file
from facecap_core.footage.footage import Footage
from facecap_core.footage.source import count_packets, probe
from facecap_core.footage.video_container import open_video

CODECS = [
    ("shot.mp4", "libx264", "yuv420p", False, {"bf": "3"}),
    ("shot.mov", "libx264", "yuv420p10le", False, {}),
    ("shot.mkv", "libx264", "yuv422p", True, {}),
    ("shot.avi", "libx264", "yuv420p", False, {"bf": "2"}),
    ("shot.ts", "libx264", "yuv420p", False, {}),
    ("shot.h264", "libx264", "yuv420p", False, {"bf": "2"}),
    ("shot.mp4", "libx265", "yuv420p10le", True, {}),
    ("shot.mkv", "libx265", "yuv420p12le", False, {}),
    ("shot.mp4", "mpeg4", "yuv420p", False, {}),
    ("shot.avi", "mpeg4", "yuv420p", False, {"bf": "2"}),
    ("shot.mov", "prores_ks", "yuv422p10le", False, {}),
    ("shot.mkv", "ffv1", "yuv420p16le", False, {}),
    ("shot.mkv", "ffv1", "gray10le", True, {}),
    ("shot.webm", "libvpx-vp9", "yuv420p", False, {}),
    ("shot.mov", "mjpeg", "yuvj420p", True, {}),
    ("shot.mjpeg", "mjpeg", "yuvj422p", True, {}),
    ("shot.mxf", "mpeg2video", "yuv420p", False, {}),
    ("shot.y4m", "rawvideo", "yuv420p", False, {}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "full_range", "options"), CODECS)
def test_codecs(
    tmp_path: Path,
    name: str,
    codec: str,
    pixel_format: str,
    full_range: bool,
    options: dict[str, str],
) -> None:
    path = write_video(tmp_path / name, codec, pixel_format, full_range=full_range, options=options)
    crop = (5, 7, 83, 111)
    batches = list(Footage(path, crop=crop, fps=FPS).batches(6))
    assert [len(batch.luma) for batch in batches] == [6, 6, 2]
    assert count_packets(path) == FRAMES
    assert probe(path).picture_size == SIZE
    seconds = np.concatenate([batch.pts_seconds for batch in batches])
    assert seconds - seconds[0] == pytest.approx(np.arange(FRAMES) / 30, abs=1e-3)
    luma = np.concatenate([batch.luma for batch in batches])
    levels = decoded_levels(path, limited=not full_range)
    assert len(levels) == FRAMES
    for index in range(0, FRAMES, 4):
        assert np.abs(luma[index] - reference(levels[index], crop)).max() <= 1


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_crop_is_in_the_picture_as_displayed(tmp_path: Path, rotation: int) -> None:
    path = write_video(tmp_path / "phone.mp4", rotation=rotation)
    crop = (3, 11, 61, 73)
    luma = read(path, crop=crop)
    levels = decoded_levels(path, limited=True)
    for ours, coded in list(zip(luma, levels, strict=True))[::5]:
        # FFmpeg's rotation counts against the clock, as numpy's does.
        assert np.abs(ours - reference(np.rot90(coded, rotation // 90), crop)).max() <= 1
    info = probe(path)
    assert info.picture_size == (SIZE if rotation % 180 == 0 else SIZE[::-1])
    assert info.rotation_degrees == (360 - rotation) % 360


def test_more_threads_give_the_same(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4", options={"bf": "3"})
    np.testing.assert_array_equal(read(path), read(path, threads=2))


def test_every_batch_has_memory_of_its_own(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    batches = list(Footage(path, crop=(0, 0, *SIZE), fps=FPS).batches(4))
    np.testing.assert_array_equal(np.concatenate([b.luma for b in batches]), read(path))


def test_a_consumer_that_stops_leaves_no_file_open(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    before = len(os.listdir("/proc/self/fd"))
    frames = iter(Footage(path, crop=(0, 0, 90, 90), fps=FPS))
    next(frames)
    assert len(os.listdir("/proc/self/fd")) > before
    frames.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with Footage(path, crop=(0, 0, 90, 90), fps=FPS):
        assert len(os.listdir("/proc/self/fd")) > before
    with pytest.raises(CropOutsidePicture):
        Footage(path, crop=(0, 0, 900, 90), fps=FPS)
    assert len(os.listdir("/proc/self/fd")) == before


def test_footage_can_be_read_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    footage = Footage(path, crop=(1, 2, 90, 90), fps=FPS)
    first, second = (np.stack([frame.luma for frame in footage]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_cover_art_is_not_the_video(tmp_path: Path) -> None:
    path = tmp_path / "shot.mp4"
    with av.open(path, "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        video = container.add_stream("mpeg4", rate=FPS)
        cover.disposition = av.stream.Disposition.attached_pic
        assert isinstance(cover, av.VideoStream)
        assert isinstance(video, av.VideoStream)
        cover.width, cover.height, cover.pix_fmt = *SIZE, "yuvj420p"
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for stream, pixel_format, count in ((cover, "yuvj420p", 1), (video, "yuv420p", 5)):
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(picture(index), "rgb24")
                container.mux(stream.encode(frame.reformat(format=pixel_format)))
            container.mux(stream.encode())
    with av.open(path) as container:
        assert len(container.streams.video) == 2
    assert probe(path).codec == "mpeg4"
    assert len(read(path)) == 5


@pytest.mark.parametrize(
    ("name", "fps", "written", "told"),
    [
        ("a.mov", Fraction(30000, 1001), "01:02:03;04", "01:02:03;04"),
        ("a.mp4", Fraction(24000, 1001), "10:00:00:00", "10:00:00:00"),
        ("a.mkv", Fraction(25), "01:00:00:12", "01:00:00:12"),
        ("a.mkv", Fraction(30000, 1001), "01:00:00.12", "01:00:00;12"),
        ("a.mkv", Fraction(25), "after lunch", None),
        ("a.mp4", Fraction(25), None, None),
    ],
)
def test_the_timecode_of_the_first_picture_is_told(
    tmp_path: Path, name: str, fps: Fraction, written: str | None, told: str | None
) -> None:
    info = probe(write_video(tmp_path / name, fps=fps, timecode=written))
    assert info.start_timecode == told
    assert info.start == {"start_frame": 0} | ({"start_timecode": told} if told else {})


@pytest.mark.parametrize("name", ["shot.mp4", "shot.avi", "shot.mkv", "shot.h264"])
def test_no_time_stamps_pile_up_in_a_long_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kept: list[deque[int | None]] = []

    def keep() -> deque[int | None]:
        kept.append(deque())
        return kept[-1]

    monkeypatch.setattr(video_file, "deque", keep)
    path = write_video(tmp_path / name, options={"bf": "2"}, stamps=range(100))
    with open_video(path) as video:
        for _ in video.pictures():
            assert all(len(waiting) < 10 for waiting in kept)
