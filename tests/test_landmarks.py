"""Landmark files and settings: points as they are in the file, and whatever is wrong named with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_face import moved, upright_points
from tiny_production import make_production

from facecap_core.errors import LandmarksError, ProductionError
from facecap_core.footage.landmark_file import FileLandmarks
from facecap_core.productions.production import load_production


def test_points_from_files_are_those_in_them(tmp_path):
    points = np.stack([moved(upright_points(), 2 * i, (i, -i)) for i in range(5)])
    np.save(tmp_path / "a.npy", points.astype(np.float32))
    write_csv(tmp_path / "a.csv", points)
    for suffix in ("npy", "csv"):
        landmarks = FileLandmarks(tmp_path / f"a.{suffix}")
        assert landmarks.frames == 5
        found = landmarks(np.zeros((2, 320, 240), np.uint8), 2)
        np.testing.assert_allclose(found, points[2:4], atol=1e-4)
        landmarks.check_frames(5)
        with pytest.raises(LandmarksError, match="5 frames, the footage has 4"):
            landmarks.check_frames(4)
        with pytest.raises(LandmarksError, match="5 frames, the footage has 6 or more"):
            landmarks(np.zeros((3, 320, 240), np.uint8), 3)


def write_csv(path, points, header=None):
    names = [f"{axis}_{i}" for axis in "xy" for i in range(68)]  # as OpenFace orders them
    lines = [", ".join(["frame", *(header or names)])]
    for number, frame in enumerate(points):
        lines.append(", ".join(map(str, [number, *frame[:, 0], *frame[:, 1]])))
    path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n\r\n", encoding="utf-8")


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def hostile_npy():
    good = np.stack([upright_points()] * 3)
    return {
        "pickle": np.array([Evil()], dtype=object),
        "shape": good[:, :67],
        "one frame": good[0],
        "text": good.astype(str),
        "no frames": good[:0],
        "NaN": np.where(good == good[2, 40, 1], np.nan, good),
        "infinite": good + [[[np.inf, 0]]],
        "wild": good * 1e9,
        "beyond float32": good * 1e200,
        "mirrored": good * [-1, 1] + [240, 0],
        "fields": np.zeros((3, 68, 2), dtype=[("x", "f4")]),
    }


@pytest.mark.parametrize("kind", hostile_npy())
def test_what_is_no_npy_of_landmarks(tmp_path, kind):
    path = tmp_path / "a.npy"
    np.save(path, hostile_npy()[kind], allow_pickle=True)
    with pytest.raises(LandmarksError) as caught:
        FileLandmarks(path)
    assert caught.value.fault.file == str(path)
    assert caught.value.fault.remedy


def test_a_frame_that_is_wrong_is_named(tmp_path):
    points = np.stack([upright_points()] * 5)
    points[3, 50, 0] = np.nan
    np.save(tmp_path / "a.npy", points)
    with pytest.raises(LandmarksError, match="frame 3"):
        FileLandmarks(tmp_path / "a.npy")


def test_damaged_npy_files(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.stack([upright_points()] * 3))
    whole = path.read_bytes()
    huge = whole.replace(b"(3, 68, 2)", b"(9" + b"9" * 12 + b", 68, 2)")[: len(whole)]
    for content in (b"", whole[:5], whole[:60], whole[:-1], huge, b"PK\3\4" + whole, whole[9:]):
        path.write_bytes(content)
        with pytest.raises(LandmarksError):
            FileLandmarks(path)
    with pytest.raises(LandmarksError, match="no such file"):
        FileLandmarks(tmp_path / "absent.npy")
    with pytest.raises(LandmarksError, match="no such file"):
        FileLandmarks(tmp_path)


SPOILT_CSV = {  # old, new, the line that is named, what is said of it
    "no last column": ("y_67", "y_66", 1, "no column y_66"),
    "a column twice": ("x_0,", "x_9,", 1, "no column x_0"),
    "no number": ("\n1, ", "\n1, oops", 3, "oops"),
    "a cell too few": (", 120.", "", 2, "missing"),
    "no finite number": ("\n1, ", "\n1, nan, ", None, "frame 1"),
    "an open quote": ("\n2, ", '\n"2, ', 5, "end of data"),
}


@pytest.mark.parametrize("kind", SPOILT_CSV)
def test_a_fault_of_a_csv_has_its_line(tmp_path, kind):
    old, new, line, message = SPOILT_CSV[kind]
    path = tmp_path / "a.csv"
    write_csv(path, np.stack([upright_points()] * 3))
    text = path.read_text(encoding="utf-8-sig")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(LandmarksError, match=message) as caught:
        FileLandmarks(path)
    assert line is None or caught.value.fault.line == line


def test_a_csv_of_nothing(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, [])
    header = path.read_text()
    for content, message in (("", "no column x_0"), (header, "no points"), ("\xff\xfe", "utf-8")):
        path.write_text(content, encoding="latin-1" if "\xff" in content else "utf-8")
        with pytest.raises(LandmarksError, match=message):
            FileLandmarks(path)


def with_landmarks(folder: Path, value: str) -> Path:
    settings = folder / "production.toml"
    settings.write_text(settings.read_text() + f"landmarks = {value}\n")
    return folder


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ('"dlib"', None),
        ('"points/{shot}.npy"', "points/bulk_0.npy"),
        ('"points/{shot}/center.csv"', "points/bulk_0/center.csv"),
        ('"/points/{shot}.NPY"', "/points/bulk_0.NPY"),
        ('"studio_68.dat"', "studio_68.dat"),
    ],
)
def test_landmarks_in_the_settings(tmp_path, value, path):
    folder = with_landmarks(make_production(tmp_path / "p", bulk=1), value)
    found = load_production(folder).actors["ada"].cameras["center"]
    assert found.landmark_path("bulk_0") == (folder / path if path else None)


@pytest.mark.parametrize(
    "value",
    [
        '"yes"',
        '"points.npy"',
        '"{shot}.dat"',
        '"{shot}.txt"',
        '"{shot}{take}.npy"',
        '"{shot.npy"',
        '""',
        "7",
    ],
)
def test_what_cannot_be_landmarks(tmp_path, value):
    folder = with_landmarks(make_production(tmp_path / "p"), value)
    with pytest.raises(ProductionError) as caught:
        load_production(folder)
    fault = caught.value.faults[0]
    assert (fault.line, "landmarks" in fault.message) == (9, True)
    assert "{shot}.npy" in fault.remedy
