"""Evaluate and regions: what the commands print and write, of models and of solved shots."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil

import numpy as np
import pytest
from tracked_production import make_tracked, train_model
from typer.testing import CliRunner

from facecap_core.errors import ConfigError, ModelError, PointCacheError, ProductionError
from facecap_core.learning.model import MOST_ERROR_MM
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import open_targets
from farm.app import app


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = make_tracked(tmp_path_factory.mktemp("evaluate") / "production")
    train_model(folder, "m1")
    with open(folder / "shots.csv", "a") as file:
        file.write("\nbulk_a,ada,,,,v.mp4,w.mp4")
    return folder


def run(folder, *arguments):
    return CliRunner().invoke(app, [*arguments, "--production", str(folder)])


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def solve(folder, shot, positions, model="m1", **facts):
    """A vertex store as inference would write it."""
    with new_group(load_production(folder).paths.vertices("ada", shot)) as group:
        group.positions(positions.shape[1]).append(positions)
        group.set_attributes({"model": model, **facts})


def test_files_agree_with_each_other_and_with_training(trained, tmp_path):
    done = run(trained, "evaluate", "--out", str(tmp_path / "e"), "--no-page", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    facts = json.loads((trained / "store/models/ada/m1/model.json").read_text())
    assert told["all"]["rmse_mm"] == pytest.approx(
        facts["validation"]["rmse_mm"], abs=MOST_ERROR_MM
    )
    assert told["mean_shape"]["rmse_mm"] == pytest.approx(
        facts["validation"]["mean_shape_rmse_mm"], rel=1e-4
    )
    written = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert written["all"] == told["all"]
    assert written["split"] == "validation"
    frames = rows_of(tmp_path / "e" / "frames.csv")
    assert [row["shot"] for row in frames] == ["held_a"] * 70 + ["held_b"] * 45
    assert frames[75]["frame"] == "5"
    assert frames[75]["timecode"] == "00:00:00:05"
    assert frames[70]["velocity_error_mm_per_frame"] == ""
    squares = np.array([float(row["rmse_mm"]) ** 2 for row in frames])
    assert np.sqrt(squares.mean()) == pytest.approx(told["all"]["rmse_mm"], rel=1e-3)
    shots = rows_of(tmp_path / "e" / "shots.csv")
    assert [row["shot"] for row in shots] == ["held_a", "held_b"]
    for row in shots:
        assert float(row["rmse_mm"]) == pytest.approx(
            told["by_shot"][row["shot"]]["rmse_mm"], rel=1e-3
        )
    assert not (tmp_path / "e" / "report.html").exists()


def test_a_model_that_may_miss_cameras_is_evaluated_without_them(trained, tmp_path):
    train_model(trained, "both", cameras=("center", "left"), view_dropout=0.3, epochs=1)
    found = {}
    for cameras in (["center"], ["left"], ["center", "left"]):
        options = [word for camera in cameras for word in ("--camera", camera)]
        options += ["--page" if cameras == ["left"] else "--no-page"]
        done = run(trained, "evaluate", "both", *options, "-o", str(tmp_path / "e"), "--json")
        assert done.exit_code == 0, done.output
        told = json.loads(done.stdout)
        assert told["cameras"] == cameras
        found[told["all"]["rmse_mm"]] = cameras
    assert len(found) == 3, "each of another input"
    assert (tmp_path / "e" / "report.html").exists()
    for arguments, words in (
        (["m1", "--camera", "left"], "was not trained on camera left"),
        (["both", "--camera", "left", "--vertices"], "leave out --camera"),
    ):
        done = run(trained, "evaluate", *arguments)
        assert words in str(done.exception), done.output
    train_model(trained, "fixed", cameras=("center", "left"), epochs=1)
    done = run(trained, "evaluate", "fixed", "--camera", "center")
    assert "needs all of its cameras: center, left" in str(done.exception)


def test_a_model_of_other_units_is_not_measured(trained, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "copy", symlinks=True)
    settings = (copy / "production.toml").read_text()
    (copy / "production.toml").write_text(settings.replace('units = "mm"', 'units = "cm"'))
    for command in ("evaluate", "calibrate", "report"):
        done = run(copy, command)
        assert "was trained in mm, the production is in cm now" in str(done.exception), command


def test_targets_of_another_template_are_no_measure(trained, tmp_path):
    """They may have as many vertices, in another order."""
    copy = shutil.copytree(trained, tmp_path / "copy", symlinks=True)
    paths = load_production(copy).paths
    store = open_targets(paths.targets("held_a"))
    with new_group(paths.targets("held_a")) as group:
        positions = store.read("positions")
        group.positions(positions.shape[1]).append(positions[:, ::-1])
        group.set_attributes({"cache_fingerprint": "as tracked", "topology_sha256": "another"})
    for command in ("evaluate", "calibrate", "report"):
        done = run(copy, command)
        assert_fault(done, ModelError, "targets of held_a are of another mesh than the model")


def test_tables_name_every_measure(trained, tmp_path):
    done = run(trained, "evaluate", "m1", "--split", "train", "--out", str(tmp_path), "--no-page")
    assert done.exit_code == 0, done.output
    for word in ("RMSE, jaw", "velocity error", "amplitude of motion", "learn_b", "mean shape"):
        assert word in done.stdout
    assert "held_a" not in done.stdout


def test_solved_shots_are_held_against_a_truth(trained, tmp_path):
    """Half of the motion is missing in what was stored: the amplitude says so, whatever the model does."""
    production = load_production(trained)
    truth = open_targets(production.paths.targets("held_a")).read("positions")
    mean = truth.mean(axis=0, dtype=np.float64)
    solve(trained, "bulk_a", (mean + 0.5 * (truth - mean)).astype(np.float32))
    (tmp_path / "truth").mkdir()
    write_pc2(tmp_path / "truth" / "bulk_a.pc2", truth)
    for against in (tmp_path / "truth", f"{tmp_path}/truth/{{shot}}.pc2"):
        done = run(
            trained,
            *("evaluate", "--vertices", "--against", str(against), "--out", str(tmp_path / "e")),
            *("--json", "--no-page"),
        )
        assert done.exit_code == 0, done.output
        told = json.loads(done.stdout)
        assert told["split"] == "bulk"
        assert list(told["by_shot"]) == ["bulk_a"]
        assert told["all"]["amplitude"] == pytest.approx(0.5, abs=1e-4)
        half = np.sqrt(np.square((truth - mean)[:, 54:] / 2).sum(2).mean())
        assert told["all"]["rmse_mm"] == pytest.approx(half, rel=1e-4)


def test_a_page_of_solved_shots_needs_no_pictures(trained, tmp_path):
    truth = open_targets(load_production(trained).paths.targets("held_b")).read("positions", 0, 12)
    solve(trained, "bulk_a", truth + np.float32(1))
    write_pc2(tmp_path / "bulk_a.pc2", truth)
    done = run(
        trained,
        *("evaluate", "--vertices", "--against", str(tmp_path), "--out", str(tmp_path / "e")),
    )
    assert done.exit_code == 0, done.output
    page = (tmp_path / "e" / "report.html").read_text()
    assert "bulk RMSE" in page
    assert "of the bulk shot bulk_a" in page
    assert "never saw this shot" not in page
    assert '<div class="head">input</div>' not in page


@pytest.mark.parametrize("fingerprint", ["as filmed", "filmed again"])
def test_pictures_of_solved_shots_stand_in_their_columns(trained, tmp_path, fingerprint):
    """Some shots have theirs in the store, others have none, or those of footage that was replaced since."""
    paths = load_production(trained).paths
    for shot, frames in (("bulk_a", 40), ("held_b", 45)):
        truth = open_targets(paths.targets("held_b")).read("positions", 0, frames)
        solve(trained, shot, truth + np.float32(1), footage_fingerprint=fingerprint)
        write_pc2(tmp_path / f"{shot}.pc2", truth)
    (tmp_path / "list.txt").write_text("held_b\nbulk_a\n")
    arguments = ["--shots", str(tmp_path / "list.txt"), "--against", str(tmp_path)]
    done = run(trained, "evaluate", "--vertices", *arguments, "--out", str(tmp_path / "e"))
    assert done.exit_code == 0, done.output
    page = (tmp_path / "e" / "report.html").read_text()
    heads = re.findall(r'<div class="head">(\w+)</div>', page)
    known = ["input"] if fingerprint == "as filmed" else []
    assert heads[: len(known) + 3] == [*known, "target", "result", "difference"]
    found = set()
    for row in page.split('<div class="frames"')[1:]:
        cells = re.findall(r'<div></div>|<img [^>]*alt="(\w+)[^"]*of (\w+), frame', row)
        assert len(cells) == len(known) + 3
        assert [kind for kind, _ in cells[-3:]] == ["target", "result", "difference"]
        found.add((cells[-1][1], cells[0][0]))
    if known:
        assert found == {("held_b", "input"), ("bulk_a", "")}


def test_a_list_of_shots(trained, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("held_b\nlearn_a\n")
    done = run(
        trained,
        *("evaluate", "--shots", str(listed), "--out", str(tmp_path / "e"), "--json", "--no-page"),
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["split"], list(told["by_shot"])) == ("chosen", ["held_b", "learn_a"])


def test_what_cannot_be_evaluated_is_said(trained, tmp_path):
    out = ("--out", str(tmp_path / "e"), "--no-page")
    assert_fault(run(trained, "evaluate", "--split", "bulk", *out), ConfigError, "no cache")
    truth = open_targets(load_production(trained).paths.targets("held_b")).read("positions")
    solve(trained, "bulk_a", truth, model="m0")
    against = ("--vertices", "--against", str(tmp_path))
    assert_fault(
        run(trained, "evaluate", "m1", *against, *out), ModelError, "solved by m0, not by m1"
    )
    solve(trained, "bulk_a", truth)
    assert_fault(run(trained, "evaluate", *against, *out), PointCacheError, "no point cache of")
    write_pc2(tmp_path / "bulk_a.pc2", truth[:-1])
    done = run(trained, "evaluate", *against, *out)
    assert "45 frames in the vertex store, 44 in the cache" in str(done.exception)
    assert not (tmp_path / "e").exists()


def assert_fault(done, kind, words):
    assert isinstance(done.exception, kind)
    assert words in str(done.exception)
    assert done.exception.fault.remedy


def test_regions_are_shown_written_and_drawn(trained, tmp_path):
    out, picture = tmp_path / "regions.json", tmp_path / "regions.png"
    done = run(trained, "regions", "--out", str(out), "--picture", str(picture), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["actor"] == "ada"
    assert sum(told["vertices"].values()) == 9 * 12
    assert told["lip_pairs"] == len(json.loads(out.read_text())["lip_pairs"]) > 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    table = run(trained, "regions", "-a", "ada").stdout
    assert "derived from the template's openings" in table
    assert f"{told['lip_pairs']} pairs across the mouth" in table
    assert_fault(run(trained, "regions", "-a", "bob"), ProductionError, "no actor is called 'bob'")


def test_a_folder_that_may_only_be_read_is_told_before_anything_is_measured(
    trained, tmp_path, monkeypatch
):
    def access(place, mode):  # as for another user than root, who may write everywhere
        return os.stat(place).st_mode & 0o222 != 0

    shut = tmp_path / "shut"
    shut.mkdir(mode=0o555)
    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr("facecap_core.evaluation.evaluation.evaluate", None)  # not to be called
    done = run(trained, "evaluate", "--out", str(shut / "e"))
    assert isinstance(done.exception, ConfigError)
    assert "name another folder: --out" in str(done.exception)
