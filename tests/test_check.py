"""Check: each kind of damage is found in real files, named with its row, and the rest still judged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from checked_production import (
    FRAMES,
    LINES,
    SHOTS,
    SIDE,
    SIZE,
    checked,
    edit,
    motion,
    rest,
    truncate,
    write_video,
)
from numpy.typing import NDArray

from facecap_core.checks.production_check import check_production
from facecap_core.errors import Cancelled, ProductionError
from facecap_core.pointcaches.mdd import write_mdd
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import Production, load_production


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copytree(sound, tmp_path / "production"))


def test_a_sound_production_has_no_fault(sound: Path) -> None:
    report = checked(sound)
    assert report.faults == []
    assert [found.shot.name for found in report.shots] == list(LINES)
    assert [found.frames for found in report.shots] == [FRAMES] * 4 + [3]
    assert all(
        facts.picture_size == SIZE for found in report.shots for facts in found.footage.values()
    )
    caches = [found.cache for found in report.shots]
    assert [cache and (cache.frames, cache.vertices) for cache in caches] == [
        (FRAMES, SIDE * SIDE)
    ] * 3 + [None] * 2
    assert [warning.message for warning in report.warnings] == [
        "actor ada trains on no footage of in-character",
        "actor ada trains on 0.0 min only",
        "actor bob has no shot to train on",
    ]


def test_minutes_are_counted_by_split_and_category(sound: Path) -> None:
    ada, bob = checked(sound).compositions
    minutes = FRAMES / 30 / 60
    assert ada.minutes == {
        "train": {"rom": pytest.approx(minutes), "pangrams": pytest.approx(minutes)},
        "validation": {"in-character": pytest.approx(minutes)},
        "bulk": {"no category": pytest.approx(minutes)},
    }
    assert ada.total_minutes("train") == pytest.approx(2 * minutes)
    assert ada.total_shots("train") == 2
    assert bob.total_minutes("bulk") == pytest.approx(3 / 30 / 60)


def with_nan() -> NDArray[np.float32]:
    positions = motion()
    positions[7, 3, 1] = np.nan
    return positions


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    # name: what is done, the shot it is done to, what the message says
    "video missing": (lambda p: (p / "line.mp4").unlink(), "line", "no such file"),
    "video cut short": (lambda p: truncate(p / "line.mp4"), "line", "ends after"),
    "video is text": (lambda p: (p / "line.mp4").write_text(SHOTS), "line", "not a video"),
    "video empty": (lambda p: (p / "line.mp4").write_bytes(b""), "line", "no bytes"),
    "video of another size": (
        lambda p: write_video(p / "line.mp4", size=(480, 640)), "line", "480 x 640",
    ),
    "video of another rate": (lambda p: write_video(p / "line.mp4", fps=25), "line", "runs at 25 fps"),
    "video with a dropped frame": (
        lambda p: write_video(p / "line.mp4", dropped=5), "line", "variable frame rate at frame 5",
    ),
    "cameras of other lengths": (
        lambda p: write_video(p / "rom_left.mp4", frames=9), "rom", "left has 9 frames",
    ),
    "still missing": (lambda p: (p / "stills/stills.0002.png").unlink(), "stills", "0002.png"),
    "no main camera": (
        lambda p: edit(p, "shots.csv", "rom.mp4,rom_left", ",rom_left"), "rom", "no footage of camera",
    ),
    "cache missing": (lambda p: (p / "rom.pc2").unlink(), "rom", "does not exist"),
    "cache cut short": (lambda p: truncate(p / "rom.pc2"), "rom", "cut short"),
    "cache of another mesh": (
        lambda p: write_pc2(p / "rom.pc2", motion()[:, :-1]), "rom", "35 points, the template has 36",
    ),
    "cache of another length": (
        lambda p: write_pc2(p / "rom.pc2", motion(FRAMES - 1)), "rom", "cache has 11 frames",
    ),
    "cache not finite": (
        lambda p: write_bare_pc2(p / "rom.pc2", with_nan()), "rom", "frame 7, vertex 3",
    ),
    "cache that does not move": (
        lambda p: write_pc2(p / "rom.pc2", np.repeat(rest()[None], FRAMES, axis=0)),
        "rom", "nothing moves",
    ),
    "cache of another rate": (
        lambda p: write_mdd(p / "scene.mdd", motion(), fps=Fraction(24)), "scene", "24 frames per s",
    ),
}  # fmt: skip


def write_bare_pc2(path: Path, positions: NDArray[np.float32]) -> None:
    """Without the writer's own checks."""
    write_pc2(path, np.zeros_like(positions))
    path.write_bytes(path.read_bytes()[:32] + positions.astype("<f4").tobytes())


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_where_it_is_and_the_rest_stays_sound(folder: Path, kind: str) -> None:
    damage, shot, message = DAMAGE[kind]
    damage(folder)
    report = checked(folder)
    assert [(fault.file, fault.line) for fault in report.faults] == [
        (str(folder / "shots.csv"), LINES[shot])
    ], report.faults
    assert message in report.faults[0].message
    assert report.faults[0].message.startswith(f"{shot}: ")
    assert report.faults[0].remedy
    assert [found.shot.name for found in report.shots if found.faults] == [shot]


def test_all_damage_is_found_together(folder: Path) -> None:
    for kind in (
        "video cut short",
        "cameras of other lengths",
        "cache not finite",
        "still missing",
    ):
        DAMAGE[kind][0](folder)
    edit(folder, "animated.txt", "2", "36")
    found = [(Path(fault.file).name, fault.line) for fault in checked(folder).faults]
    assert found == [("production.toml", 6)] + [("shots.csv", line) for line in (2, 2, 5, 6)]


def test_a_missing_file_brings_up_the_one_that_was_meant(folder: Path) -> None:
    edit(folder, "shots.csv", "rom.pc2", "rom_.pc2")
    edit(folder, "shots.csv", "pangram.mp4", "pangramm.mp4")
    edit(folder, "shots.csv", "line.mp4", "day\\line.mp4")
    remedies = [fault.remedy for fault in checked(folder).faults]
    assert remedies[:2] == ["did you mean rom.pc2?", "did you mean pangram.mp4?"]
    assert "write /" in remedies[2]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("stills/stills.####.png", "stills.%04d.png"),
        ("stills/stills.*.png", "stills.%04d.png"),
        ("stills/stills.$F4.png", "stills.%04d.png"),
        ("stills/stills.[0001-0010].png", "stills.%04d.png"),
        ("stills/stills.0003.png", "stills.%04d.png"),
        ("stills", "stills/stills.%04d.png"),
    ],
)
def test_an_image_sequence_in_another_notation_brings_up_ours(
    folder: Path, written: str, meant: str
) -> None:
    edit(folder, "shots.csv", ",stills/stills.%04d.png", f",{written}")
    (fault,) = checked(folder).faults
    assert fault.line == LINES["stills"]
    assert fault.remedy == f"name the image sequence: {meant}"
    edit(folder, "shots.csv", f",{written}", f",{Path(written).parent / meant}")
    assert checked(folder).faults == []


def test_the_files_of_other_shots_are_not_proposed(folder: Path) -> None:
    (folder / "pangram.pc2").unlink()
    (folder / "rom.mp4").unlink()
    assert [fault.remedy for fault in checked(folder).faults if "mean" in fault.remedy] == []


def test_a_crop_outside_the_picture_fails_every_shot_of_its_camera(folder: Path) -> None:
    edit(folder, "production.toml", "crop = [0, 0, 240, 320]", "crop = [1, 0, 240, 320]")
    lines = [fault.line for fault in checked(folder).faults]
    assert lines == [LINES[shot] for shot in ("rom", "pangram", "scene", "line")]


@pytest.mark.parametrize(
    ("key", "damage", "line"),
    [
        ("template", lambda p: (p / "template.obj").unlink(), 5),
        ("template", lambda p: (p / "template.obj").write_text("v 0 0 zero\n"), 5),
        ("animated", lambda p: (p / "animated.txt").write_text("0\n36\n"), 6),
    ],
    ids=["template missing", "template broken", "vertex outside"],
)
def test_damaged_meshes_are_named_at_their_key(
    folder: Path, key: str, damage: Callable[[Path], object], line: int
) -> None:
    damage(folder)
    report = check_production(load_production(folder), actor="ada")
    (fault,) = report.faults
    assert (fault.file, fault.line) == (str(folder / "production.toml"), line)
    assert fault.message.startswith(f"actor ada: {key}: ")
    assert not any(found.faults for found in report.shots)


def test_the_store_must_be_a_folder(folder: Path) -> None:
    edit(folder, "production.toml", 'units = "cm"', 'units = "cm"\nstore = "template.obj"')
    assert [(fault.line, "is no folder" in fault.message) for fault in checked(folder).faults] == [
        (4, True)
    ]


def test_the_check_can_be_narrowed_and_ended(sound: Path) -> None:
    production: Production = load_production(sound)
    report = check_production(production, actor="bob")
    assert [found.shot.name for found in report.shots] == ["stills"]
    with pytest.raises(ProductionError, match="'ada'"):
        check_production(production, actor="adda")
    done: list[tuple[int, int | None]] = []
    check_production(production, on_progress=lambda now: done.append((now.done, now.total)))
    assert done == [(count, 5) for count in range(6)]
    with pytest.raises(Cancelled):
        check_production(production, on_progress=lambda now: now.done < 2)
