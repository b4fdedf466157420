"""Production commands: farm init and farm check, as a person and as a program reads them."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
import typer
from checked_production import SIDE, SIZE, edit, truncate
from typer.testing import CliRunner

from facecap_core.errors import ProductionError
from facecap_core.productions.production import load_production
from farm.check_command import check
from farm.init_command import init


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copytree(sound, tmp_path / "production"))


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
