"""Landmark files and settings: points as they are in the file, and whatever is wrong named with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_face import moved, upright_points
from tiny_production import make_production

from facecap_core.checks.production_check import check_production
from facecap_core.errors import LandmarksError, ProductionError
from facecap_core.footage.landmark_file import FileLandmarks
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_frames
from jobs.ingest import ingest_shot
from jobs.ledger import Ledger
from jobs.planning import plan_ingest
from jobs.preflight import missing_shots
from jobs.records import Lot
from jobs.request import job_id
from jobs.shots import inputs_of
from jobs.verification import verify_job


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


def points_of(folder, shots, frames):
    (folder / "points").mkdir()
    for shot in shots:
        np.save(folder / "points" / f"{shot}.npy", np.stack([upright_points()] * frames))


def test_the_check_finds_missing_and_unfit_files(tmp_path):
    folder = make_production(tmp_path / "p", bulk=3, frames=5)
    with_landmarks(folder, '"points/{shot}.npy"')
    points_of(folder, ["bulk_0"], 5)
    np.save(folder / "points/bulk_2.npy", np.stack([upright_points()] * 4))
    found = check_production(load_production(folder)).faults
    assert [(Path(fault.file).name, fault.line) for fault in found] == [
        ("shots.csv", 3),
        ("shots.csv", 4),
    ]
    assert "no such file (points/bulk_1.npy)" in found[0].message
    assert "4 frames, the footage has 5" in found[1].message
    assert all(fault.remedy for fault in found)


def test_the_check_finds_a_missing_predictor_once(tmp_path):
    folder = with_landmarks(make_production(tmp_path / "p", bulk=2, frames=2), '"studio.dat"')
    (fault,) = check_production(load_production(folder)).faults
    assert (Path(fault.file).name, fault.line) == ("production.toml", 9)
    assert "camera center: landmarks" in fault.message


def test_ingest_makes_the_stabilised_store_which_verification_reads(tmp_path):
    folder = make_production(tmp_path / "p", train=1, frames=5)
    with_landmarks(folder, '"points/{shot}.npy"')
    points_of(folder, ["train_0"], 5)
    production = load_production(folder)
    request = plan_ingest(production, actor="ada", shots=None, camera=None)
    assert folder / "points/train_0.npy" in inputs_of(production, request, "train_0")
    ledger = Ledger.create(production.store / "jobs", request)
    assert ingest_shot(ledger, production, request, "train_0", Lot(threads=1)).state == "solved"
    store = production.paths.frames("train_0", "center", stabilised=True)
    assert open_frames(store).shape("landmarks") == (5, 68, 2)
    assert missing_shots(production, request, ledger) == []
    assert [shot.damages for shot in verify_job(production, ledger)] == [[]]
    chunk = store.resolve() / "luma/c.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    (damaged,) = verify_job(production, ledger)
    assert {damage.store for damage in damaged.damages} == {"stabilised/center"}
    store.unlink()
    assert missing_shots(production, request, ledger) == ["train_0"]
    np.save(folder / "points/train_0.npy", np.stack([upright_points()] * 5) + 1)
    again = plan_ingest(production, actor="ada", shots=None, camera=None)
    assert job_id(again) != job_id(request)


def test_a_shot_without_its_landmarks_fails_by_name(tmp_path):
    folder = make_production(tmp_path / "p", train=1, frames=5)
    production = load_production(with_landmarks(folder, '"points/{shot}.csv"'))
    request = plan_ingest(production, actor="ada", shots=None, camera=None)
    ledger = Ledger.create(production.store / "jobs", request)
    record = ingest_shot(ledger, production, request, "train_0", Lot(threads=1))
    assert (record.state, record.cause.type) == ("failed", "LandmarksError")
    assert "points/train_0.csv" in record.cause.message
