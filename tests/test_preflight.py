"""Before a submission: what is missing, what is in its way."""

from __future__ import annotations

import pytest
from tiny_production import make_production, write_video

from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_frames
from jobs.ledger import Ledger
from jobs.planning import plan_ingest
from jobs.preflight import missing_shots, preflight
from jobs.records import Lot, Options
from jobs.request import job_id


@pytest.fixture
def production(tmp_path):
    return load_production(make_production(tmp_path / "tiny", train=2, bulk=1, frames=2))


def solve(ledger, production, request):
    from jobs.ingest import ingest_shot

    for name in request.shots:
        assert ingest_shot(ledger, production, request, name, Lot(threads=1)).state == "solved"


@pytest.mark.parametrize(("decoder", "told"), [("software", False), ("auto", True)])
def test_a_device_decodes_only_where_the_options_say_so(production, decoder, told):
    from jobs.ingest import ingest_shot

    request = plan_ingest(production, actor="ada", shots=None, camera=None)
    ledger = Ledger.create(production.store / "jobs", request)
    lot = Lot(threads=1, decoder=Options(decoder=decoder).decoder)
    assert ingest_shot(ledger, production, request, "train_0", lot).state == "solved"
    line = ledger.shot_log_path("train_0").read_text().split("decoded by ")[1].splitlines()[0]
    assert ("(" in line) is told, line


def test_only_missing_shots_are_done_again(production):
    request = plan_ingest(production, actor="ada", shots=None, camera=None)
    ledger = Ledger.create(production.store / "jobs", request)
    assert missing_shots(production, request, ledger) == ["train_0", "train_1"]
    solve(ledger, production, request)
    assert missing_shots(production, request, ledger) == []
    (production.store / "targets" / "train_0.zarr").unlink()
    assert missing_shots(production, request, ledger) == ["train_0"]
    (production.store / "frames/train_1/center.zarr/luma/c.0.0.0").unlink()
    assert missing_shots(production, request, ledger) == ["train_0", "train_1"]
    ledger.skip("train_1")
    assert missing_shots(production, request, ledger) == ["train_0", "train_1"], "it was solved"


def test_a_shot_that_another_job_filled_since_is_done_again(production):
    settings = production.settings_path
    text = settings.read_text()

    def ingest(crop):
        settings.write_text(text.replace("[0, 0, 48, 64]", str(crop)))
        now = load_production(settings)
        request = plan_ingest(now, actor="ada", shots=["train_0"], camera=None)
        ledger = Ledger.create(now.paths.jobs, request)
        if missing_shots(now, request, ledger):
            solve(ledger, now, request)
        assert missing_shots(now, request, ledger) == []
        assert open_frames(now.paths.frames("train_0", "center")).attributes["crop"] == crop
        return ledger.job

    first = ingest([0, 0, 48, 64])
    assert ingest([0, 0, 24, 32]) != first
    assert ingest([0, 0, 48, 64]) == first, "and its pictures are there again"


def test_changed_inputs_are_another_job(production):
    def plan():
        return plan_ingest(production, actor="ada", shots=None, camera=None)

    before = job_id(plan())
    assert job_id(plan()) == before
    write_video(production.shots["train_1"].footage["center"], 2, seed=9)
    footage = job_id(plan())
    assert footage != before
    production.actors["ada"].template.write_text("v 0 0 0\nv 1 0 0\nv 1 1 1\nv 0 1 0\nf 1 2 3 4\n")
    assert job_id(plan()) not in (before, footage)


def test_preflight_warns_of_single_shots_and_goes_on(production):
    production.shots["train_0"].footage["center"].unlink()
    production.shots["train_1"].footage["center"].write_bytes(b"")
    request = plan_ingest(production, actor="ada", shots=list(production.shots), camera=None)
    plan = preflight(production, request, Options(), [{"CPU": 2.0}])
    assert [bool(found.warning) for found in plan.shots] == [True, True, False]
    assert plan.to_do == 3
    assert plan.stages == {"ingest": "1 CPU"}
    assert not (production.store / "jobs").exists(), "a plan writes nothing"
