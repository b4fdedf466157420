"""Hardware decoder: chosen when it gives the same pictures faster, left alone when it fails."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from footage_files import FPS, SIZE, read, write_video

from facecap_core.errors import FootageTruncated, FootageUnreadable
from facecap_core.footage import hardware_decoder, video_container
from facecap_core.footage.footage import Footage
from facecap_core.footage.hardware_decoder import Choice, choose_device
from facecap_core.footage.picture import PictureFilter
from facecap_core.footage.video_container import open_video

CROP = (4, 6, 80, 120)


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware_decoder, "_choices", {})


@pytest.fixture
def processor_as_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a device would decode, the processor does."""
    monkeypatch.setattr(video_container, "_accelerator", lambda device: None)


def choose(path: Path, device: str) -> Choice:
    make = lambda first: PictureFilter(CROP, first, codec="h264")  # noqa: E731
    return choose_device(path, make, device)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    with pytest.raises(FootageUnreadable), open_video(path, device="qsv"):
        pass
    assert choose(path, "qsv").device is None
    assert "does not decode it" in choose(path, "qsv").reason
    assert choose(path, "abacus") == Choice(None, "FFmpeg was built without abacus")


def test_a_codec_that_no_device_decodes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mov", "prores_ks", "yuv422p10le")
    assert choose(path, "cuda").device is None


def test_the_faster_of_the_same(
    tmp_path: Path, processor_as_device: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "shot.mp4")
    real = hardware_decoder._decode
    factor, change = 2.0, 0

    def decode(path, make_filter, device):
        luma, _ = real(path, make_filter, device)
        return (luma + np.uint8(change), factor * 1e6) if device else (luma, 1e6)

    monkeypatch.setattr(hardware_decoder, "_decode", decode)
    assert choose(path, "cuda") == Choice("cuda", "cuda 2000000 frames/s, one thread 1000000")
    factor = 0.5
    assert choose(path, "cuda").device == "cuda"  # once for each kind of video
    hardware_decoder._choices.clear()
    assert choose(path, "cuda").device is None
    factor, change = 2.0, 1
    hardware_decoder._choices.clear()
    assert choose(path, "cuda") == Choice(None, "cuda decodes it to other pictures")


def test_pictures_from_a_device(
    tmp_path: Path, processor_as_device: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "shot.mp4", stamps=range(30), options={"g": "5"})
    one = read(path, crop=CROP)
    choice = Choice("cuda", "faster")
    monkeypatch.setattr("facecap_core.footage.footage.choose_device", lambda *_: choice)
    footage = Footage(path, crop=CROP, fps=FPS, hardware=True)
    assert footage.decoder == "cuda (faster)"
    opened: list[str | None] = []
    monkeypatch.setattr(video_container, "_accelerator", opened.append)
    assert np.array_equal(np.stack([frame.luma for frame in footage]), one)
    assert opened == ["cuda"]


def test_a_device_that_fails_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "shot.mp4")
    one = read(path)
    choice = Choice("qsv", "faster")
    monkeypatch.setattr("facecap_core.footage.footage.choose_device", lambda *_: choice)
    assert np.array_equal(read(path, hardware=True), one)  # there is none: it cannot be opened
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 900] = bytes(900)
    path.write_bytes(data)
    with pytest.raises(FootageTruncated):
        read(path, hardware=True)


def test_without_hardware_the_same_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    footage = Footage(path, crop=(0, 0, *SIZE), fps=FPS, hardware=True)
    assert footage.decoder.startswith(("one thread (", "cuda ("))
    assert np.array_equal(np.stack([frame.luma for frame in footage]), read(path))


@pytest.mark.parametrize(
    ("planar", "device_format"), [("yuv420p", "nv12"), ("yuv420p10le", "p010le")]
)
@pytest.mark.parametrize("crop", [CROP, (0, 0, 240, 320), (10, 20, 400, 500)])
def test_formats_of_devices(
    planar: str, device_format: str, crop: tuple[int, int, int, int]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 480, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(format=planar)
    given = frame.reformat(format=device_format)
    pictures = [PictureFilter(crop, f, codec="hevc")(f) for f in (frame, given)]
    assert np.array_equal(*pictures)
