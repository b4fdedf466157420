"""`farm stabilise`: the table in mm before anything is written, and the targets beside the originals."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from safetensors.torch import load_file
from tiny_model import tiny_config
from tiny_production import make_production

from facecap_core.errors import TrainingError
from facecap_core.ingest import ingest_frames, ingest_targets
from facecap_core.learning.actor_training import train_actor
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_targets
from facecap_core.template import read_template
from farm import app as farm_app

FRAMES = 12
SHIFTS_MM = {"train_0": 0.0, "train_1": 3.0, "validation_0": 0.0}


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs farm's main() in a folder; returns exit code, stdout, stderr."""
    monkeypatch.delenv("FARM_PRODUCTION", raising=False)

    def call(folder, *arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["farm", "stabilise", *arguments])
        capfd.readouterr()
        code = 0
        try:
            farm_app.main()
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def folder(tmp_path):
    """A production of a solid mesh, of whose shots one stands 3 mm further up; targets are ingested."""
    folder = make_production(tmp_path / "tiny", train=2, validation=1, bulk=1, frames=FRAMES)
    rng = np.random.default_rng(0)
    rest = rng.uniform(-8, 8, (40, 3)).astype(np.float32)
    vertices = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in rest.tolist()]
    (folder / "template.obj").write_text("\n".join([*vertices, "f 1 2 3"]) + "\n")
    production = load_production(folder)
    for name, shift_mm in SHIFTS_MM.items():
        moves = rest + rng.normal(size=(FRAMES, 1, 1)) * 0.02 * rng.normal(size=(1, 40, 3))
        moves[:, :, 1] += shift_mm / 10
        cache = production.shots[name].cache
        write_pc2(cache, moves.astype(np.float32))
        ingest_targets(
            cache,
            template=read_template(folder / "template.obj"),
            units=production.units,
            fps=production.fps,
            destination=production.paths.targets(name),
        )
    return folder


def row(out, shot):
    """A shot's line of the table, from `before mm` on."""
    line = next(line for line in out.splitlines() if line.startswith(f"{shot} "))
    return [float(cell) for cell in line.split()[4:]]


def test_it_shows_in_mm_what_it_would_do_and_writes_nothing(run, folder):
    code, out, _ = run(folder, "--actor", "ada")
    assert code == 0
    before, after, apart, shift, _, scale, _ = row(out, "train_1")
    assert before == pytest.approx(3.0, abs=0.1)
    assert after < 0.5
    assert shift == pytest.approx(3.0, abs=0.1)
    assert apart == pytest.approx(
        2.0, abs=0.1
    )  # two shots out of three stand where the template does
    assert scale == pytest.approx(1.0, abs=0.01)
    assert row(out, "train_0")[3] < 0.1
    assert "ada: 3 shots, 1.33 mm apart" in out
    assert "warning" not in out
    assert "nothing is written: --apply" in out
    assert not (folder / "store" / "stabilised").exists()


def test_applied_the_shots_stand_together_and_the_originals_stay(run, folder):
    paths = load_production(folder).paths
    before = {name: open_targets(paths.targets(name)).read("positions") for name in SHIFTS_MM}
    code, out, _ = run(folder, "--apply")
    assert code == 0
    assert "3 shots are written; the originals stay" in out
    assert "train with them: farm submit train --actor ada --set targets=stabilised" in out
    means = []
    for name in SHIFTS_MM:
        np.testing.assert_array_equal(
            open_targets(paths.targets(name)).read("positions"), before[name]
        )
        means.append(
            open_targets(paths.targets(name, stabilised=True)).read("positions").mean((0, 1))
        )
    assert np.ptp(means, axis=0).max() < 0.01
    assert "training needs all" not in out


def test_stable_shots_come_with_the_papers_warning(run, folder):
    (folder / "list.txt").write_text("train_0\nvalidation_*\n")
    code, out, _ = run(folder, "--shots", "list.txt", "--apply")
    assert code == 0
    assert "warning: below 0.5 mm" in out
    assert "can only make it worse (Appendix A.3)" in out
    assert "train_1" not in out
    assert "training needs all tracked shots: of ada 1 are not stabilised" in out


def test_json(run, folder):
    code, out, _ = run(folder, "--json")
    answer = json.loads(out)
    assert (code, answer["applied"], answer["schema_version"]) == (0, False, 1)
    shots = {shot["shot"]: shot for shot in answer["shots"]}
    assert list(shots) == list(SHIFTS_MM)
    assert shots["train_1"]["translation_mm"] == pytest.approx(3.0, abs=0.1)
    assert np.shape(shots["train_1"]["transform"]) == (3, 4)
    assert shots["train_1"]["written"] is None
    written = [shot["written"] for shot in json.loads(run(folder, "--apply", "--json")[1])["shots"]]
    assert all(open_targets(folder / place).frames == FRAMES for place in written)


def test_shots_that_are_not_ingested_are_all_named_with_the_remedy(run, tmp_path):
    folder = make_production(tmp_path / "tiny", train=2, bulk=1, frames=3)
    code, _, err = run(folder, "--actor", "ada")
    assert code == 2
    for line, name in ((2, "train_0"), (3, "train_1")):
        assert f"shots.csv:{line}: shot {name} is not ingested" in err
    assert "farm submit ingest --actor ada" in err
    (folder / "list.txt").write_text("bulk_0\n")
    code, _, err = run(folder, "--shots", "list.txt")
    assert (code, "shot bulk_0 has no targets" in err) == (2, True)
    assert not (folder / "store" / "stabilised").exists()


def test_what_cannot_be_chosen_is_refused(run, tmp_path):
    folder = make_production(tmp_path / "tiny", bulk=1, frames=3)
    code, _, err = run(folder, "--actor", "adda")
    assert (code, "did you mean 'ada'?" in err) == (2, True)
    code, _, err = run(folder)
    assert (code, "no shot to stabilise" in err) == (2, True)
    settings = (folder / "production.toml").read_text()
    other = settings[settings.index("[actors.ada]") :].replace("ada", "bo")
    (folder / "production.toml").write_text(settings + other)
    code, _, err = run(folder)
    assert (code, "the production has 2 actors -> name one with --actor" in err) == (2, True)


def test_training_takes_them_and_refuses_those_of_other_targets(run, folder):
    production = load_production(folder)
    paths = production.paths
    for name in SHIFTS_MM:
        ingest_frames(
            production.shots[name].footage["center"],
            crop=production.actors["ada"].cameras["center"].crop,
            fps=production.fps,
            destination=paths.frames(name, "center"),
        )
    config = tiny_config().model_copy(update={"targets": "stabilised"})

    def train(model):
        train_actor(production, "ada", config, model=model, device="cpu", threads=1)
        return load_file(paths.model("ada", model) / "weights.safetensors")["output.bias"]

    with pytest.raises(TrainingError, match="train_0 is not stabilised"):
        train("early")
    assert run(folder, "--apply")[0] == 0
    stabilised = [
        open_targets(paths.targets(name, stabilised=True)).read("positions")
        for name in ("train_0", "train_1")
    ]
    # The output layer's bias starts at the mean training mesh, and one epoch moves it but a little.
    mean = np.concatenate(stabilised).mean(axis=0).ravel()
    assert np.abs(train("late").numpy() - mean).max() < 0.05 < SHIFTS_MM["train_1"] / 10 / 2
    write_pc2(production.shots["train_1"].cache, stabilised[1] + 1)
    ingest_targets(
        production.shots["train_1"].cache,
        template=read_template(folder / "template.obj"),
        units=production.units,
        fps=production.fps,
        destination=paths.targets("train_1"),
    )
    with pytest.raises(TrainingError, match="train_1 has other targets"):
        train("stale")
