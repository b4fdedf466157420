"""The camera whose pictures a review shows, with the crop that its model saw."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from solved_shots import review, solve
from tiny_production import make_production, write_video

from facecap_core.errors import ConfigError
from facecap_core.ingest import ingest_frames
from facecap_core.productions.production import load_production
from facecap_core.reports.worst_moments import thumbnails
from facecap_core.reviews.panels import Panels
from facecap_core.reviews.reviewed_shot import open_reviewed
from jobs.output_planning import plan_review
from jobs.outputs import outputs_of
from jobs.request import job_id

FRAMES = 4
LEFT = "[actors.ada.cameras.left]\ncrop = [0, 0, 48, 64]\n"


@pytest.fixture
def folder(tmp_path):
    """A shot of two cameras that show different things, solved from both."""
    made = make_production(tmp_path / "show", bulk=1, frames=FRAMES)
    write_video(made / "footage" / "side.mp4", FRAMES, seed=9)
    settings = made / "production.toml"
    settings.write_text(settings.read_text() + LEFT)
    with open(made / "shots.csv", newline="") as file:
        columns, row = csv.reader(file)
    with open(made / "shots.csv", "w", newline="") as file:
        csv.writer(file).writerows([[*columns, "left"], [*row, "footage/side.mp4"]])
    solve(made, "bulk_0", FRAMES, cameras=["center", "left"])
    return made


def pictures(folder, camera=None):
    """uint8 [frame, y, x], what a review shows of the shot."""
    shot = open_reviewed(load_production(folder), "bulk_0", camera=camera)
    return np.concatenate([scene.luma for scene in shot.scenes()])


def test_another_camera_can_be_chosen_and_has_files_of_its_own(folder, tmp_path):
    center, left = pictures(folder, "center"), pictures(folder, "left")
    assert (pictures(folder) == center).all()
    assert np.abs(center.astype(int) - left).mean() > 10

    def sheet(*more):
        done = review(folder, "bulk_0", "--sheet", "--out", str(tmp_path / "out"), *more)
        assert done.exit_code == 0, done.output
        (shot,) = json.loads(done.stdout)["shots"]
        path = Path(shot["sheet"])
        assert path.parent == tmp_path / "out"
        return path.name, path.read_bytes(), shot["reused"]

    name, first, _ = sheet()
    other, second, reused = sheet("--camera", "left")
    assert (name, other) == ("bulk_0.png", "bulk_0+left.png")
    assert second != first
    assert not reused
    assert sheet("--camera", "left") == (other, second, True)
    assert sheet() == sheet("--camera", "center") == (name, first, True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "bulk_0.png",
        "bulk_0.review.json",
        "bulk_0+left.png",
        "bulk_0+left.review.json",
    }


def test_the_first_camera_of_the_solve_has_the_plain_names(folder, tmp_path):
    solve(folder, "bulk_0", FRAMES, camera="left", cameras=["left", "center"])
    for more, name in (([], "bulk_0"), (["--camera", "center"], "bulk_0+center")):
        done = review(folder, "bulk_0", "--out", str(tmp_path), *more)
        (shot,) = json.loads(done.stdout)["shots"]
        assert shot["video"] == str(tmp_path / f"{name}.mp4")
        assert (tmp_path / f"{name}.mp4").is_file()


def test_a_job_knows_its_files_by_their_camera(folder):
    production = load_production(folder)
    request = plan_review(production, ["bulk_0"], folder="reviews", camera="left", sheet=True)
    outputs = outputs_of(production, request, "bulk_0")
    assert set(outputs.wanted) == {"bulk_0+left.mp4", "bulk_0+left.png"}
    assert outputs.record == "bulk_0+left.review.json"


def test_the_pictures_are_called_by_their_camera(folder, tmp_path):
    found = load_production(folder)
    for camera, name in ((None, "center"), ("left", "left")):
        shot = open_reviewed(found, "bulk_0", camera=camera)
        assert Panels(shot, (48, 64), 1.0).names[:2] == (name, "result")
        more = ["--camera", camera] if camera else []
        assert review(folder, "bulk_0", "--sheet", "--out", str(tmp_path), *more).exit_code == 0
        ending = "+left" if camera == "left" else ""
        record = json.loads((tmp_path / f"bulk_0{ending}.review.json").read_text())
        assert (record["shown_camera"], record["shown_crop"]) == (name, [0, 0, 48, 64])
    solve(folder, "bulk_0", FRAMES)
    alone = open_reviewed(found, "bulk_0")
    assert Panels(alone, (48, 64), 1.0).names[0] == "input", "there is no other"


def test_the_page_takes_it_too(folder, tmp_path):
    pages = []
    for camera in ("center", "left"):
        file = tmp_path / f"{camera}.html"
        done = review(folder, "bulk_0", "--save", str(file), "--camera", camera)
        assert done.exit_code == 0, done.output
        pages.append(file.read_bytes())
    assert pages[0] != pages[1]


def test_a_camera_that_nobody_has_is_refused_before_any_work(folder, tmp_path):
    done = review(folder, "bulk_0", "--out", str(tmp_path / "out"), "--camera", "lefft")
    assert isinstance(done.exception, ConfigError)
    assert "choose of center, left" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_camera_that_the_shot_was_not_solved_from_is_refused(folder, tmp_path):
    solve(folder, "bulk_0", FRAMES, cameras=["center"])
    done = review(folder, "bulk_0", "--sheet", "--out", str(tmp_path / "out"), "--camera", "left")
    assert done.exit_code
    assert "was not solved from a camera 'left'" in str(done.exception)


def test_a_job_of_another_camera_is_another_job(folder):
    production = load_production(folder)
    usual = plan_review(production, ["bulk_0"], folder="reviews")
    left = plan_review(production, ["bulk_0"], folder="reviews", camera="left")
    assert "camera" not in json.loads(usual.canonical()), "jobs of before stay what they were"
    assert json.loads(left.canonical())["camera"] == "left"
    assert job_id(usual) != job_id(left)


def test_the_crop_is_that_of_the_solve_where_the_production_has_another_now(folder):
    solve(folder, "bulk_0", FRAMES, cameras=["center"], crops={"center": [0, 0, 24, 32]})
    production = load_production(folder)
    shot = open_reviewed(production, "bulk_0")
    assert shot.crop == (0, 0, 24, 32)
    assert production.actors["ada"].cameras["center"].crop == (0, 0, 48, 64)
    # Pictures that were decoded with the other crop are not taken for those of the solve.
    frames = production.paths.frames("bulk_0", "center")
    footage = production.shots["bulk_0"].footage["center"]
    (whole,) = thumbnails(production, [("bulk_0", 3)])
    ingest_frames(footage, crop=(0, 0, 48, 64), fps=production.fps, destination=frames)
    (beside,) = thumbnails(production, [("bulk_0", 3)])
    assert beside == whole
