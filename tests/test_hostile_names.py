"""Hostile names: in shots.csv, in a ledger and on the command line they lead nowhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tiny_production import make_production, write_shots

from facecap_core.errors import ProductionError, StoreError
from facecap_core.names import is_name
from facecap_core.productions.production import load_production
from facecap_core.stores.paths import StorePaths
from jobs.errors import JobNotFound
from jobs.job_list import find_job
from jobs.ledger import Ledger
from jobs.models import list_models
from jobs.records import ShotRecord
from jobs.request import InferRequest, IngestRequest, TrainRequest, parse_request

HOSTILE = [
    "../../x",
    "/etc/passwd",
    "..",
    ".hidden",
    "a/b",
    "a\\b",
    "a\nb",
    "-rf",
    "$(touch x)",
    "",
]


@pytest.fixture
def production(tmp_path):
    return load_production(make_production(tmp_path / "tiny", train=1, frames=2))


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_hostile_shot_names_in_shots_csv_are_refused(tmp_path, name):
    folder = make_production(tmp_path / "tiny", train=1, frames=2)
    rows = [("train_0", "ada", "rom", "train", "caches/train_0.pc2", "footage/train_0.mp4")]
    write_shots(folder, [*rows, (name, "ada", "", "", "", "footage/train_0.mp4")])
    with pytest.raises(ProductionError) as refused:
        load_production(folder)
    assert any("shot's name" in fault.message for fault in refused.value.faults)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "place", [("shots", 0), ("models", "key"), ("models", "value"), ("cameras", "value")]
)
def test_hostile_names_in_a_request_are_refused(production, name, place):
    """A ledger's request.json may be anyone's who can write the store."""
    request = InferRequest(
        settings=production.model_dump(mode="json", include={"units"}),
        models={"ada": "cpu-1"},
        cameras={"ada": "center"},
        shots=("train_0",),
    )
    fields = request.model_dump(mode="json")
    key, part = place
    if part == 0:
        fields[key] = [name]
    else:
        (actor, value), *_ = fields[key].items()
        fields[key] = {name: value} if part == "key" else {actor: name}
    folder = StorePaths(production.store).jobs / "infer-ada-0"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps(fields))
    with pytest.raises(StoreError, match=r"request\.json"):
        Ledger(folder).request()
    with pytest.raises(StoreError):
        Ledger(folder).status()


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", ".hidden"])
@pytest.mark.parametrize("key", ["actors", "cameras", "actor", "camera", "training", "validation"])
def test_hostile_names_in_other_requests_are_refused(name, key):
    ingest = {"kind": "ingest", "settings": {}, "actors": ["ada"], "shots": ["a"]}
    train = {"kind": "train", "settings": {}, "actor": "ada", "camera": "center"}
    train.update(training=["a"], validation=[], config={"preset": "../../x"})
    parsed = parse_request(json.dumps(train))
    assert isinstance(parsed, TrainRequest)
    assert is_name(parsed.model)
    fields = ingest if key in ("actors", "cameras") else train
    fields[key] = name if key in ("actor", "camera") else [name]
    with pytest.raises(StoreError):
        parse_request(json.dumps(fields))


def test_a_model_is_called_what_its_folder_is_called(tmp_path):
    folder = StorePaths(tmp_path).model("ada", "cpu-1")
    folder.mkdir(parents=True)
    facts = {"model": "../../../x", "cameras": ["center"], "made": {"date": "2026-01-01"}}
    (folder / "model.json").write_text(json.dumps(facts))
    assert [model.model for model in list_models(tmp_path, ["ada"])] == ["cpu-1"]


@pytest.mark.parametrize("name", ["a..b", "x.", "_", "0.-"])
def test_names_that_pass_stay_inside_the_store(production, name):
    assert is_name(name)
    paths = StorePaths(production.store)
    for path in (
        paths.frames(name, name),
        paths.targets(name),
        paths.vertices(name, name),
        paths.model(name, name),
        paths.training_state(name, name),
    ):
        assert Path(production.store) in Path(os.path.normpath(path)).parents


@pytest.mark.parametrize("name", HOSTILE)
def test_a_ledger_keeps_to_its_folder(production, name):
    ledger = Ledger(StorePaths(production.store).jobs / "ingest-ada-0")
    for use in (
        lambda: ledger.shot_log_path(name),
        lambda: ledger.write(ShotRecord(name=name, stage="ingest")),
        lambda: ledger.log_path(ShotRecord(name=name, stage="ingest")),
        lambda: ledger.skip(name),
        lambda: ledger.skip_requested(name),
    ):
        with pytest.raises(JobNotFound):
            use()


@pytest.mark.parametrize("name", ["../../etc", "/etc", "..", ".", "../jobs/x", "a/../../x"])
def test_hostile_job_names_find_nothing(production, name):
    jobs = StorePaths(production.store).jobs
    outside = production.store.parent / "x"
    outside.mkdir()
    (outside / "request.json").write_text("{}")
    with pytest.raises(JobNotFound):
        find_job(jobs, name)


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "../../etc"],
        ["logs", "../../etc"],
        ["cancel", "../../etc"],
        ["retry", "/etc"],
        ["logs", "--shot", "../../secret"],
        ["logs", "--shot", "/etc/passwd"],
    ],
)
def test_hostile_names_on_the_command_line_find_nothing(farm, tmp_path, arguments):
    folder = make_production(tmp_path / "tiny", train=1, frames=2)
    found = load_production(folder)
    request = IngestRequest(settings={}, actors=("ada",), shots=("train_0",))
    ledger = Ledger.create(StorePaths(found.store).jobs, request)
    secret = ledger.folder.parent / "secret.log"
    secret.write_text("nobody's business\n")
    assert (ledger.folder / "logs" / "../../secret.log").resolve(strict=False) == secret
    printed = farm.run(folder, *arguments, code=102)
    assert "nobody" not in printed
