"""Fine-tuning: it starts where the base ended, learns what artists corrected, and a killed one ends with the same bits."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_jobs import run_job
from test_training import assert_same_bits, config, examples, run, weights
from tiny_production import make_production
from tracked_production import ANIMATED, make_tracked, rest_positions, train_model, write_shot
from typer.testing import CliRunner

from facecap_core.corrections.correction import (
    add_correction,
    standing,
    take_out,
)
from facecap_core.errors import Cancelled, ConfigError, ModelError, StoreError
from facecap_core.fingerprints import fingerprint_file, fingerprint_weights
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.config import CorrectionsConfig
from facecap_core.learning.fine_tuning import fine_tuned
from facecap_core.learning.model import load_model, read_model_facts
from facecap_core.learning.order import Order
from facecap_core.learning.presets import resolve
from facecap_core.learning.run import Run
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from facecap_core.solved_shot import open_solved
from facecap_core.stores.groups import open_frames, open_targets
from facecap_core.template import read_template
from farm.app import app
from jobs.corrections import corrections_to_learn
from jobs.ledger import Ledger
from jobs.planning import plan_infer, plan_train
from jobs.request import job_id, parse_request

BULK, FRAMES = "bulk_a", 60


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of tracked shots, and a bulk shot whose pictures are in the store."""
    folder = make_tracked(tmp_path_factory.mktemp("tuning") / "production")
    (folder / "v.mp4").write_bytes(b"a video")
    (folder / "w.mp4").write_bytes(b"another")
    with open(folder / "shots.csv", "a") as file:
        file.write(f"\n{BULK},ada,,,,v.mp4,w.mp4")
    write_shot(load_production(folder).paths, BULK, FRAMES, 3.0)
    train_model(folder, "base", epochs=12)
    return folder


@pytest.fixture
def production(trained, tmp_path):
    return load_production(shutil.copytree(trained, tmp_path / "production", symlinks=True))


def artists(production, frames, shot=BULK):
    """What the face really did in these frames: something that no tracked shot has."""
    tracked = open_targets(production.paths.targets(shot)).read("positions")[frames]
    pushed = np.clip(-rest_positions()[:, 1] / 90, 0, 1)[:, None] * np.array([0.0, 0.0, 8.0])
    return (tracked + pushed).astype(np.float32)


def correct(production, frames, shot=BULK, seed=0, **facts):
    right = artists(production, frames, shot)
    right += np.random.default_rng(seed).normal(scale=0.01, size=right.shape).astype(np.float32)
    template = read_template(production.actors["ada"].template)
    known = {
        "topology_sha256": template.topology_sha256,
        "footage_fingerprint": fingerprint_file(production.folder / "v.mp4"),
        "camera": "center",
    }
    paths = production.paths
    return add_correction(
        paths, "ada", shot, frames=frames, blocks=[right], facts={**known, **facts}
    )


def tuned(production, name, overrides=("schedule.epochs=30",), base="base"):
    facts = read_model_facts(production.paths.model("ada", base))
    chosen, _ = corrections_to_learn(production, "ada", ["center"])
    return train_actor(
        production,
        "ada",
        fine_tuned(facts, overrides),
        model=name,
        base=base,
        corrections=chosen,
        threads=1,
    )


def error_mm(production, model, frames):
    """RMSE of the bulk shot's frames against what the artist made of them."""
    pictures = open_frames(production.paths.frames(BULK, "center")).read("luma")[frames]
    solved = load_model(production.paths.model("ada", model), "cpu").predict(pictures)
    apart = (solved - artists(production, frames))[:, ANIMATED]
    return float(np.sqrt(np.mean(np.square(apart).sum(2))))


def test_it_lowers_the_error_of_corrected_frames_and_of_those_beside_them(production):
    frames = np.r_[5:25, 40:50]
    correct(production, frames)
    tuned(production, "tuned")
    beside = np.r_[25:40]
    assert error_mm(production, "tuned", frames) < 0.6 * error_mm(production, "base", frames)
    assert error_mm(production, "tuned", beside) < 0.8 * error_mm(production, "base", beside)
    facts = read_model_facts(production.paths.model("ada", "tuned"))
    training, base = facts["training"], production.paths.model("ada", "base")
    assert training["base"] == {"model": "base", "fingerprint": fingerprint_weights(base)}
    (found,) = standing(production.paths, "ada", BULK)
    assert training["corrections"] == {BULK: [found.content]}
    assert list(training["shots"]) == ["learn_a", "learn_b"], "bulk frames are no tracked shot"
    assert training["corrected_frames"] == 30
    assert training["corrected_rmse_mm"] == pytest.approx(
        error_mm(production, "tuned", frames), rel=0.05
    )
    assert facts["whitening"] == read_model_facts(base)["whitening"]


def test_corrected_frames_of_a_training_shot_take_the_place_of_what_was_tracked(production):
    correct(production, np.arange(40), "learn_a")
    tuned(production, "tuned")
    facts = read_model_facts(production.paths.model("ada", "tuned"))
    assert facts["training"]["frames"] == 70
    assert facts["training"]["corrected_frames"] == 40
    paths = production.paths
    pictures = open_frames(paths.frames("learn_a", "center")).read("luma")
    moved = [load_model(paths.model("ada", m), "cpu").predict(pictures) for m in ("tuned", "base")]
    assert (moved[0] - moved[1])[:, ANIMATED, 2].mean() > 0.8  # forward, as the artist has it


def test_the_first_step_starts_at_the_bases_weights(tmp_path):
    run(tmp_path / "base", config())
    base = load_model(tmp_path / "base" / "model", "cpu")
    still = config(epochs=0.1, schedule={"kind": "cosine", "epochs": 0.1, "learning_rate": 1e-12})
    run(tmp_path / "again", still, base=base)
    for name, tensor in weights(tmp_path / "again").items():
        assert torch.allclose(tensor, weights(tmp_path / "base")[name], atol=1e-6), name


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, kind):
    run(tmp_path / "base", config())
    base = load_model(tmp_path / "base" / "model", "cpu")
    settings = config(optimizer={"kind": kind, "average": 0.9})
    run(tmp_path / "whole", settings, base=base)
    with pytest.raises(Cancelled):
        options = {"progress_seconds": 0, "on_progress": lambda p: p.done < 100}
        run(tmp_path / "b", settings, base=base, **options)
    seen = []
    options = {"progress_seconds": 0, "on_progress": lambda p: seen.append(p.done)}
    run(tmp_path / "b", settings, base=base, **options)
    assert seen[0] > 16, "it went on, and did not begin anew"
    assert_same_bits(weights(tmp_path / "whole"), weights(tmp_path / "b"))


def test_a_stopped_tuning_of_a_production_goes_on_to_the_same_bits(production):
    correct(production, np.arange(10, 20))
    tuned(production, "whole")
    facts = read_model_facts(production.paths.model("ada", "base"))
    chosen, _ = corrections_to_learn(production, "ada", ["center"])
    options = {"base": "base", "corrections": chosen, "threads": 1, "model": "parts"}
    settings = fine_tuned(facts, ["schedule.epochs=30"])

    def once(progress):
        return progress.done > 10**9

    for _ in range(2):
        with pytest.raises(Cancelled):
            train_actor(production, "ada", settings, on_progress=once, **options)
    take_out(production.paths, "ada", BULK, 1)  # it was asked for, and stays so
    train_actor(production, "ada", settings, **options)
    paths = production.paths
    one, two = (load_model(paths.model("ada", m), "cpu").network for m in ("whole", "parts"))
    assert_same_bits(one.state_dict(), two.state_dict())


def test_its_settings_are_the_bases_with_an_eighth_of_the_epochs(production):
    facts = read_model_facts(production.paths.model("ada", "base"))
    settings = fine_tuned(facts)
    assert settings.schedule.epochs == 12 / 8
    assert settings.network.channels == (8, 16, 24)
    assert settings.schedule.learning_rate < facts["config"]["schedule"]["learning_rate"]
    assert settings.augmentation.ramp_epochs == 0
    assert fine_tuned(facts, ["schedule.epochs=3", "seed=9"]).seed == 9
    for written in ("schedule.epoch=3", "epochs=3"):
        with pytest.raises(ConfigError, match=r"did you mean schedule\.epochs\?"):
            fine_tuned(facts, [written])
    with pytest.raises(ConfigError, match=r"did you mean network\.kind or .* or loss\.kind\?"):
        fine_tuned(facts, ["kind=mse"])
    again = {**facts, "config": settings.model_dump(mode="json")}
    again["training"] = {"base": {"model": "base", "fingerprint": ""}}
    assert fine_tuned(again) == settings, "an eighth of an eighth would be nothing"


@pytest.mark.parametrize(
    ("overrides", "cameras", "said"),
    [
        (["network.channels=[8,16,32]"], (), "network.channels"),
        (["whitening=image"], (), "whitening"),
        ([], ("left",), "cameras (center, now left)"),
        ([], ("center", "left"), "cameras (center, now center and left)"),
    ],
)
def test_a_base_that_is_otherwise_is_refused(production, overrides, cameras, said):
    facts = read_model_facts(production.paths.model("ada", "base"))
    with pytest.raises(ModelError, match="train without --from") as refused:
        plan_train(
            production,
            actor="ada",
            config=fine_tuned(facts, overrides),
            cameras=cameras,
            base="base",
        )
    assert said in str(refused.value)


def test_a_base_of_another_mesh_or_crop_is_refused(production):
    folder = production.paths.model("ada", "base")
    facts = read_model_facts(folder)
    for changed, said in (
        ({"topology_sha256": "0"}, "another mesh"),
        ({"crop": {"center": [1, 2, 3, 4]}}, "crop"),
        ({"units": "cm"}, "units (cm, now mm)"),
    ):
        (folder / "model.json").write_text(json.dumps({**facts, **changed}))
        with pytest.raises(ModelError) as refused:
            planned(production, base="base")
        assert said in str(refused.value)


def planned(production, **options):
    facts = read_model_facts(production.paths.model("ada", "base"))
    return plan_train(production, actor="ada", config=fine_tuned(facts), **options)


def test_contents_decide_the_job(production):
    plain = planned(production, corrected=False)
    told = plain.model_dump(mode="json")
    assert "base" not in told
    assert "corrections" not in told
    assert "corrections" not in told["config"], "requests without them stay what they were"
    assert planned(production) == plain
    tuning = planned(production, base="base")
    assert tuning.model.startswith("demo_tuned-")
    assert job_id(tuning) != job_id(plain)
    first = correct(production, np.arange(10, 20))
    with_it = planned(production, base="base")
    assert with_it.shots[-1] == BULK, "its pictures are ingested"
    assert parse_request(with_it.canonical()) == with_it
    assert job_id(with_it) != job_id(tuning)
    assert job_id(planned(production, base="base")) == job_id(with_it)
    assert planned(production).corrections == with_it.corrections, "without --from they count too"
    second = correct(production, np.arange(12, 22), seed=1)
    assert job_id(planned(production, base="base")) != job_id(with_it)
    take_out(production.paths, "ada", BULK, second.number)
    assert job_id(planned(production, base="base")) == job_id(with_it)
    take_out(production.paths, "ada", BULK, first.number)
    assert planned(production, base="base") == tuning
    weights_file = production.paths.model("ada", "base") / "weights.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:-1] + b"\7")
    assert job_id(planned(production, base="base")) != job_id(tuning)


def test_a_job_ingests_solves_and_learns_what_was_corrected(tmp_path):
    """The way of a user: train, infer, correct, train --from; each stage as a worker does it."""
    production = load_production(
        make_production(tmp_path / "p", train=2, validation=1, bulk=1, frames=20)
    )
    small = ["schedule.epochs=8", "network.channels=[8,8]", "network.refine=[false,false]"]
    config = resolve("demo", [*small, "network.components=3"])
    base = run_job(
        production, plan_train(production, actor="ada", config=config), "ingest", "train"
    )
    run_job(production, plan_infer(production, actor="ada", shots=None, model=None), "infer")
    solved = open_solved(production, "bulk_0")
    np.save(tmp_path / "right.npy", solved.read(4, 10) + 0.05)
    arguments = ["correct", "bulk_0", str(tmp_path / "right.npy"), "--frames", "4-9"]
    said = CliRunner().invoke(app, [*arguments, "--production", str(production.folder)])
    assert said.exit_code == 0, said.output
    assert "6 frames, 4-9; 0.87 mm from what demo-" in said.output
    facts = read_model_facts(production.paths.model("ada", base.model))
    tuning = plan_train(production, actor="ada", config=fine_tuned(facts), base=base.model)
    run_job(production, tuning, "ingest", "train")
    made = read_model_facts(production.paths.model("ada", tuning.model))
    assert made["training"]["base"]["model"] == base.model
    assert (made["training"]["frames"], made["training"]["corrected_frames"]) == (46, 6)
    assert production.paths.frames("bulk_0", "center").exists()
    errors = [f["validation"]["shots"]["validation_0"]["rmse_mm"] for f in (facts, made)]
    ledger = Ledger(production.paths.jobs / job_id(tuning))
    log = ledger.log_path(ledger.training()).read_text()
    assert f"validation_0 {errors[0]:.3f} -> {errors[1]:.3f} mm" in log
    figures = ledger.training().figures
    assert figures["base_validation_rmse_mm"] == facts["validation"]["rmse_mm"]
    tracked = open_targets(production.paths.targets("validation_0")).read("positions")
    write_pc2(production.shots["validation_0"].cache, tracked + np.float32(0.1))
    again = plan_train(production, actor="ada", config=fine_tuned(facts), base=base.model)
    run_job(production, again, "ingest", "train")
    ledger = Ledger(production.paths.jobs / job_id(again))
    figures = ledger.training().figures
    assert "validation_rmse_mm" in figures
    assert "base_validation_rmse_mm" not in figures, "that was measured against other targets"
    assert "no shot in common" in ledger.log_path(ledger.training()).read_text()


def test_validation_shots_are_not_learned_and_other_footage_is_refused(production):
    correct(production, np.arange(10, 20), "held_a")
    chosen, left_out = corrections_to_learn(production, "ada", ["center"])
    assert (chosen, left_out) == ({}, {"held_a": "is a validation shot"})
    correct(production, np.arange(10, 20))
    (production.folder / "v.mp4").write_bytes(b"cut anew")
    with pytest.raises(StoreError, match=f"other footage.*farm correct {BULK} --remove 1"):
        planned(production)
    assert not planned(production, corrected=False).corrections


def test_few_corrected_frames_come_several_times_an_epoch():
    few = CorrectionsConfig()
    assert few.repeats(0, 1000) == 1
    assert few.repeats(2, 1000) == few.most_repeats
    shown = 50 * few.repeats(50, 1000)
    assert shown / (950 + shown) == pytest.approx(few.share, abs=0.03)
    assert few.repeats(500, 1000) == 1
    order = Order(100, seed=3, again=torch.tensor([7, 7, 9]))
    assert len(order) == 103
    counts = np.bincount(order.batch(0, 103).numpy(), minlength=100)
    assert counts.tolist() == [3 if i == 7 else 2 if i == 9 else 1 for i in range(100)]
    plain = Order(100, seed=3)
    assert torch.equal(
        Order(100, 3, torch.tensor([], dtype=torch.int64)).batch(0, 250), plain.batch(0, 250)
    )


def test_plain_training_learns_from_corrections_too():
    """More frames in an epoch are more steps of it."""
    learned = examples(120, 0)
    marked = replace(learned, corrected=torch.arange(5))

    def steps(found):
        return Run(found, None, config(), np.arange(30), torch.device("cpu")).steps

    assert steps(marked) > steps(learned)
