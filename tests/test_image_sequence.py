"""Image sequences: numbered files read as a shot, and what can be wrong with them."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from footage_files import SIZE, picture, read, reference, write_images

from facecap_core.checks.footage_check import check_footage
from facecap_core.errors import FootageEmpty, FootageError, FootageUnreadable
from facecap_core.footage.footage import Footage
from facecap_core.footage.source import count_packets, probe


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "tolerance"),
    [
        ("shot.%04d.png", "png", "rgb24", 1),
        ("take-2_%d.png", "png", "rgba", 1),
        ("shot%03d.png", "png", "rgb48be", 1),
        ("shot.%04d.tif", "tiff", "rgb24", 1),
        ("shot.%04d.jpg", "mjpeg", "yuvj444p", 4),
    ],
)
def test_image_sequences(
    tmp_path: Path, name: str, codec: str, pixel_format: str, tolerance: float
) -> None:
    path = write_images(
        tmp_path, name, codec=codec, pixel_format=pixel_format, numbers=range(98, 103)
    )
    (tmp_path / "other.0001.png").write_text("of another sequence")
    crop = (1, 2, 91, 101)
    frames = list(Footage(path, crop=crop, fps=Fraction(24)))
    assert [frame.pts_seconds for frame in frames] == [i / 24 for i in range(5)]
    assert count_packets(path) == probe(path).frames_from_header == 5
    for index, frame in enumerate(frames):
        weights = np.array((0.299, 0.587, 0.114) if codec == "mjpeg" else (0.2126, 0.7152, 0.0722))
        expected = reference(picture(index).astype(np.float64) @ weights, crop)
        assert np.abs(frame.luma - expected).max() <= tolerance


def test_scene_linear_images(tmp_path: Path) -> None:
    path = write_images(tmp_path, "shot.%04d.exr", codec="exr", pixel_format="gbrpf32le")
    assert len(read(path)) == 5
    light = np.stack(
        [
            reference(picture(0)[:, :, channel].astype(np.float64), (0, 0, *SIZE))
            for channel in range(3)
        ]
    )
    light /= 255
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    expected = 255 * np.tensordot((0.2126, 0.7152, 0.0722), curve, axes=1)
    assert np.abs(read(path)[0] - expected).max() <= 1


@pytest.mark.parametrize(
    ("transfer", "logarithmic"), [(1, True), (2, False), (3, True), (4, False), (6, False)]
)
def test_logarithmic_dpx_is_told(tmp_path: Path, transfer: int, logarithmic: bool) -> None:
    path = write_images(tmp_path, "shot.%04d.dpx", codec="dpx", pixel_format="gbrp10le")
    for file in tmp_path.glob("*.dpx"):
        data = bytearray(file.read_bytes())
        data[801] = transfer
        file.write_bytes(data)
    facts = check_footage(path, crop=(0, 0, *SIZE), fps=Fraction(30))
    assert not facts.faults
    told = [warning.message for warning in facts.warnings]
    assert [message.startswith("its levels are logarithmic") for message in told] == (
        [True] if logarithmic else []
    )


def test_a_photograph_taken_upright(tmp_path: Path) -> None:
    path = write_images(tmp_path, "shot.%04d.jpg", codec="mjpeg", pixel_format="yuvj444p")
    orientation = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0)
    segment = b"Exif\0\0" + orientation
    for file in tmp_path.glob("*.jpg"):
        data = file.read_bytes()
        exif = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
        file.write_bytes(data[:2] + exif + data[2:])
    assert probe(path).picture_size == SIZE[::-1]
    weights = np.array((0.299, 0.587, 0.114))
    clockwise = np.rot90(picture(0).astype(np.float64) @ weights, -1)
    assert np.abs(read(path)[0] - reference(clockwise, (0, 0, *SIZE[::-1]))).max() <= 4


def test_a_gap_names_the_missing_file(tmp_path: Path) -> None:
    path = write_images(tmp_path, "shot.%04d.png", numbers=[7, 8, 10, 11])
    with pytest.raises(FootageError, match=r"shot\.0009\.png is missing") as error:
        probe(path)
    assert error.value.fault.file == str(tmp_path / "shot.0009.png")


def test_a_sequence_starts_with_the_number_of_its_first_file(tmp_path: Path) -> None:
    info = probe(write_images(tmp_path, "shot.%04d.png", numbers=[1001, 1002, 1003]))
    assert info.start == {"start_frame": 1001}


def test_the_bad_picture_of_a_sequence_is_named(tmp_path: Path) -> None:
    path = write_images(tmp_path, "shot.%04d.png")
    good = (tmp_path / "shot.0004.png").read_bytes()
    for data, kind in ((b"", FootageEmpty), (good[:500], FootageUnreadable)):
        (tmp_path / "shot.0004.png").write_bytes(data)
        with pytest.raises(kind) as error:
            read(path)
        assert error.value.fault.file == str(tmp_path / "shot.0004.png")


def test_patterns_that_cannot_be(tmp_path: Path) -> None:
    for name in ("a.%04d.%04d.png", "a.%04d.xyz", "a.%04d%s.png"):
        with pytest.raises(FootageError):
            probe(tmp_path / name)
