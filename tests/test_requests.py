"""Requests: the same request is the same job, and only sound ones are read."""

from __future__ import annotations

import json
import shutil

import pytest
from pydantic import ValidationError
from tiny_production import make_production, write_shots

from facecap_core.errors import ModelError, ProductionError, StoreError
from facecap_core.learning.presets import resolve
from facecap_core.names import is_name
from facecap_core.productions.production import load_production
from jobs.ledger import Ledger
from jobs.planning import can_be_stabilised, plan_infer, plan_ingest, plan_train
from jobs.request import (
    ExportRequest,
    InferRequest,
    IngestRequest,
    ReviewRequest,
    TrainRequest,
    job_id,
    parse_request,
)
from jobs.shots import cameras_of

SETTINGS = {"fps": "30", "units": "cm", "actors": {"ada": {"crops": {"center": [0, 0, 3, 4]}}}}
REQUESTS = [
    IngestRequest(settings=SETTINGS, actors=("ada",), shots=("a", "b")),
    TrainRequest(
        settings=SETTINGS,
        actor="ada",
        camera="center",
        training=("a",),
        validation=("b",),
        config=resolve("cpu").model_dump(mode="json"),
    ),
    InferRequest(
        settings=SETTINGS, models={"ada": "cpu-1"}, cameras={"ada": "center"}, shots=("a", "b")
    ),
    ExportRequest(
        settings=SETTINGS, actors=("ada",), shots=("a",), folder="exports", formats=("usd", "abc")
    ),
    ReviewRequest(settings=SETTINGS, actors=("ada",), shots=("a",), folder="/mnt/reviews"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.kind)
def test_json_round_trip_keeps_the_job(request_):
    again = parse_request(request_.model_dump_json(indent=3))
    assert again == request_
    assert job_id(again) == job_id(request_)
    assert is_name(job_id(request_))
    assert job_id(request_).startswith(f"{request_.kind}-ada-")


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.kind)
def test_order_of_keys_does_not_matter(request_):
    def reversed_keys(value):
        if isinstance(value, dict):
            return {key: reversed_keys(value[key]) for key in reversed(value)}
        return value

    values = reversed_keys(request_.model_dump(mode="json"))
    assert job_id(parse_request(json.dumps(values))) == job_id(request_)


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (0, {"shots": ("a",)}),
        (0, {"shots": ("b", "a")}),
        (0, {"cameras": ("left",)}),
        (0, {"settings": {**SETTINGS, "fps": "25"}}),
        (1, {"validation": ()}),
        (1, {"camera": "left"}),
        (1, {"config": resolve("cpu", ["seed=1"]).model_dump(mode="json")}),
        (2, {"models": {"ada": "cpu-2"}}),
    ],
)
def test_any_change_is_another_job(number, change):
    request = REQUESTS[number]
    assert job_id(request.model_copy(update=change)) != job_id(request)


@pytest.mark.parametrize("name", ["../x", "/etc", ".hidden", "a/b", "a\nb", "", "-rf", "x" * 200])
def test_hostile_names_are_refused(name):
    with pytest.raises(ValidationError):
        IngestRequest(settings=SETTINGS, actors=("ada",), shots=(name,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"kind": "erase", "shots": ["a"]}',
        REQUESTS[0].model_dump_json()[:-9],
        json.dumps({**REQUESTS[0].model_dump(mode="json"), "shell": "rm"}),
        json.dumps({**REQUESTS[0].model_dump(mode="json"), "schema_version": 2}),
    ],
)
def test_damaged_requests_are_named(text):
    with pytest.raises(StoreError, match=r"jobs/x/request\.json"):
        parse_request(text, "jobs/x/request.json")


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    folder = make_production(tmp_path_factory.mktemp("tiny"), train=2, validation=1, bulk=2)
    return load_production(folder)


def test_plans_take_the_shots_of_their_split(production):
    assert plan_ingest(production, actor=None, shots=None, camera=None).shots == (
        "train_0",
        "train_1",
        "validation_0",
    )
    train = plan_train(production, actor="ada", config=resolve("demo"))
    assert train.training == ("train_0", "train_1")
    assert train.validation == ("validation_0",)
    assert train.camera == "center"
    assert train.model.startswith("demo-")
    assert is_name(train.model)


def test_infer_takes_the_newest_model(production):
    with pytest.raises(ModelError, match="no model yet"):
        plan_infer(production, actor="ada", shots=None, model=None)
    for name, date in (("old-1", "2026-01-01T00:00:00"), ("new-1", "2026-02-01T00:00:00")):
        folder = production.store / "models" / "ada" / name
        folder.mkdir(parents=True)
        facts = {"model": name, "cameras": ["center"], "made": {"date": date}}
        (folder / "model.json").write_text(json.dumps(facts))
    request = plan_infer(production, actor="ada", shots=None, model=None)
    assert request.models == {"ada": "new-1"}
    assert request.cameras == {"ada": "center"}
    assert request.shots == ("bulk_0", "bulk_1")
    assert plan_infer(production, actor="ada", shots=None, model="old").models == {"ada": "old-1"}
    with pytest.raises(ModelError, match=r"did you mean 'old-1'"):
        plan_infer(production, actor="ada", shots=None, model="oldd-1")


def test_a_model_of_other_units_solves_nothing(tmp_path):
    """Its vertices would say the old units, in which the production is no more."""
    production = load_production(make_production(tmp_path / "tiny", train=1, bulk=1))
    folder = production.store / "models" / "ada" / "m-1"
    folder.mkdir(parents=True)
    facts = {"model": "m-1", "cameras": ["center"], "units": production.units}
    (folder / "model.json").write_text(json.dumps(facts))
    assert plan_infer(production, actor="ada", shots=None, model=None).models == {"ada": "m-1"}
    (folder / "model.json").write_text(json.dumps(facts | {"units": "m"}))
    with pytest.raises(ModelError, match=r"was trained in m, the production is in cm now.*again"):
        plan_infer(production, actor="ada", shots=None, model=None)


def test_a_request_does_not_depend_on_where_the_production_is_mounted(production, tmp_path):
    moved = shutil.copytree(production.folder, tmp_path / "elsewhere")
    request = plan_ingest(production, actor="ada", shots=None, camera=None)
    again = plan_ingest(load_production(moved), actor="ada", shots=None, camera=None)
    assert job_id(again) == job_id(request)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"actor": "adda"}, r"did you mean 'ada'"),
        ({"camera": "centre"}, r"did you mean 'center'"),
    ],
)
def test_a_slip_is_named_with_the_nearest(production, choice, message):
    with pytest.raises(ProductionError, match=message):
        plan_ingest(production, **{"actor": None, "shots": None, "camera": None, **choice})


def test_nothing_to_train_on_is_an_error(tmp_path):
    folder = make_production(tmp_path / "bare")
    write_shots(folder, [("x", "ada", "rom", "", "", "footage/x.mp4")])
    with pytest.raises(ProductionError, match="no shots of split train"):
        plan_train(load_production(folder), actor="ada", config=resolve("demo"))


def test_a_newer_model_makes_older_vertices_stale(tmp_path):
    production = load_production(make_production(tmp_path, bulk=1, frames=2))

    def model(name, date, camera="center"):
        folder = production.store / "models" / "ada" / name
        folder.mkdir(parents=True)
        facts = {"model": name, "cameras": [camera], "made": {"date": date}}
        (folder / "model.json").write_text(json.dumps(facts))

    model("cpu-1", "2026-01-01T00:00:00")
    request = plan_infer(production, actor="ada", shots=None, model=None)
    ledger = Ledger.create(production.paths.jobs, request)
    assert ledger.status().stale == {}
    model("left-1", "2026-01-02T00:00:00", camera="left")
    assert ledger.status().stale == {}, "a model of another camera is no successor"
    model("cpu-2", "2026-01-03T00:00:00")
    assert ledger.status().stale == {"ada": "cpu-2"}
    newer = plan_infer(production, actor="ada", shots=None, model=None)
    assert job_id(newer) != ledger.job
    assert Ledger.create(production.paths.jobs, newer).status().stale == {}


def test_solving_can_be_planned_before_its_training_is_done(tmp_path):
    production = load_production(make_production(tmp_path, train=1, bulk=1, frames=2))
    with pytest.raises(ModelError, match="no model yet"):
        plan_infer(production, actor="ada", shots=None, model=None)
    train = plan_train(production, actor="ada", config=resolve("demo", []))
    after = Ledger.create(production.paths.jobs, train)
    request = plan_infer(production, actor=None, shots=None, model=None, after=after)
    assert request.models == {"ada": train.model}
    assert request.cameras == {"ada": "center"}
    settings = production.settings_path
    settings.write_text(settings.read_text().replace('units = "cm"', 'units = "m"'))
    with pytest.raises(ModelError, match="was trained in cm, the production is in m now"):
        plan_infer(load_production(settings), actor=None, shots=None, model=None, after=after)


def two_cameras(production):
    """The same production with a second camera; every shot but bulk_1 has footage of it."""
    actor = production.actors["ada"]
    center = actor.cameras["center"]
    cameras = {"center": center, "left": center.model_copy(update={"landmarks": "dlib"})}
    shots = {
        name: shot.model_copy(
            update={"footage": {**shot.footage, "left": shot.footage["center"]}}
            if name != "bulk_1"
            else {}
        )
        for name, shot in production.shots.items()
    }
    actors = {"ada": actor.model_copy(update={"cameras": cameras})}
    return production.model_copy(update={"actors": actors, "shots": shots})


def test_one_camera_is_asked_for_as_ever_and_several_in_their_order(production):
    several = two_cameras(production)
    one = plan_train(several, actor="ada", config=resolve("demo"))
    assert one.model_dump(mode="json")["camera"] == "center", "as jobs of earlier versions have it"
    assert one.cameras == ("center",)
    both = plan_train(several, actor="ada", config=resolve("demo"), cameras=["left", "center"])
    assert both.cameras == ("left", "center")
    assert parse_request(both.canonical()) == both
    assert both.model != one.model
    with pytest.raises(ProductionError, match="did you mean 'left'"):
        plan_train(several, actor="ada", config=resolve("demo"), cameras=["center", "lefft"])
    with pytest.raises(ProductionError, match="twice"):
        plan_train(several, actor="ada", config=resolve("demo"), cameras=["left", "left"])


def test_a_model_of_several_cameras_is_given_all_that_a_shot_has(production):
    several = two_cameras(production)
    folder = production.store / "models" / "ada" / "two-1"
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"cameras": ["center", "left"], "made": {"date": "2026-01-15T00:00:00"}}
    (folder / "model.json").write_text(json.dumps(facts))
    request = plan_infer(several, actor="ada", shots=None, model="two-1")
    assert request.cameras == {"ada": ("center", "left")}
    assert parse_request(request.canonical()) == request
    assert cameras_of(several, request, several.shots["bulk_0"]) == ["center", "left"]
    assert cameras_of(several, request, several.shots["bulk_1"]) == ["center"]


def test_what_is_to_be_stabilised_must_be_possible(production):
    several = two_cameras(production)
    stabilised = resolve("demo", ["stabilised_input=true"])
    with pytest.raises(ProductionError, match="camera center of ada has no landmarks"):
        plan_train(several, actor="ada", config=stabilised)
    assert plan_train(several, actor="ada", config=stabilised, cameras=["left"]).cameras == (
        "left",
    )
    assert can_be_stabilised(several, "ada", ["left"])
    assert not can_be_stabilised(several, "ada")
    with pytest.raises(ProductionError, match="3 shots are not stabilised yet, train_0 first"):
        plan_train(several, actor="ada", config=resolve("demo", ['targets="stabilised"']))
