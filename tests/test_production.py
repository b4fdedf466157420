"""Production: both files read, every fault found with its line, and nothing that leaves the store."""

from __future__ import annotations

import pickle
import time
from fractions import Fraction
from pathlib import Path

import pytest

from facecap_core.errors import Fault, ProductionError
from facecap_core.names import is_name
from facecap_core.productions.production import (
    find_production,
    load_production,
    read_production,
)
from facecap_core.productions.production_toml import parse_fps, rates_agree
from facecap_core.productions.toml_lines import line_of
from facecap_core.units import UNITS

SETTINGS = """\
name  = "quantum"
fps   = "30000/1001"
units = "cm"
store = "store"

[actors.ada]
template = "actors/ada/template.obj"
animated = "actors/ada/animated.txt"
[actors.ada.cameras.left]
crop = [0, 0, 300, 400]
[actors.ada.cameras.center]
crop = [120, 160, 960, 1280]

[actors.bob]
template = "/shows/bob.obj"
[actors.bob.cameras.front]
crop = [1, 2, 3, 4]
"""

SHOTS = """\
shot,actor,category,split,cache,center,left,front
ada_rom,ada,rom,train,caches/ada_rom.pc2,footage/ada_rom.mp4,footage/ada_left.mp4,
ada_line,ada,,,,/footage/ada_line.mp4,,
bob_talk,bob,pangrams,validation,b.abc,,,footage/bob.%04d.png
"""


def write(folder: Path, settings: str = SETTINGS, shots: str | bytes = SHOTS) -> Path:
    (folder / "production.toml").write_text(settings, encoding="utf-8")
    data = shots if isinstance(shots, bytes) else shots.encode()
    (folder / "shots.csv").write_bytes(data)
    return folder


def faults_of(folder: Path) -> list[Fault]:
    with pytest.raises(ProductionError) as caught:
        load_production(folder)
    return caught.value.faults


def the_fault(folder: Path) -> Fault:
    (fault,) = faults_of(folder)
    return fault


def test_everything_written_is_read(tmp_path: Path) -> None:
    production = load_production(write(tmp_path))
    assert production.folder == tmp_path
    assert (production.name, production.units, production.mm_per_unit) == ("quantum", "cm", 10.0)
    assert production.fps == Fraction(30000, 1001)
    assert production.store == tmp_path / "store"
    ada = production.actors["ada"]
    assert ada.template == tmp_path / "actors/ada/template.obj"
    assert ada.animated == tmp_path / "actors/ada/animated.txt"
    assert ada.cameras["center"].crop == (120, 160, 960, 1280)
    assert ada.main_camera == "center", "center goes before the first listed"
    assert production.actors["bob"].template == Path("/shows/bob.obj")
    assert production.actors["bob"].animated is None
    assert production.actors["bob"].main_camera == "front"
    assert list(production.shots) == ["ada_rom", "ada_line", "bob_talk"]
    rom, line, talk = production.shots.values()
    assert rom.footage == {
        "center": tmp_path / "footage/ada_rom.mp4",
        "left": tmp_path / "footage/ada_left.mp4",
    }
    assert (rom.category, rom.split, rom.line) == ("rom", "train", 2)
    assert rom.cache == tmp_path / "caches/ada_rom.pc2"
    assert line.footage == {"center": Path("/footage/ada_line.mp4")}
    assert (line.category, line.split, line.cache) == ("", "", None)
    assert talk.footage == {"front": tmp_path / "footage/bob.%04d.png"}
    assert production.shots_of("ada", split="train") == [rom]
    assert production.shots_of("ada") == [rom, line]


def test_toml_path_and_relative_folder_are_the_same_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    production = load_production(write(tmp_path))
    assert load_production(tmp_path / "production.toml") == production
    monkeypatch.chdir(tmp_path)
    assert load_production(Path(".")) == production
    assert production.shots["ada_rom"].footage["center"].is_absolute()


def test_a_production_survives_the_way_between_processes(tmp_path: Path) -> None:
    production = load_production(write(tmp_path))
    assert pickle.loads(pickle.dumps(production)) == production  # noqa: S301


def test_found_upward(tmp_path: Path) -> None:
    write(tmp_path)
    deep = tmp_path / "footage" / "day_1"
    deep.mkdir(parents=True)
    assert find_production(deep) == tmp_path
    with pytest.raises(ProductionError, match="farm init"):
        find_production(tmp_path.parent)


def test_no_production(tmp_path: Path) -> None:
    assert "no production.toml" in the_fault(tmp_path).message
    (tmp_path / "production.toml").write_text(SETTINGS)
    assert "no shots.csv" in the_fault(tmp_path).message


@pytest.mark.parametrize(
    ("written", "fps"),
    [
        ('"30"', 30),
        ("30", 30),
        ("25.0", 25),
        ('"30000/1001"', Fraction(30000, 1001)),
        ('" 24000 / 1001 "', Fraction(24000, 1001)),
        ('"23.976"', Fraction(24000, 1001)),
        ('"23.98"', Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ('"59.94"', Fraction(60000, 1001)),
        ('"119.88"', Fraction(120000, 1001)),
        ('"12.5"', Fraction(25, 2)),
    ],
)
def test_frame_rates_are_exact(tmp_path: Path, written: str, fps: Fraction) -> None:
    settings = SETTINGS.replace('"30000/1001"', written)
    assert load_production(write(tmp_path, settings)).fps == fps


@pytest.mark.parametrize(
    "written",
    ['"thirty"', "0", '"30/0"', "-30", '"1e999999999"', "true", "[30]", '"9999999"', "nan", '"٣٠"'],
)
def test_what_is_no_frame_rate(tmp_path: Path, written: str) -> None:
    fault = the_fault(write(tmp_path, SETTINGS.replace('"30000/1001"', written)))
    assert fault.line == 2
    assert fault.message.startswith("fps")
    assert "30000/1001" in fault.remedy


def test_rates_agree_but_for_rounding() -> None:
    assert rates_agree(Fraction(2997, 100), parse_fps("29.97"))
    assert not rates_agree(Fraction(30), parse_fps("29.97"))


@pytest.mark.parametrize("units", UNITS)
def test_every_unit_has_its_millimetres(tmp_path: Path, units: str) -> None:
    production = load_production(write(tmp_path, SETTINGS.replace('"cm"', f'"{units}"')))
    metres = {"mm": 0.001, "cm": 0.01, "dm": 0.1, "m": 1.0, "in": 0.0254, "ft": 0.3048}
    assert production.mm_per_unit == pytest.approx(metres[units] * 1000)


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message", "remedy"),
    [
        ("store =", "stor  =", 4, "unknown key stor", "'store'"),
        ("template = \"actors", "templat = \"actors", 7, "unknown key actors.ada.templat", "'template'"),
        ("[actors.ada.cameras.left]", "[actors.ada.camera.left]", 9, "unknown key actors.ada.camera", "'cameras'"),
        ("crop = [120", "corp = [120", 12, "unknown key actors.ada.cameras.center.corp", "'crop'"),
        ("[120, 160, 960, 1280]", "[120, 160, 960]", 12, "no rectangle", "[x, y, width, height]"),
        ("[120, 160, 960, 1280]", "[-1, 160, 960, 1280]", 12, "no rectangle", "[x, y, width, height]"),
        ("[120, 160, 960, 1280]", "[120, 160, 0, 1280]", 12, "no rectangle", "[x, y, width, height]"),
        ("[120, 160, 960, 1280]", "[120, 160, 960.5, 1280]", 12, "no rectangle", "[x, y, width, height]"),
        ("[120, 160, 960, 1280]", "[120, 160, 960, true]", 12, "no rectangle", "[x, y, width, height]"),
        ('"cm"', '"km"', 3, "unknown units 'km'", "mm, cm"),
        ('"quantum"', '""', 1, "name", "name ="),
        ('"quantum"', "7", 1, "name", "name ="),
        ('template = "/shows/bob.obj"', "", 14, "actors.bob.template is missing", "template ="),
        ('units = "cm"', "units = cm", 3, "not valid TOML", "quotes"),
        ('"store"', f'"{"x" * 256}"', 4, "too long", "store ="),
        ("[actors.bob]", "[actors.bob", 14, "not valid TOML", "brackets"),
        ("[actors.ada]", "[[actors.ada]]", 6, "actors.ada is no table", "single brackets"),
        ("[actors.bob.cameras.front]\ncrop = [1, 2, 3, 4]", "", 14, "cameras is missing", "center"),
    ],
)  # fmt: skip
def test_a_fault_of_the_settings_has_its_line_and_remedy(
    tmp_path: Path, right: str, wrong: str, line: int, message: str, remedy: str
) -> None:
    assert right in SETTINGS
    write(tmp_path, SETTINGS.replace(right, wrong, 1), "shot,actor,center,left\n")
    found = [fault for fault in faults_of(tmp_path) if "production.toml" in fault.file]
    assert [(fault.line, message in fault.message, remedy in fault.remedy) for fault in found] == [
        (line, True, True)
    ], found


@pytest.mark.parametrize(
    ("more", "told", "line"),
    [
        (".".join("a" * 20_000) + " = 1", "more than 200 dots in a line", 18),
        ("x = {" + ".".join("a" * 20_000) + " = 1}", "more than 200 dots in a line", 18),
        ("#" * 2**20, "is larger than 1 MiB", None),
        ("\n".join(f"key{n} = 1" for n in range(5_000)), "4900 more faults", None),
    ],
    ids=["dotted key", "dotted key in a table", "long", "many faults"],
)
def test_settings_that_would_take_minutes_are_refused_at_once(
    tmp_path: Path, more: str, told: str, line: int | None
) -> None:
    started = time.process_time()
    fault = faults_of(write(tmp_path, f"{SETTINGS}{more}\n"))[-1]
    assert time.process_time() - started < 5
    assert told in fault.message
    assert fault.line == line
    dotted = SETTINGS.replace("template.obj", "../" * 60 + "template.obj") + f"# {'.' * 500}\n"
    assert load_production(write(tmp_path, dotted)).name == "quantum"


def test_settings_in_latin_1(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "production.toml").write_bytes(b'# caf\xe9\nname = "x"\n')
    fault = the_fault(tmp_path)
    assert (fault.line, fault.remedy) == (1, "save it as UTF-8")


def test_lines_of_keys_in_other_spellings() -> None:
    text = 'a = 1\n[ actors . "ada" ]\n  x.y = 2\n["odd.name"]\nz = 3\n[actors.bob.cameras.c]\n'
    assert line_of(text, ["a"]) == 1
    assert line_of(text, ["actors", "ada"]) == 2
    assert line_of(text, ["actors", "ada", "x", "y"]) == 3
    assert line_of(text, ["odd.name", "z"]) == 5
    assert line_of(text, ["actors", "bob", "template"]) == 6
    assert line_of(text, ["actors"]) == 2
    assert line_of(text, ["nowhere"]) is None


HOSTILE = [
    "../../x",
    "..",
    ".",
    ".hidden",
    "-rf",
    "a/b",
    "a\\b",
    "a b",
    "é",
    "x" * 129,
    "a:b",
    "a*",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leaves_the_store(tmp_path: Path, name: str) -> None:
    quoted = name.replace("\\", "\\\\")
    assert not is_name(name)
    write(tmp_path, shots=f"shot,actor,center\n{name},ada,a.mp4\n")
    assert "cannot be a shot's name" in the_fault(tmp_path).message
    write(tmp_path, SETTINGS.replace("[actors.bob", f'[actors."{quoted}"'), "shot,actor,center\n")
    assert {"cannot be a name" in fault.message for fault in faults_of(tmp_path)} == {True}
    write(tmp_path, SETTINGS.replace("cameras.front", f'cameras."{quoted}"'), "shot,actor,center\n")
    assert "cannot be a name" in the_fault(tmp_path).message


def test_a_name_with_a_line_break_or_nul_is_refused(tmp_path: Path) -> None:
    for name in ("a\n", "a\0", ""):
        assert not is_name(name)
    write(tmp_path, shots='shot,actor,center\n"a\nb",ada,x.mp4\nc,ada,"x\0.mp4"\n')
    assert [fault.line for fault in faults_of(tmp_path)] == [2, 4]


def test_a_camera_cannot_be_called_like_a_column(tmp_path: Path) -> None:
    write(tmp_path, SETTINGS.replace("cameras.front", "cameras.Cache"), "shot,actor,center\n")
    assert the_fault(tmp_path).line == 16


SPREADSHEETS = {
    "bom": b"\xef\xbb\xbf" + SHOTS.encode(),
    "crlf": SHOTS.replace("\n", "\r\n").encode(),
    "old mac": SHOTS.replace("\n", "\r").encode(),
    "semicolons": SHOTS.replace(",", ";").encode(),
    "tabs in UTF-16": SHOTS.replace(",", "\t").encode("utf-16"),
    "separator named": b"sep=;\n" + SHOTS.replace(",", ";").encode(),
    "empty columns and rows": (SHOTS.replace("\n", ",,,\n") + ",,,,,,,,,,\n\n").encode(),
    "blanks": SHOTS.replace(",", " , ").encode(),
    "quotes": b'"' + SHOTS.strip().replace(",", '","').replace("\n", '"\n"').encode() + b'"\n',
    "case": SHOTS.replace("shot,actor,c", "Shot,ACTOR,C").replace(",rom,train", ",ROM,Train").encode(),
    "short rows": SHOTS.replace(",,\n", "\n").encode(),
    "comments": SHOTS.replace("\n", "\n# ada_old,ada,,,,x.mp4\n").encode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPREADSHEETS)
def test_what_spreadsheets_write_is_read_the_same(tmp_path: Path, kind: str) -> None:
    plain = load_production(write(tmp_path)).shots
    shots = load_production(write(tmp_path, shots=SPREADSHEETS[kind])).shots
    assert [shot.model_dump(exclude={"line"}) for shot in shots.values()] == [
        shot.model_dump(exclude={"line"}) for shot in plain.values()
    ]


def test_columns_come_in_any_order(tmp_path: Path) -> None:
    rows = [line.split(",") for line in SHOTS.splitlines()]
    turned = "\n".join(",".join(reversed(row)) for row in rows)
    plain = load_production(write(tmp_path)).shots
    assert load_production(write(tmp_path, shots=turned)).shots == plain


@pytest.mark.parametrize(
    ("row", "message", "remedy"),
    [
        ("a,adda,,,,x.mp4,,", "unknown actor 'adda'", "'ada'"),
        ("a,,,,,x.mp4,,", "no actor", "name the actor"),
        (",ada,,,,x.mp4,,", "no shot name", "name the shot"),
        ("a,ada,ron,,,x.mp4,,", "unknown category 'ron'", "'rom'"),
        ("a,ada,in character,,,x.mp4,,", "unknown category", "'in-character'"),
        ("a,ada,,val,,x.mp4,,", "unknown split 'val'", "'validation'"),
        ("a,ada,,bulk,,x.mp4,,", "unknown split 'bulk'", "leaves it empty"),
        ("a,ada,rom,train,,x.mp4,,", "has no cache", "leave split empty"),
        ("a,ada,rom,,,,,", "has no footage", "center, left, front"),
        ("a,ada,,,,x.mp4,,y.mp4", "actor ada has no camera front", "[actors.ada.cameras.front]"),
        (f"a,ada,,,,{'x' * 256},,", "center is not a path", "anew"),
        ("a,ada,,,,x.mp4,,,oops", "under no column", "clear the cell"),
        ("ada_rom,ada,,,,x.mp4,,", "ada_rom stands on line 2 already", "rename"),
    ],
)
def test_a_fault_of_a_row_has_its_line_and_remedy(
    tmp_path: Path, row: str, message: str, remedy: str
) -> None:
    fault = the_fault(write(tmp_path, shots=SHOTS + row + "\n"))
    assert (fault.line, fault.file) == (5, str(tmp_path / "shots.csv"))
    assert message in fault.message
    assert remedy in fault.remedy


@pytest.mark.parametrize(
    ("header", "message", "remedy"),
    [
        ("shot,actor,splt,center", "unknown column 'splt'", "'split'"),
        ("shot,actor,centre", "unknown column 'centre'", "'center'"),
        ("shot,center", "column 'actor' is missing", "actor"),
        ("shot,actor,cache", "no column holds footage", "center"),
        ("shot,actor,center,center", "column 'center' stands twice", "remove"),
        ("", "has no columns", "shot, actor, category"),
    ],
)
def test_a_fault_of_the_columns(tmp_path: Path, header: str, message: str, remedy: str) -> None:
    fault = the_fault(write(tmp_path, shots=header + "\n"))
    assert fault.line == 1
    assert message in fault.message
    assert remedy in fault.remedy


def test_a_broken_table(tmp_path: Path) -> None:
    assert the_fault(write(tmp_path, shots=SHOTS + 'a,ada,"rom\n')).line == 5
    assert "UTF-8" in the_fault(write(tmp_path, shots=SHOTS.encode() + b"a\xe9,ada\n")).message


def test_all_faults_of_both_files_come_together(tmp_path: Path) -> None:
    settings = SETTINGS.replace("store =", "stor =").replace('"cm"', '"km"')
    shots = SHOTS + "a,adda,ron,train,,,,\na,ada,,,,x.mp4,,\n"
    faults = faults_of(write(tmp_path, settings, shots))
    places = [(Path(fault.file).name, fault.line) for fault in faults]
    assert places == [("production.toml", 3), ("production.toml", 4)] + [("shots.csv", 5)] * 4 + [
        ("shots.csv", 6)
    ]
    assert all(fault.remedy for fault in faults)
    error = pickle.loads(pickle.dumps(ProductionError(faults)))  # noqa: S301
    assert error.faults == faults


def test_rows_without_a_fault_are_usable_beside_those_with_one(tmp_path: Path) -> None:
    production, faults = read_production(write(tmp_path, shots=SHOTS + "a,adda,,,,x.mp4,,\n"))
    assert production is not None
    assert list(production.shots) == ["ada_rom", "ada_line", "bob_talk"]
    assert len(faults) == 1
