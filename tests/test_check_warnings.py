"""Check's warnings: what can be solved, and looks unwise or wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from checked_production import FRAMES, LINES, SIZE, checked, edit, motion
from footage_files import write_images, write_video
from numpy.typing import NDArray

from facecap_core.errors import Fault
from facecap_core.pointcaches.pc2 import write_pc2


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copytree(sound, tmp_path / "production"))


def new_warnings(folder: Path, sound: Path) -> list[Fault]:
    known = {warning.message for warning in checked(sound).warnings}
    report = checked(folder)
    assert report.faults == []
    return [warning for warning in report.warnings if warning.message not in known]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda positions: positions * 10, "10 times the template's size"),
        (lambda positions: positions / 2.54, "0.394 times"),
        (lambda positions: positions[:, ::-1], "unlike the template"),
        (lambda positions: positions[..., [0, 2, 1]], "unlike the template"),
        (
            lambda positions: positions + np.linspace(0, 1.5, FRAMES)[:, None, None],
            "steadiest vertices",
        ),
    ],
    ids=["mm as cm", "in as cm", "other order", "other axes", "not stabilised"],
)
def test_caches_that_look_wrong_are_warned_of(
    folder: Path,
    sound: Path,
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    message: str,
) -> None:
    write_pc2(folder / "rom.pc2", np.ascontiguousarray(change(motion()), np.float32))
    (warning,) = new_warnings(folder, sound)
    assert message in warning.message
    assert warning.line == LINES["rom"]


def beginnings(warnings: list[Fault]) -> list[str]:
    return [found.message.split(",")[0] for found in warnings if " begins " in found.message]


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ("01:00:00:03", "camera left begins 3 frames after camera center"),
        ("00:59:59:28", "camera left begins 2 frames before camera center"),
        ("01:00:00:00", ""),
        ("11:22:33:00", ""),  # another clock
        (None, ""),
    ],
)
def test_cameras_that_begin_at_another_moment_are_warned_of(
    folder: Path, sound: Path, left: str | None, message: str
) -> None:
    center = "01:00:00:00"
    for name, timecode in (("rom", center), ("rom_left", left)):
        path = folder / f"{name}.mov"
        write_video(path, size=SIZE, stamps=range(FRAMES), timecode=timecode)
        edit(folder, "shots.csv", f"{name}.mp4", path.name)
    assert beginnings(new_warnings(folder, sound)) == ([f"rom: {message}"] if message else [])


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (1003, "the cache begins 2 frames after the video"),
        (1000, "the cache begins 1 frame before the video"),
        (1001, ""),
        (1, ""),
        (0, ""),
        (86400, ""),
    ],
)
def test_a_cache_that_begins_at_another_frame_than_the_pictures_is_warned_of(
    folder: Path, sound: Path, start: int, message: str
) -> None:
    (folder / "rom").mkdir()
    pattern = write_images(folder / "rom", "rom.%04d.png", size=SIZE, numbers=range(1001, 1001 + 8))
    edit(folder, "shots.csv", "rom.mp4,rom_left.mp4", f"rom/{pattern.name},")
    write_pc2(folder / "rom.pc2", motion(8, seed=1), start_frame=start)
    assert beginnings(new_warnings(folder, sound)) == ([f"rom: {message}"] if message else [])


def test_a_validation_shot_that_is_trained_on_is_warned_of(folder: Path, sound: Path) -> None:
    shutil.copy(folder / "rom.mp4", folder / "scene.mp4")
    shutil.copy(folder / "pangram.pc2", folder / "rom.pc2")
    video, cache = sorted(new_warnings(folder, sound), key=lambda found: "cache" in found.message)
    assert "its video is that of rom too" in video.message
    assert "flatters" in video.message
    assert "its cache is that of rom too" in cache.message
    assert (video.line, cache.line) == (LINES["scene"], LINES["pangram"])


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "message"),
    [
        ("shots.csv", "ada,rom,train", "ada,,train", 2, "no category"),
        ("shots.csv", "pangrams", "rom", None, "no footage of pangrams"),
        ("shots.csv", "in-character,validation,scene.mdd", ",,", None, "no validation shot"),
        ("shots.csv", "line.mp4,", ",line.mp4", 5, "no footage of camera center"),
        ("shots.csv", "\nline,", "\nROM,", 5, "differ in case only"),
        ("shots.csv", "stills,bob", "stills,ada", None, "actor bob has no shots"),
        ("production.toml", "320]", "300]", 8, "squeezed to 3:4"),
        ("production.toml", "240, 320]", "120, 160]", 8, "enlarged to 240 x 320"),
    ],
)
def test_what_is_unwise_is_warned_of(
    folder: Path, sound: Path, file: str, old: str, new: str, line: int | None, message: str
) -> None:
    edit(folder, file, old, new)
    warnings = [found for found in new_warnings(folder, sound) if message in found.message]
    assert [(warning.line, Path(warning.file).name) for warning in warnings] == [(line, file)]


def test_a_tracked_shot_without_the_camera_of_the_others_is_warned_of(
    folder: Path, sound: Path
) -> None:
    shutil.copy(folder / "line.mp4", folder / "scene_left.mp4")
    edit(folder, "shots.csv", "scene.mp4,", "scene.mp4,scene_left.mp4")
    (warning,) = _of_cameras(folder, sound)
    assert "has no footage of camera left, which ada's other tracked shots have" in warning.message
    assert (warning.line, Path(warning.file).name) == (LINES["pangram"], "shots.csv")
    shutil.copy(folder / "line.mp4", folder / "pangram_left.mp4")
    edit(folder, "shots.csv", "pangram.mp4,", "pangram.mp4,pangram_left.mp4")
    assert _of_cameras(folder, sound) == [], "bulk footage of one camera is as usual"


def _of_cameras(folder: Path, sound: Path) -> list[Fault]:
    return [found for found in new_warnings(folder, sound) if "camera" in found.message]


@pytest.mark.parametrize(("units", "size"), [("m", "m large"), ("mm", "mm large")])
def test_a_template_of_no_faces_size_is_warned_of(
    folder: Path, sound: Path, units: str, size: str
) -> None:
    edit(folder, "production.toml", 'units = "cm"', f'units = "{units}"')
    sizes = [warning for warning in new_warnings(folder, sound) if size in warning.message]
    assert [warning.message.partition(":")[0] for warning in sizes] == ["actor ada", "actor bob"]
    assert sizes[0].remedy == f"units is {units!r}: is it m, cm, mm or another?"
    assert sizes[0].line == 3


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize(
    ("aspect", "upright", "turned"),
    [(Fraction(2), "2 times", "0.5 times"), (Fraction(10, 11), "0.909 times", "1.1 times")],
)
def test_anamorphic_footage_is_warned_of(
    folder: Path, sound: Path, aspect: Fraction, upright: str, turned: str, rotation: int
) -> None:
    path = folder / "line.mp4"
    size = SIZE[:: -1 if rotation else 1]
    write_video(path, stamps=range(FRAMES), size=size, rotation=rotation, pixel_aspect=aspect)
    write_images(folder / "stills", "stills.%04d.png", size=SIZE, pixel_aspect=aspect)
    warnings = [found for found in new_warnings(folder, sound) if "anamorphic" in found.message]
    assert [warning.line for warning in warnings] == [LINES["line"], LINES["stills"]]
    assert f"are {turned if rotation else upright} as wide as high" in warnings[0].message
    assert f"are {upright} as wide as high" in warnings[1].message
    assert "square pixels" in warnings[0].remedy


def test_interlaced_footage_is_warned_of(folder: Path, sound: Path) -> None:
    options = {"x264-params": "tff=1"}
    write_video(folder / "line.mp4", stamps=range(FRAMES), size=SIZE, options=options)
    (warning,) = [found for found in new_warnings(folder, sound) if "interlaced" in found.message]
    assert warning.line == LINES["line"]
    assert "deinterlace" in warning.remedy


def test_square_pixels_are_nothing_to_warn_of(folder: Path, sound: Path) -> None:
    aspect = Fraction(1000, 1001)  # of a size that was rounded
    write_video(folder / "line.mp4", stamps=range(FRAMES), size=SIZE, pixel_aspect=aspect)
    assert not any("anamorphic" in found.message for found in new_warnings(folder, sound))
