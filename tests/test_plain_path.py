"""Plain paths: where `..` leads is said without it, and files are where they were wanted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from solved_shots import solve
from tiny_production import make_production
from typer.testing import CliRunner

from facecap_core.plain_path import plain_path
from farm.app import app


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A production, from within which commands are typed."""
    made = make_production(tmp_path / "show", bulk=1, frames=4)
    solve(made, "bulk_0", 4)
    monkeypatch.chdir(made)
    return made


def test_a_path_leads_where_the_typed_one_does(tmp_path, monkeypatch):
    (tmp_path / "disk" / "dailies").mkdir(parents=True)
    (tmp_path / "show").mkdir()
    (tmp_path / "show" / "link").symlink_to(tmp_path / "disk" / "dailies")
    monkeypatch.chdir(tmp_path / "show")
    for typed, plain in (
        ("out", "show/out"),
        ("../out", "out"),
        ("../out/.././x/", "x"),
        ("link/out", "show/link/out"),  # as it was typed
        ("link/../out", "disk/out"),  # where the system goes, and not show/out
        ("../show/link/out", "show/link/out"),
        ("new/../out", "show/out"),
        (str(tmp_path / "show" / ".." / "out"), "out"),
    ):
        assert plain_path(Path(typed)) == tmp_path / plain, typed
    assert plain_path(Path("/../../x")) == Path("/x")
    for odd in ("../" * 3000 + "x", "../\0", "../" + "x" * 5000):
        plain_path(Path(odd))


@pytest.mark.parametrize(
    ("line", "made"),
    [
        (["export", "bulk_0", "-f", "npy", "--out", "../out"], "out/bulk_0.npy"),
        (["export", "bulk_0", "-f", "npy", "-P", "../show", "--json"], "show/exports/bulk_0.npy"),
        (["review", "bulk_0", "--sheet", "--out", "../out"], "out/bulk_0.png"),
        (["init", "../other", "--json"], "other/shots.csv"),
    ],
)
def test_results_are_named_without_it(folder, tmp_path, line, made):
    done = CliRunner().invoke(app, line, catch_exceptions=False)
    assert os.pardir not in done.output, done.output
    assert str((tmp_path / made).parent) in done.stdout
    assert (tmp_path / made).is_file()


def test_a_job_knows_a_folder_of_its_production_by_its_place_in_it(folder):
    for typed, kept in (("../show/reels", "reels"), ("../reels", str(folder.parent / "reels"))):
        line = ["submit", "review", "bulk_0", "--out", typed, "--dry-run", "--json"]
        done = CliRunner().invoke(app, line, catch_exceptions=False)
        assert json.loads(done.stdout)["request"]["folder"] == kept
