"""Damaged footage: all that can be wrong with a video is a named error."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from footage_files import FPS, FRAMES, SIZE, read, write_video

from facecap_core.errors import (
    CropOutsidePicture,
    FootageEmpty,
    FootageMissing,
    FootageTruncated,
    FootageUnreadable,
    PictureSizeError,
)
from facecap_core.footage.footage import Footage
from facecap_core.footage.source import probe


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "no.mp4", tmp_path, tmp_path / "no" / "a.%04d.png", "http://x/y.mp4"):
        with pytest.raises(FootageMissing):
            probe(path)
    with pytest.raises(FootageMissing):
        probe("a\0b.mp4")


def test_not_a_video(tmp_path: Path) -> None:
    video = write_video(tmp_path / "shot.ts")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{video}\n#EXT-X-ENDLIST\n"
    texts = {
        "note.mp4": "not a video\n" * 100,
        "list.m3u8": playlist,
        "list.mp4": playlist,
        "list.ffconcat": f"ffconcat version 1.0\nfile '{video}'\n",
        "big.y4m": "YUV4MPEG2 W60000 H60000 F30:1 Ip C420jpeg\nFRAME\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(FootageUnreadable):
            probe(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(FootageUnreadable, match="not a file"):
        probe(tmp_path / "pipe.mp4")


def test_empty_file_and_sound_alone(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(FootageEmpty, match="no bytes"):
        probe(tmp_path / "empty.mp4")
    with av.open(tmp_path / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=48000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(FootageEmpty, match="no moving pictures"):
        probe(tmp_path / "sound.mp4")


@pytest.mark.parametrize("kept", [0.03, 0.5, 0.9, 0.97])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("shot.mp4", "libx264", {}),
        ("shot.mp4", "libx264", {"movflags": "faststart"}),
        ("shot.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("shot.mkv", "ffv1", {}),
        ("shot.webm", "libvpx-vp9", {}),
        ("shot.avi", "mpeg4", {}),
    ],
)
def test_a_copy_cut_short(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], kept: float
) -> None:
    path = write_video(tmp_path / name, codec, container_options=options, stamps=range(30))
    assert len(read(path)) == 30
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises((FootageTruncated, FootageUnreadable)) as error:
        read(path)
    assert kept < 0.1 or error.type is FootageTruncated
    assert error.value.fault.file == str(path)
    assert error.value.fault.remedy


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("shot.mp4", "libx264", "yuv420p"),
        ("shot.mkv", "libx264", "yuv420p"),
        ("shot.avi", "mpeg4", "yuv420p"),
        ("shot.mov", "prores_ks", "yuv422p10le"),
        ("shot.mov", "png", "rgb24"),
    ],
)
def test_damage_in_the_middle(tmp_path: Path, name: str, codec: str, pixel_format: str) -> None:
    path = write_video(tmp_path / name, codec, pixel_format, stamps=range(30))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(data)
    with pytest.raises(FootageTruncated, match="damaged after picture 1"):
        read(path)


def test_size_that_changes(tmp_path: Path) -> None:
    first = write_video(tmp_path / "a.h264")
    second = write_video(tmp_path / "b.h264", size=(128, 96))
    path = tmp_path / "both.h264"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(PictureSizeError, match="96x130 to 128x96"):
        read(path)


def test_the_required_size(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    assert len(read(path, picture_size=SIZE)) == FRAMES
    with pytest.raises(PictureSizeError, match="96x130, and must be 1200x1600"):
        read(path, picture_size=(1200, 1600))


@pytest.mark.parametrize(
    "crop",
    [
        (-1, 0, 10, 10),
        (0, -1, 10, 10),
        (0, 0, 97, 10),
        (90, 0, 7, 10),
        (0, 130, 5, 5),
        (1, 1, 0, 5),
    ],
)
def test_crops_outside(tmp_path: Path, crop: tuple[int, int, int, int]) -> None:
    path = write_video(tmp_path / "shot.mkv", "ffv1", stamps=range(1))
    with pytest.raises(CropOutsidePicture, match="96x130 picture"):
        Footage(path, crop=crop, fps=FPS)
