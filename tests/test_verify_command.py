"""`farm verify`: damage is named by shot, array, chunk and frames, and counted as failed."""

from __future__ import annotations

import json
import re

import pytest
from made_jobs import drive, run_job, submit, work
from tiny_production import make_production
from typer.testing import CliRunner

from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from farm.app import app
from jobs.ledger import Ledger
from jobs.planning import plan_ingest, plan_train
from jobs.request import job_id

FRAMES = 70  # more than a chunk


@pytest.fixture
def ledger(tmp_path):
    """Two shots that were really ingested, and one that was never begun."""
    folder = make_production(tmp_path / "tiny", train=3, frames=FRAMES)
    production = load_production(folder)
    request = plan_ingest(production, actor="ada", shots=None, camera=None)
    ledger = Ledger.create(production.paths.jobs, request)
    submit(ledger)
    drive(ledger)
    for shot in request.shots[:2]:
        work(ledger, shot, "ingest")
    ledger.skip("train_2")
    drive(ledger, "finished")
    return ledger


def farm(ledger, *arguments):
    folder = ledger.folder.parents[2]
    result = CliRunner().invoke(app, [*arguments, "--production", str(folder)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def chunk(ledger, number):
    """The file of a chunk of train_1's luma."""
    final = ledger.folder.parents[1] / "frames" / "train_1" / "center.zarr"
    return final / "luma" / f"c.{number}.0.0"


def test_all_whole(ledger):
    code, out = farm(ledger, "verify")
    assert code == 0
    assert re.search(rf"{ledger.job}: 2 results, \d+ files, .* MB: all whole", out)
    assert "2 ingested + 0 failed + 0 cancelled + 1 skipped + 0 missing = 3 requested" in out


def test_a_truncated_chunk_is_named_and_its_shot_counts_as_failed(ledger):
    path = chunk(ledger, 1)
    path.write_bytes(path.read_bytes()[:-1])
    code, out = farm(ledger, "verify")
    assert code == 100
    assert "train_1: frames/center luma/c.1.0.0, frames 64 to 69: truncated" in out
    assert "1 of 2 damaged" in out
    assert f"farm retry {ledger.job} rebuilds them" in out
    assert "1 ingested + 1 failed + 0 cancelled + 1 skipped + 0 missing = 3 requested" in out
    record = ledger.shot("train_1")
    assert record.state == "failed"
    assert ledger.status().state == "failed"
    assert farm(ledger, "verify")[0] == 0  # what is left is whole


def test_without_marking_the_shot_stays_solved(ledger):
    chunk(ledger, 0).unlink()
    code, out = farm(ledger, "verify", "--no-mark")
    assert code == 100
    assert "train_1: frames/center luma/c.0.0.0, frames 0 to 63: missing" in out
    assert "rebuilds" not in out
    assert ledger.shot("train_1").state == "solved"


def test_json_names_every_damage(ledger):
    content = bytearray(chunk(ledger, 0).read_bytes())
    content[len(content) // 2] ^= 1
    chunk(ledger, 0).write_bytes(content)
    code, out = farm(ledger, "verify", "--all", "--json")
    found = json.loads(out)
    assert (code, found["exit_code"], found["whole"]) == (100, 100, False)
    (job,) = found["jobs"]
    assert job["damages"] == [
        {
            "shot": "train_1",
            "store": "frames/center",
            "part": "luma/c.0.0.0",
            "what": "altered",
            "frames": [0, 63],
            "remedy": f"farm retry {ledger.job}",
        }
    ]
    ends = {"solved": 1, "failed": 1, "cancelled": 0, "skipped": 1, "missing": 0}
    assert job["account"] == {"requested": 3, **ends}


def test_a_job_that_did_not_begin_misses_its_shots(tmp_path):
    folder = make_production(tmp_path / "tiny", train=1, frames=2)
    production = load_production(folder)
    request = plan_ingest(production, actor="ada", shots=None, camera=None)
    ledger = Ledger.create(production.paths.jobs, request)
    code, out = farm(ledger, "verify")
    assert code == 0
    assert "0 ingested + 0 failed + 0 cancelled + 0 skipped + 1 missing = 1 requested" in out


def test_a_damaged_calibration_asks_for_no_other_training(tmp_path):
    folder = make_production(tmp_path / "tiny", train=2, validation=1, frames=30)
    production = load_production(folder)
    small = ["network.channels=[8,8]", "network.refine=[false,false]", "network.components=3"]
    config = resolve("demo", ["schedule.epochs=1", *small])
    request = run_job(
        production, plan_train(production, actor="ada", config=config), "ingest", "train"
    )
    ledger = Ledger(production.paths.jobs / job_id(request))
    path = production.paths.model("ada", request.model) / "confidence.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    code, out = farm(ledger, "verify")
    assert code == 100
    remedy = f"farm calibrate {request.model} --actor ada"
    assert f"{request.model}: model confidence.safetensors: truncated -> {remedy}" in out
    assert "farm retry" not in out
    assert ledger.training().state == "solved"
    assert farm(ledger, *remedy.split()[1:])[0] == 0
    assert farm(ledger, "verify")[0] == 0


def test_a_shot_that_the_list_has_no_more_is_not_called_whole(ledger):
    shots = ledger.folder.parents[2] / "shots.csv"
    rows = shots.read_text().splitlines(keepends=True)
    shots.write_text("".join(row for row in rows if not row.startswith("train_1,")))
    folder = ledger.folder.parents[2]
    done = CliRunner().invoke(app, ["verify", "--production", str(folder)])
    assert done.exit_code == 0
    assert re.search(rf"{ledger.job}: 1 result, \d+ files, .* MB: all whole", done.stdout)
    assert (
        f"warning: {ledger.job}: not read, for shots.csv has them no more: train_1" in done.stderr
    )
    assert ledger.shot("train_1").state == "solved"
