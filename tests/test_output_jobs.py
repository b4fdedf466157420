"""Output jobs: files of many solved shots, made once, verified, and made anew where they are damaged or out of date."""

from __future__ import annotations

import json
import re

import made_jobs
import pytest
from pxr import Usd
from solved_shots import solve
from tiny_production import make_production

from facecap_core.productions.production import load_production
from jobs.ledger import Ledger
from jobs.night_page import write_night
from jobs.output_planning import plan_export, plan_review
from jobs.preflight import missing_shots, preflight
from jobs.records import Options
from jobs.request import InferRequest, job_id
from jobs.verification import verify_job

FRAMES = 12


@pytest.fixture
def folder(tmp_path):
    made = make_production(tmp_path / "show", bulk=3, frames=FRAMES)
    for shot in ("bulk_0", "bulk_1"):
        solve(made, shot, FRAMES)
    return made


def request_for(folder, kind="export", shots=("bulk_0", "bulk_1"), **options):
    production = load_production(folder)
    if kind == "export":
        usual = {"folder": "out", "formats": ("usd", "npy")}
        return plan_export(production, shots, **{**usual, **options})
    return plan_review(production, shots, **{"folder": "out", **options})


def begun(folder, request):
    ledger = Ledger.create(load_production(folder).paths.jobs, request)
    made_jobs.submit(ledger)
    made_jobs.drive(ledger)
    return ledger


def work(folder, request):
    ledger = begun(folder, request)
    for shot in request.shots:
        made_jobs.work(ledger, shot, request.kind)
    made_jobs.drive(ledger, "finished")
    return ledger


@pytest.mark.parametrize("kind", ["export", "review"])
def test_what_is_there_is_not_made_again(folder, kind):
    ledger = work(folder, request_for(folder, kind))
    assert ledger.status().state == "done"
    assert not any(shot.reused for shot in ledger.status().shots)
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}
    assert len(before) == 6
    # Another job, for it was asked to begin after one that solves: the files are the same.
    again = work(folder, request_for(folder, kind).model_copy(update={"solved_by": "infer-x"}))
    assert again.job != ledger.job
    assert all(shot.reused for shot in again.status().shots)
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").iterdir()} == before


def test_other_vertices_are_another_job_and_old_files_are_out_of_date(folder):
    production = load_production(folder)
    request = request_for(folder)
    ledger = work(folder, request)
    assert not missing_shots(production, request, ledger)
    solve(folder, "bulk_1", FRAMES, model="m2")
    assert missing_shots(production, request, ledger) == ["bulk_1"]
    other = request_for(folder)
    assert job_id(other) != job_id(request)
    found = {v.shot: [d.what for d in v.damages] for v in verify_job(production, ledger)}
    assert found == {"bulk_0": [], "bulk_1": ["of other vertices"] * 2}
    done = work(folder, other)
    assert {shot.name: shot.reused for shot in done.status().shots} == {
        "bulk_0": True,
        "bulk_1": False,
    }
    assert json.loads((folder / "out" / "bulk_1.json").read_text())["model"] == "m2"


def test_other_formats_are_added_and_other_options_replace(folder):
    work(folder, request_for(folder))
    work(folder, request_for(folder, formats=("pc2",)))
    files = json.loads((folder / "out" / "bulk_0.json").read_text())["files"]
    assert set(files) == {"bulk_0.usdc", "bulk_0.npy", "bulk_0.pc2"}
    assert Usd.Stage.Open(str(folder / "out" / "bulk_0.usdc")).GetStartTimeCode() == 0
    solve(folder, "bulk_0", FRAMES, model="m2")
    work(folder, request_for(folder, formats=("npy",)))
    told = json.loads((folder / "out" / "bulk_0.json").read_text())
    of = {name: (entry["model"], entry["corrections"]) for name, entry in told["files"].items()}
    assert of == {"bulk_0.usdc": ("m1", []), "bulk_0.npy": ("m2", []), "bulk_0.pc2": ("m1", [])}
    work(folder, request_for(folder, start_frame=1001.0))
    assert Usd.Stage.Open(str(folder / "out" / "bulk_0.usdc")).GetStartTimeCode() == 1001


def test_damage_is_found_and_only_that_is_made_again(folder):
    production, request = load_production(folder), request_for(folder)
    ledger = work(folder, request)
    for verified in verify_job(production, ledger):
        assert not verified.damages
        assert verified.files == 2
    file = folder / "out" / "bulk_0.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    (damaged,) = [v for v in verify_job(production, ledger) if v.damages]
    (damage,) = damaged.damages
    assert (damage.shot, damage.part, damage.what) == ("bulk_0", "bulk_0.npy", "altered")
    assert not missing_shots(production, request, ledger), "of the same size"
    file.write_bytes(content[:-1])
    assert missing_shots(production, request, ledger) == ["bulk_0"]
    before = (folder / "out" / "bulk_0.usdc").stat().st_mtime_ns
    made_jobs.work(ledger, "bulk_0", "export")
    assert not missing_shots(production, request, ledger)
    assert (folder / "out" / "bulk_0.usdc").stat().st_mtime_ns == before


def test_a_shot_that_is_not_solved_is_told_before(folder):
    production = load_production(folder)
    request = request_for(folder, shots=("bulk_0", "bulk_2"))
    plan = preflight(production, request, Options(), [{"CPU": 4.0}])
    assert [(shot.shot, shot.action, shot.warning) for shot in plan.shots] == [
        ("bulk_0", "export", ""),
        ("bulk_2", "export", "is not solved"),
    ]
    assert plan.stages == {"export": "1 CPU"}


def test_after_a_job_that_solves_nothing_need_be_solved(folder):
    production = load_production(folder)
    solving = InferRequest(
        settings={}, models={"ada": "m1"}, cameras={"ada": "center"}, shots=("bulk_2",)
    )
    after = Ledger.create(production.paths.jobs, solving)
    request = request_for(folder, shots=("bulk_2",), after=after)
    assert (request.solved_by, request.inputs) == (after.job, {})
    assert not preflight(production, request, Options(), None).warnings
    ingest = request_for(folder, after=None)
    assert ingest.solved_by == ""


def test_many_shots_in_an_evening(farm, tmp_path):
    """Export, then review, as a user submits them; one shot is not solved, and is done by retry."""
    folder = make_production(tmp_path / "show", bulk=4, frames=FRAMES)
    for number in range(3):
        solve(folder, f"bulk_{number}", FRAMES)
    (folder / "all.txt").write_text("bulk_*\n")
    command = ["submit", "export", "--shots", "all.txt", "--format", "usd,pc2", "--wait", "--json"]
    told = json.loads(farm.run(folder, *command, code=100))
    assert told["kind"] == "export"
    assert (told["counts"]["solved"], told["counts"]["failed"]) == (3, 1)
    (failed,) = [shot for shot in told["shots"] if shot["state"] == "failed"]
    assert (failed["name"], failed["cause"]["message"]) == (
        "bulk_3",
        f"{folder}/store/vertices/ada/bulk_3.zarr: the shot is not solved",
    )
    solve(folder, "bulk_3", FRAMES)
    (folder / "exports" / "bulk_1.pc2").unlink()
    verified = json.loads(farm.run(folder, "verify", "export", "--json", code=100))
    assert [damage["part"] for damage in verified["jobs"][0]["damages"]] == ["bulk_1.pc2"]
    again = json.loads(farm.run(folder, "retry", "export", "--wait", "--json"))
    assert {shot["name"]: shot["attempt"] for shot in again["shots"]} == {
        "bulk_0": 1,
        "bulk_1": 2,
        "bulk_2": 1,
        "bulk_3": 2,
    }
    farm.run(folder, "submit", "review", "bulk_0", "--sheet", "--after", "export", "--wait")
    assert (folder / "reviews" / "bulk_0.png").exists()
    assert json.loads(farm.run(folder, "verify", "--all", "--json"))["whole"]


@pytest.mark.parametrize("kind", ["export", "review"])
def test_the_page_says_what_was_made_and_what_is_not_as_it_was(folder, tmp_path, kind):
    ledger = begun(folder, request_for(folder, kind, shots=("bulk_0", "bulk_1", "bulk_2")))
    for shot in ("bulk_0", "bulk_1"):
        made_jobs.work(ledger, shot, kind)
    made_jobs.note(ledger, "bulk_2", "failed")
    made_jobs.drive(ledger, "finished")
    path = tmp_path / "pages" / "job.html"
    write_night(load_production(folder), ledger, path)
    page = path.read_text()
    suffixes = {"export": (".usdc", ".npy"), "review": (".mp4", ".png")}[kind]
    made = [f"{shot}{suffix}" for shot in ("bulk_0", "bulk_1") for suffix in suffixes]
    linked = re.findall(r'<a href="([^"]*)">([^<]*)</a>', page)
    assert [name for _, name in linked] == made
    for address, name in linked:
        assert (path.parent / address).resolve() == (folder / "out" / name).resolve()
    sizes = [(folder / "out" / name).stat().st_size for name in made]
    assert f"</span>: {sum(sizes) / 1e6:.1f} MB." in page
    assert made_jobs.CAUSE.message in page, "why bulk_2 failed"
    assert "farm retry" in page
    assert "of 3 made" in page

    (folder / "out" / made[0]).unlink()
    solve(folder, "bulk_1", FRAMES, model="m2")
    write_night(load_production(folder), ledger, path)
    page = path.read_text()
    assert f"<b>{made[0]} missing</b>" in page
    assert f"<b>{made[2]} out of date</b>" in page
    assert f'">{made[0]}</a>' not in page
