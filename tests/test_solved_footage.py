"""Footage that was replaced after it was solved: whoever hands the result on is told, from every command."""

from __future__ import annotations

import json

import made_jobs
import pytest
from solved_shots import solve
from tiny_production import make_production, write_video
from typer.testing import CliRunner

from facecap_core.fingerprints import fingerprint_footage
from facecap_core.productions.production import load_production
from farm.app import app
from farm.status_tables import warning_lines
from jobs.inputs import stamp
from jobs.ledger import Ledger
from jobs.night_page import write_night
from jobs.output_planning import plan_export, plan_review
from jobs.preflight import preflight
from jobs.records import Options
from jobs.request import InferRequest
from jobs.solved_footage import footage_warnings

FRAMES = 4
REPLACED = (
    "its footage is another file than the one that was solved"
    " -> solve it again, if the pictures differ"
)


@pytest.fixture
def folder(tmp_path):
    """Two shots, solved from their footage."""
    made = make_production(tmp_path / "show", bulk=2, frames=FRAMES)
    for shot in ("bulk_0", "bulk_1"):
        solve(made, shot, FRAMES, footage_fingerprint=fingerprint_footage(footage(made, shot)))
    return made


def footage(folder, shot):
    return folder / "footage" / f"{shot}.mp4"


def replace(folder, shot):
    write_video(footage(folder, shot), FRAMES, seed=77)


def warned(folder):
    return footage_warnings(load_production(folder), ("bulk_0", "bulk_1", "gone"))


@pytest.mark.parametrize("line", [["export", "--format", "npy"], ["review", "--sheet"]])
def test_farm_export_and_farm_review_warn_also_of_what_is_there(folder, line):
    def run():
        done = CliRunner().invoke(
            app, [*line, "bulk_*", "--production", str(folder), "--json"], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout), done.stderr

    told, said = run()
    assert told["warnings"] == []
    assert "warning" not in said
    replace(folder, "bulk_1")
    told, said = run()
    assert [shot["reused"] for shot in told["shots"]] == [True, True]
    assert told["warnings"] == [f"bulk_1: {REPLACED}"]
    assert f"warning: bulk_1: {REPLACED}\n" in said


def test_of_a_job_that_solves_before_what_it_has_solved_already_is_looked_at(folder):
    production = load_production(folder)
    solving = InferRequest(
        settings={}, models={"ada": "m1"}, cameras={"ada": "center"}, shots=("bulk_0", "bulk_1")
    )
    before = Ledger.create(production.paths.jobs, solving)
    made_jobs.submit(before)
    made_jobs.note(before, "bulk_0", "solved")
    for shot in ("bulk_0", "bulk_1"):
        replace(folder, shot)
    request = plan_export(
        production, ("bulk_0", "bulk_1"), after=before, formats=("npy",), folder="out"
    )

    def told():
        planned = preflight(production, request, Options(), None)
        return {shot.shot: shot.warning for shot in planned.warnings}

    assert told() == {"bulk_0": REPLACED}, "the other one is still to be solved, from what there is"
    made_jobs.note(before, "bulk_1", "solved")
    assert set(told()) == {"bulk_0", "bulk_1"}


@pytest.mark.parametrize("kind", ["export", "review"])
def test_a_submission_warns_and_so_does_the_log_of_the_shot(folder, kind):
    production = load_production(folder)
    shots, out = ("bulk_0", "bulk_1"), {"folder": "out"}
    request = (
        plan_export(production, shots, formats=("npy",), **out)
        if kind == "export"
        else plan_review(production, shots, **out)
    )

    def told():
        return {
            shot.shot: shot.warning
            for shot in preflight(production, request, Options(), None).shots
        }

    assert told() == {"bulk_0": "", "bulk_1": ""}
    replace(folder, "bulk_1")
    assert told() == {"bulk_0": "", "bulk_1": REPLACED}
    ledger = Ledger.create(production.paths.jobs, request)
    made_jobs.submit(ledger)
    for shot in request.shots:
        made_jobs.work(ledger, shot, kind)
        assert (REPLACED in ledger.shot_log_path(shot).read_text()) == (shot == "bulk_1")
    made_jobs.drive(ledger, "finished")
    assert warning_lines(ledger.status()) == [f"warning: bulk_1: {REPLACED}"]
    assert told() == {"bulk_0": "", "bulk_1": REPLACED}, "there is nothing to do any more"
    write_night(production, ledger, folder / "job.html")
    assert "The footage of bulk_1 was replaced after it was" in (folder / "job.html").read_text()


def test_any_of_several_cameras_is_held_against_what_was_solved(folder):
    settings = (folder / "production.toml").read_text()
    settings += "[actors.ada.cameras.left]\ncrop = [0, 0, 48, 64]\n"
    (folder / "production.toml").write_text(settings)
    left = write_video(folder / "footage" / "left.mp4", FRAMES, seed=5)
    row = "bulk_0,ada,rom,,,footage/bulk_0.mp4,footage/left.mp4"
    (folder / "shots.csv").write_text(f"shot,actor,category,split,cache,center,left\n{row}\n")
    seen = {"center": footage(folder, "bulk_0"), "left": left}
    fingerprints = {camera: fingerprint_footage(path) for camera, path in seen.items()}
    facts = {"footage_fingerprint": fingerprints["center"], "footage_fingerprints": fingerprints}
    solve(folder, "bulk_0", FRAMES, **facts)
    assert not warned(folder)
    write_video(left, FRAMES, seed=6)
    assert warned(folder) == {"bulk_0": REPLACED.replace("footage", "footage of left", 1)}
    left.unlink()
    assert not warned(folder), "who needs it says that it is gone"


def test_footage_as_its_job_knew_it_is_not_read(folder, monkeypatch):
    production = load_production(folder)
    path = footage(folder, "bulk_0")
    request = InferRequest(
        settings={},
        models={"ada": "m1"},
        cameras={"ada": "center"},
        shots=("bulk_0",),
        inputs={"bulk_0": stamp([path], [])},
    )
    job = Ledger.create(production.paths.jobs, request).job
    solve(folder, "bulk_0", FRAMES, job=job, footage_fingerprint=fingerprint_footage(path))
    solve(folder, "bulk_1", FRAMES)  # of a version that did not know of fingerprints
    read = []
    monkeypatch.setattr(
        "jobs.solved_footage.fingerprint_footage",
        lambda path: read.append(path) or fingerprint_footage(path),
    )
    assert not warned(folder)
    assert not read
    path.touch()
    assert not warned(folder), "another time, the same pictures"
    assert read == [path]
    replace(folder, "bulk_0")
    assert list(warned(folder)) == ["bulk_0"]
