"""A model that was trained anew under its own name: what its earlier weights solved is not done."""

from __future__ import annotations

from made_jobs import drive, submit, work
from tiny_production import make_production

from facecap_core.fingerprints import fingerprint_weights
from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_vertices
from farm.status_tables import stale_lines
from jobs.ledger import Ledger
from jobs.models import weights_of
from jobs.planning import plan_infer, plan_train
from jobs.preflight import missing_shots
from jobs.train import UNCALIBRATED

SMALL = ["schedule.epochs=1", "network.components=3", "network.channels=[8,8]"]
SMALL += ["network.refine=[false,false]"]


def begun(production, request):
    ledger = Ledger.create(production.paths.jobs, request)
    submit(ledger)
    drive(ledger)
    return ledger


def test_shots_that_other_weights_of_the_same_model_solved_are_solved_again(tmp_path):
    """A shot that was skipped is taken in again, and trained on: the model is another one of the same name."""
    production = load_production(make_production(tmp_path / "p", train=2, bulk=2, frames=20))
    training = begun(production, plan_train(production, actor="ada", config=resolve("demo", SMALL)))
    model = training.request().model
    training.skip("train_1")
    work(training, "train_0", "ingest")
    work(training, model, "train")
    assert training.training().warnings == [UNCALIBRATED], "there is no validation shot"
    request = plan_infer(production, actor="ada", shots=None, model=None)
    solving = begun(production, request)

    def solve():
        for shot in request.shots:
            work(solving, shot, "infer")
        drive(solving, "finished")

    def solved_by():
        stores = [open_vertices(production.paths.vertices("ada", shot)) for shot in request.shots]
        return {store.attributes["model_fingerprint"] for store in stores}

    solve()
    first = fingerprint_weights(production.paths.model("ada", model))
    assert solved_by() == {first} == {weights_of(production.store, "ada", model)}
    assert missing_shots(production, request, solving) == []
    assert solving.status().stale == {}
    training.unskip("train_1")
    work(training, "train_1", "ingest")
    work(training, model, "train")
    assert plan_infer(production, actor="ada", shots=None, model=None) == request
    assert missing_shots(production, request, solving) == ["bulk_0", "bulk_1"]
    assert solving.status().stale == {"ada": model}
    assert stale_lines(solving.status())[0].startswith(f"stale: ada has a newer model {model};")
    solve()
    assert solved_by() == {weights_of(production.store, "ada", model)} != {first}
    assert missing_shots(production, request, solving) == []
    assert solving.status().stale == {}


def test_of_weights_that_nobody_noted_or_that_are_gone_nothing_is_said(tmp_path):
    production = load_production(make_production(tmp_path / "p", train=1, bulk=1, frames=20))
    training = begun(production, plan_train(production, actor="ada", config=resolve("demo", SMALL)))
    work(training, "train_0", "ingest")
    work(training, training.request().model, "train")
    request = plan_infer(production, actor="ada", shots=None, model=None)
    solving = begun(production, request)
    work(solving, "bulk_0", "infer")
    drive(solving, "finished")
    record = solving.shot("bulk_0")
    solving.write(record.model_copy(update={"weights": {}}))  # as by an earlier version
    assert missing_shots(production, request, solving) == []
    solving.write(record)
    production.paths.model("ada", training.request().model).unlink()
    assert weights_of(production.store, "ada", training.request().model) is None
    assert missing_shots(production, request, solving) == []
    assert solving.status().stale == {}
