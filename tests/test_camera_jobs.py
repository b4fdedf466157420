"""Jobs of several cameras: from footage to vertices, as workers do them, most of them without a cluster."""

from __future__ import annotations

import csv
import json

import made_jobs
import pytest
from tiny_production import make_production, write_video
from typer.testing import CliRunner

from facecap_core.changes.model_results import open_compared
from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_vertices
from farm.app import app
from jobs.camera_lengths import length_warnings
from jobs.ledger import Ledger
from jobs.planning import plan_infer, plan_ingest, plan_train
from jobs.preflight import preflight
from jobs.records import Lot, Options
from jobs.tasks import TaskCall, work

SMALL = [
    "schedule.epochs=1",
    "network.channels=[8,8]",
    "network.refine=[false,false]",
    "network.components=3",
]
LEFT = "[actors.ada.cameras.left]\ncrop = [4, 4, 36, 48]\n"


def two_cameras(folder, frames):
    """A production in which the shots of `frames` (shot: frames of the left camera) have a second camera."""
    make_production(folder, train=2, validation=1, bulk=2, frames=20)
    with open(folder / "production.toml", "a") as file:
        file.write(LEFT)
    rows = list(csv.reader((folder / "shots.csv").open()))
    for number, row in enumerate(rows):
        name = row[0]
        if number == 0:
            row.append("left")
        elif name in frames:
            row.append(f"footage/{name}_left.mp4")
            write_video(folder / row[-1], frames[name], seed=90 + number)
        else:
            row.append("")
    with open(folder / "shots.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return load_production(folder)


def job(production, request):
    ledger = Ledger.create(production.paths.jobs, request)
    made_jobs.submit(ledger)
    return ledger


def done(ledger, name, stage):
    """The shot's record after a worker had it."""
    call = TaskCall(str(ledger.folder), ledger.submission().production, name, stage, Lot(threads=1))
    return work(call)


def test_a_crop_that_changed_since_ingest_is_no_word_about_the_pictures(tmp_path):
    folder = make_production(tmp_path / "p", train=1, frames=4)
    production = load_production(folder)
    request = plan_train(production, actor="ada", config=resolve("demo", SMALL))
    ledger = job(production, request)
    assert done(ledger, "train_0", "ingest")["state"] == "solved"
    settings = folder / "production.toml"
    settings.write_text(settings.read_text().replace("[0, 0, 48, 64]", "[0, 0, 24, 32]"))
    record = done(ledger, request.model, "train")
    assert record["state"] == "failed"
    assert "train_0" in record["cause"]["message"]
    assert "crop" in record["cause"]["message"]
    assert not production.paths.model("ada", request.model).exists()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_two_cameras_all_the_way(tmp_path, dropout):
    shots = dict.fromkeys(("train_0", "train_1", "validation_0", "bulk_0"), 20)
    production = two_cameras(tmp_path / "tiny", shots)
    config = resolve("demo", [*SMALL, f"network.view_dropout={dropout}"])
    training = plan_train(production, actor="ada", config=config, cameras=["center", "left"])
    ledger = job(production, training)
    for name in training.shots:
        assert done(ledger, name, "ingest")["state"] == "solved"
        assert production.paths.frames(name, "left").exists()
    made_jobs.work(ledger, None, "train")
    left = production.shots["bulk_0"].footage["left"]
    solving = plan_infer(production, actor="ada", shots=None, model=None)
    assert solving.cameras == {"ada": ("center", "left")}
    whole = left.read_bytes()
    write_video(left, 19)
    planned = preflight(production, solving, Options(), None)
    assert "camera left has 19 frames" in planned.shots[0].warning
    assert planned.shots[0].bytes, "the time left is guessed all the same"
    left.write_bytes(whole)
    planned = preflight(production, solving, Options(), None)
    warned = {shot.shot: shot.warning for shot in planned.warnings}
    assert warned == ({} if dropout else {"bulk_1": "has no footage of left"})
    ledger = job(production, solving)
    assert done(ledger, "bulk_0", "infer")["state"] == "solved"
    attributes = open_vertices(production.paths.vertices("ada", "bulk_0")).attributes
    assert attributes["cameras"] == ["center", "left"]
    compared = open_compared(production, "ada", training.model)
    assert compared.stored("bulk_0") is not None
    write_video(production.shots["bulk_0"].footage["left"], 20, seed=7)
    assert compared.stored("bulk_0") is None, "the second camera's footage was replaced"
    alone = done(ledger, "bulk_1", "infer")
    logs = [ledger.shot_log_path(shot).read_text() for shot in ("bulk_0", "bulk_1")]
    assert ["left: no footage of the shot" in log for log in logs] == [False, True]
    if dropout:
        assert alone["state"] == "solved"
    else:
        assert alone["state"] == "failed"
        assert "no footage of left" in alone["cause"]["message"]
        assert not production.paths.vertices("ada", "bulk_1").exists()


def test_two_cameras_that_are_named_may_be_missing_later(tmp_path):
    production = two_cameras(tmp_path / "tiny", {"train_0": 20, "train_1": 20, "validation_0": 20})
    words = ["submit", "train", "--preset", "cpu", "--dry-run", "--json"]
    words += ["--production", str(production.folder)]
    for cameras, missing in ((["left"], 0.0), (["center", "left"], 0.2)):
        told = CliRunner().invoke(app, words + [f"--camera={camera}" for camera in cameras])
        assert told.exit_code == 0, told.output
        network = json.loads(told.stdout)["request"]["config"]["network"]
        assert network["view_dropout"] == missing


def test_a_camera_that_decides_nothing_is_told_by_the_job_that_trained(tmp_path, farm):
    folder, shots = tmp_path / "tiny", ("train_0", "train_1", "validation_0")
    production = two_cameras(folder, dict.fromkeys(shots, 20))
    for shot in shots:
        write_video(production.shots[shot].footage["left"], 20, contrast=0)
    options = [part for setting in SMALL for part in ("--set", setting)]
    options += ["--preset", "demo", "--camera", "center", "--camera", "left", "--cpus", "1"]
    farm.run(folder, "up", "--cpus", "2")
    found = json.loads(farm.run(folder, "submit", "train", *options, "--wait", "--json"))
    told = [text for text in found["training"]["warnings"] if "decides nothing" in text]
    assert len(told) == 1
    assert told[0].startswith("camera left decides nothing of what this model solves")
    model = json.loads((production.paths.model("ada", found["model"]) / "model.json").read_text())
    assert model["camera_shares"]["left"] == 0
    assert model["camera_shares"]["center"] > 0.9
    shown = " ".join(farm.run(folder, "status", found["job"]).split())
    assert f"warning: {found['model']}: camera left decides nothing" in shown


def test_training_names_the_shots_that_lack_a_camera_or_differ_in_length(tmp_path):
    production = two_cameras(tmp_path / "tiny", {"train_0": 20, "train_1": 19})
    request = plan_train(
        production, actor="ada", config=resolve("demo", SMALL), cameras=["center", "left"]
    )
    planned = preflight(production, request, Options(), None)
    warned = {shot.shot: shot.warning for shot in planned.warnings}
    assert warned == {
        "train_1": "camera center has 20 frames, camera left has 19 frames, by their files' heads"
        " -> cut all cameras of the shot to the same frames (farm check counts them)",
        "validation_0": "has no footage of left",
    }, "before the night"
    assert not length_warnings(production, request, request.shots, seconds=-1.0), "no time is left"
    alone = plan_train(production, actor="ada", config=resolve("demo", SMALL))
    assert not preflight(production, alone, Options(), None).warnings, "one camera is read"
    ledger = job(production, request)
    assert done(ledger, "train_0", "ingest")["state"] == "solved"
    shorter = done(ledger, "train_1", "ingest")
    assert shorter["state"] == "failed"
    assert "camera left has 19 frames, camera center has 20" in shorter["cause"]["message"]
    lacking = done(ledger, "validation_0", "ingest")
    assert lacking["state"] == "failed"
    assert "no footage of left" in lacking["cause"]["message"]


def test_the_camera_that_was_asked_for_is_named_where_a_shot_lacks_it(tmp_path):
    production = two_cameras(tmp_path / "tiny", {"train_0": 20})
    request = plan_ingest(production, actor=None, shots=["train_0", "train_1"], camera="left")
    planned = preflight(production, request, Options(), None)
    warned = {shot.shot: shot.warning for shot in planned.warnings}
    assert warned == {"train_1": "has no footage of left"}
    record = done(job(production, request), "train_1", "ingest")
    assert record["state"] == "failed"
    assert record["cause"]["message"].endswith("the shot has no footage of left")
