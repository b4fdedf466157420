"""Compare: what another model changes is found where it is, from the store, from footage and from stored frames alike."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from made_jobs import run_job
from safetensors.torch import load_file, save_file
from tiny_production import make_production
from typer.testing import CliRunner

from facecap_core.changes.model_results import open_compared
from facecap_core.corrections.correction import add_correction
from facecap_core.errors import ModelError
from facecap_core.ingest import ingest_frames
from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import open_vertices
from facecap_core.template import read_template
from farm.app import app
from jobs.planning import plan_infer, plan_train

SMALL = ["schedule.epochs=2", "network.channels=[8,8]", "network.refine=[false,false]"]
FRAMES = 75  # more than a block


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three shots that model `old` solved, and `same`: a hair's breadth beside it."""
    folder = make_production(
        tmp_path_factory.mktemp("compare") / "p", train=1, bulk=3, frames=FRAMES
    )
    production = load_production(folder)
    config = resolve("demo", [*SMALL, "network.components=3"])
    request = plan_train(production, actor="ada", config=config)
    run_job(production, request, "ingest", "train")
    paths = production.paths
    trained = paths.model("ada", request.model)
    trained.resolve().rename(paths.model("ada", "old"))
    trained.unlink()
    other_model(production, "old", 0.0)
    solving = plan_infer(production, actor="ada", shots=None, model="old")
    run_job(production, solving, "infer")
    other_model(production, "same", 1e-6)
    return folder


@pytest.fixture
def production(made, tmp_path):
    return load_production(shutil.copytree(made, tmp_path / "p", symlinks=True))


def other_model(production, name, by_cm):
    """A copy of `old` that puts every vertex so far to the side."""
    old, folder = (production.paths.model("ada", one) for one in ("old", name))
    if name != "old":
        shutil.copytree(old, folder)
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**facts, "model": name}))
    tensors = load_file(folder / "weights.safetensors")
    tensors["output.bias"][::3] += by_cm
    save_file(tensors, folder / "weights.safetensors")


def plant(production, shot, frames, by_cm):
    """As if `old` had solved these frames of the shot so far to the side of what it would now."""
    path = production.paths.vertices("ada", shot)
    store = open_vertices(path)
    positions = store.read("positions")
    positions[frames, :, 0] += by_cm
    about = {k: v for k, v in store.attributes.items() if k != "frames"}
    with new_group(path) as group:
        group.positions(positions.shape[1]).append(positions)
        group.set_attributes(about)


def run(production, *arguments):
    return CliRunner().invoke(
        app, ["compare", *map(str, arguments), "--production", str(production.folder)]
    )


def told(production, *arguments):
    done = run(production, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_planted_shots_are_found_worst_first_and_no_other(production, tmp_path):
    plant(production, "bulk_2", np.r_[10:20], 0.1)
    plant(production, "bulk_0", np.r_[30:33, 62:70], 0.2)
    found = told(production, "old", "same", "--every", 1)
    assert [shot["shot"] for shot in found["shots"]] == ["bulk_0", "bulk_2", "bulk_1"]
    worst, second, still = found["shots"]
    assert [(r["first"], r["last"]) for r in worst["ranges"]] == [(30, 32), (62, 69)]
    assert worst["worst_mm"] == pytest.approx(2, abs=0.01)
    assert worst["changed_frames"] == 11
    assert second["ranges"][0]["worst_mm"] == pytest.approx(1, abs=0.01)
    assert still["ranges"] == []
    assert still["worst_mm"] < 0.01
    assert {tuple(shot["solved_anew"]) for shot in found["shots"]} == {("same",)}
    table = run(production, "old", "same", "--threshold-mm", 1.5, "--csv", tmp_path / "c.csv")
    assert "1 of 3 shots, 12 of 225 frames, change by more than 1.5 mm" in table.output
    assert "bulk_2" not in table.output
    rows = list(csv.DictReader((tmp_path / "c.csv").read_text().splitlines()))
    found = sorted((row["shot"], int(row["first"]), int(row["last"])) for row in rows)
    assert found == [("bulk_0", 32, 35), ("bulk_0", 64, 71)], "every fourth frame, by default"
    assert told(production, "same", "old", "bulk_1")["shots"][0]["solved_anew"] == ["same"]


def test_every_kth_frame_says_the_same_of_what_lasts(production):
    plant(production, "bulk_2", np.r_[20:60], 0.1)
    for every in (1, 2, 5, 7):
        (shot,) = told(production, "old", "same", "bulk_2", "--every", every)["shots"]
        (found,) = shot["ranges"]
        assert 20 <= found["first"] < 20 + every
        assert 59 <= found["last"] < 59 + every


def test_stored_frames_and_footage_give_the_same(production):
    other_model(production, "moved", 0.07)
    (footage,) = told(production, "old", "moved", "bulk_1", "--every", 3)["shots"]
    ingest_frames(
        production.shots["bulk_1"].footage["center"],
        crop=production.actors["ada"].cameras["center"].crop,
        fps=production.fps,
        destination=production.paths.frames("bulk_1", "center"),
    )
    (stored,) = told(production, "old", "moved", "bulk_1", "--every", 3)["shots"]
    assert stored == footage
    assert stored["rmse_mm"] == pytest.approx(0.7, abs=0.01)
    assert stored["ranges"][0]["last"] == FRAMES - 1


def test_two_models_of_which_neither_solved_the_shots_are_both_solved_anew(production):
    other_model(production, "moved", 0.07)
    other_model(production, "further", 0.17)
    found = told(production, "moved", "further")["shots"]
    assert all(shot["solved_anew"] == ["moved", "further"] for shot in found)
    assert all(shot["rmse_mm"] == pytest.approx(1, abs=0.01) for shot in found)


def test_another_version_of_a_model_of_the_same_name_is_not_taken_for_it(production):
    other_model(production, "old", 0.1)
    (shot,) = told(production, "old", "same", "bulk_0")["shots"]
    assert shot["solved_anew"] == ["old", "same"]
    assert shot["rmse_mm"] == pytest.approx(1, abs=0.01)


def test_a_shot_whose_footage_was_replaced_is_solved_anew(production):
    plant(production, "bulk_0", np.r_[0:FRAMES], 1.0)
    old = open_compared(production, "ada", "old")
    assert old.stored("bulk_0") is not None
    video = production.shots["bulk_0"].footage["center"]
    shutil.copy(production.shots["bulk_1"].footage["center"], video)
    assert old.stored("bulk_0") is None


def test_corrected_frames_need_no_review(production):
    plant(production, "bulk_0", np.r_[30:50], 0.2)
    frames = np.arange(30, 45)
    right = open_vertices(production.paths.vertices("ada", "bulk_0")).read("positions")[frames]
    topology = read_template(production.actors["ada"].template).topology_sha256
    facts = {"topology_sha256": topology}
    add_correction(production.paths, "ada", "bulk_0", frames=frames, blocks=[right], facts=facts)
    (shot,) = told(production, "old", "same", "bulk_0", "--every", 1)["shots"]
    assert [(r["first"], r["last"]) for r in shot["ranges"]] == [(45, 49)]
    assert shot["corrected_frames"] == 15


def test_a_shot_that_cannot_be_read_fails_alone(production):
    production.shots["bulk_1"].footage["center"].unlink()
    done = run(production, "old", "same", "--json")
    assert done.exit_code == 100
    said = json.loads(done.stdout)
    assert list(said["failed"]) == ["bulk_1"]
    assert {shot["shot"] for shot in said["shots"]} == {"bulk_0", "bulk_2"}


def test_models_of_another_mesh_are_refused(production):
    other_model(production, "strange", 0.0)
    path = production.paths.model("ada", "strange") / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "topology_sha256": "0"}))
    done = run(production, "old", "strange")
    assert isinstance(done.exception, ModelError)
    assert "differ in their mesh" in str(done.exception)
    assert isinstance(run(production, "old", "none").exception, ModelError)
