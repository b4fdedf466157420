"""Check: each kind of damage is found in real files, named with its row, and the rest still judged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from facecap_core.checks.production_check import CheckReport, check_production
from facecap_core.errors import Cancelled, Fault, ProductionError
from facecap_core.pointcaches.mdd import write_mdd
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import Production, load_production
from farm.check_command import check
from farm.init_command import init

FRAMES = 12
SIDE = 6  # vertices of the template along each side
SIZE = (240, 320)

SETTINGS = """\
name  = "small"
fps   = "30"
units = "cm"
[actors.ada]
template = "template.obj"
animated = "animated.txt"
[actors.ada.cameras.center]
crop = [0, 0, 240, 320]
[actors.ada.cameras.left]
crop = [0, 0, 240, 320]
[actors.bob]
template = "template.obj"
[actors.bob.cameras.center]
crop = [0, 0, 240, 320]
"""

SHOTS = """\
shot,actor,category,split,cache,center,left
rom,ada,rom,train,rom.pc2,rom.mp4,rom_left.mp4
pangram,ada,pangrams,train,pangram.pc2,pangram.mp4,
scene,ada,in-character,validation,scene.mdd,scene.mp4,
line,ada,,,,line.mp4,
stills,bob,,,,stills/stills.%04d.png,
"""
LINES = {"rom": 2, "pangram": 3, "scene": 4, "line": 5, "stills": 6}


def rest() -> NDArray[np.float32]:
    """A curved sheet of about a face's size: float32 [vertex, xyz], cm."""
    across, up = np.meshgrid(np.linspace(-6, 6, SIDE), np.linspace(-8, 8, SIDE))
    return np.stack([across, up, -0.05 * across**2], axis=-1).reshape(-1, 3).astype(np.float32)


def motion(frames: int = FRAMES, seed: int = 0) -> NDArray[np.float32]:
    """The sheet with its lower half moving: float32 [frame, vertex, xyz]."""
    random = np.random.default_rng(seed)
    positions = np.repeat(rest()[None], frames, axis=0)
    positions[:, : SIDE * SIDE // 2] += random.normal(0, 0.3, (frames, 1, 3)).astype(np.float32)
    return positions


def write_video(
    path: Path,
    *,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    fps: int = 30,
    seed: int = 0,
    dropped: int | None = None,
) -> None:
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            tile = random.integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
            picture = tile.repeat(8, axis=0).repeat(8, axis=1)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.time_base = Fraction(1, fps)
            frame.pts = index + (dropped is not None and index >= dropped)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_stills(folder: Path) -> None:
    folder.mkdir()
    for number in range(1, 4):
        context = av.VideoCodecContext.create("png", "w")
        context.width, context.height, context.pix_fmt = *SIZE, "rgb24"
        context.time_base = Fraction(1, 30)
        picture = np.full((SIZE[1], SIZE[0], 3), 40 * number, np.uint8)
        (packet,) = context.encode(av.VideoFrame.from_ndarray(picture, "rgb24"))
        (folder / f"stills.{number:04d}.png").write_bytes(bytes(packet))


def write_template(path: Path) -> None:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in rest().tolist()]
    for row in range(SIDE - 1):
        for column in range(SIDE - 1):
            corner = row * SIDE + column + 1
            lines.append(f"f {corner} {corner + 1} {corner + SIDE + 1} {corner + SIDE}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A production without a fault."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "production.toml").write_text(SETTINGS)
    (folder / "shots.csv").write_text(SHOTS)
    write_template(folder / "template.obj")
    (folder / "animated.txt").write_text("0\n1\n2\n")
    for seed, name in enumerate(("rom", "rom_left", "pangram", "scene", "line")):
        write_video(folder / f"{name}.mp4", seed=seed)
    write_stills(folder / "stills")
    write_pc2(folder / "rom.pc2", motion(seed=1))
    write_pc2(folder / "pangram.pc2", motion(seed=2))
    write_mdd(folder / "scene.mdd", motion(seed=3), fps=Fraction(30))
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copytree(sound, tmp_path / "production"))


def checked(folder: Path) -> CheckReport:
    return check_production(load_production(folder))


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


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


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


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
        lambda p: edit(p, "shots.csv", "line.mp4,", ",rom_left.mp4"), "line", "no footage of camera",
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


def test_the_check_can_be_narrowed_and_ended(sound: Path) -> None:
    production: Production = load_production(sound)
    report = check_production(production, actor="bob")
    assert [found.shot.name for found in report.shots] == ["stills"]
    report = check_production(production, shots=["line", "rom"])
    assert [found.shot.name for found in report.shots] == ["rom", "line"]
    assert report.warnings == []
    with pytest.raises(ProductionError, match="'ada'"):
        check_production(production, actor="adda")
    done: list[tuple[int, int | None]] = []
    check_production(production, on_progress=lambda now: done.append((now.done, now.total)))
    assert done == [(count, 5) for count in range(6)]
    with pytest.raises(Cancelled):
        check_production(production, on_progress=lambda now: now.done < 2)


app = typer.Typer()
app.command()(init)
app.command()(check)


def run(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.exception


def test_farm_check_prints_tables_and_places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    code, text, _ = run("check")
    assert code == 0
    assert "No faults" in text
    assert "pangrams" in text
    truncate(folder / "line.mp4")
    code, text, _ = run("check")
    assert code == 100
    assert "1 fault:\n  shots.csv:5: line: " in text
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("FARM_PRODUCTION", str(folder))
    assert run("check", "--actor", "bob")[0] == 0
    assert run("check", "--production", str(folder / "stills"))[0] == 1, "a ProductionError"


def test_farm_check_json_is_one_object_whatever_is_wrong(folder: Path) -> None:
    code, text, _ = run("check", "--json", "--production", str(folder))
    found = json.loads(text)
    assert (code, found["schema_version"], found["ok"], found["faults"]) == (0, 1, True, [])
    assert found["production"]["fps"] == "30"
    assert found["shots"][0]["footage"]["left"]["picture_size"] == list(SIZE)
    assert found["shots"][0]["cache"]["vertices"] == SIDE * SIDE
    assert found["composition"][0]["shots"]["train"] == {"rom": 1, "pangrams": 1}
    edit(folder, "production.toml", "units", "unit")
    edit(folder, "shots.csv", "rom,train", "ron,train")
    code, text, _ = run("check", "--json", "--production", str(folder))
    found = json.loads(text)
    assert (code, found["ok"], found["production"]) == (100, False, None)
    assert [fault["line"] for fault in found["faults"]] == [3, 2]


def test_faulty_rows_do_not_keep_the_others_from_being_checked(folder: Path) -> None:
    edit(folder, "shots.csv", "rom,ada,rom", "rom,ada,ron")
    truncate(folder / "line.mp4")
    code, text, _ = run("check", "--json", "--production", str(folder))
    assert code == 100
    assert [fault["line"] for fault in json.loads(text)["faults"]] == [2, 5]


def test_farm_init_writes_a_production_that_loads(tmp_path: Path) -> None:
    folder = tmp_path / "shows" / "Café 7"
    code, text, _ = run("init", str(folder), "--fps", "23.976", "--units", "mm")
    assert code == 0
    assert "farm check" in text
    production = load_production(folder)
    assert (production.name, production.units) == ("Café 7", "mm")
    assert production.fps == Fraction(24000, 1001)
    assert production.shots == {}
    assert sorted(path.name for path in folder.iterdir()) == [
        "actors", "caches", "footage", "production.toml", "shots.csv",
    ]  # fmt: skip
    uncommented = (folder / "shots.csv").read_text().replace("# hero", "hero")
    (folder / "shots.csv").write_text(uncommented)
    assert [shot.split for shot in load_production(folder).shots.values()] == [
        "train", "train", "validation", "",
    ]  # fmt: skip


def test_farm_init_overwrites_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    code, _, error = run("init", str(folder))
    assert code != 0
    assert isinstance(error, ProductionError)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_farm_init_makes_nothing_of_bad_options(tmp_path: Path) -> None:
    _, _, error = run(
        "init", str(tmp_path / "new"), "--fps", "fast", "--units", "km", "--name", " "
    )
    assert isinstance(error, ProductionError)
    assert len(error.faults) == 3
    assert not (tmp_path / "new").exists()
