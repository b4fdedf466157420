"""Correction check: whatever happens to an artist's frames is found by `farm verify`, named, and mended as it says."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from damaged_files import flip, truncate
from made_jobs import run_job
from solved_shots import result, solve
from tiny_production import make_production, write_video
from typer.testing import CliRunner

from facecap_core.corrections.corrected_examples import chosen_corrections
from facecap_core.corrections.correction import correction_path, read_correction, standing
from facecap_core.files import files_in
from facecap_core.fingerprints import fingerprint_file
from facecap_core.productions.production import load_production
from facecap_core.solved_shot import open_solved
from facecap_core.stores.group_writer import new_group
from farm.app import app
from jobs.planning import plan_ingest

FRAMES, FIRST, LAST = 90, 10, 79  # more than a chunk is corrected
PARTS = {
    "zarr.json": None,
    "positions/zarr.json": None,
    "positions/c.0.0.0": [10, 73],
    "positions/c.1.0.0": [74, 79],
    "frame/zarr.json": None,
    "frame/c.0": None,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = make_production(tmp_path_factory.mktemp("corrected") / "tiny", bulk=2, frames=FRAMES)
    for shot in ("bulk_0", "bulk_1"):
        fingerprint = fingerprint_file(folder / "footage" / f"{shot}.mp4")
        solve(folder, shot, FRAMES, footage_fingerprint=fingerprint)
    deliver(folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "tiny", symlinks=True)


def right():
    return result(FRAMES)[FIRST : LAST + 1] + np.float32(0.01)


def deliver(folder, shot="bulk_0"):
    np.save(folder / "right.npy", right())
    code, _ = farm(folder, "correct", shot, folder / "right.npy", "--frames", f"{FIRST}-{LAST}")
    assert code == 0


def farm(folder, *arguments):
    done = CliRunner().invoke(app, [*map(str, arguments), "--production", str(folder)])
    return done.exit_code, done.output


def damages(folder, *arguments):
    """What `farm verify` says of the corrections."""
    done = CliRunner().invoke(
        app, ["verify", *(arguments or ["--all"]), "--production", str(folder), "--json"]
    )
    told = json.loads(done.stdout)
    found = told["corrections"]
    assert told["exit_code"] == done.exit_code == (100 if found["damages"] else 0)
    assert told["whole"] is found["whole"] is not bool(found["damages"])
    return found["damages"]


def one(found):
    (damage,) = found
    return damage


def place(folder, number=1, shot="bulk_0"):
    return correction_path(load_production(folder).paths, "ada", shot, number)


def rewrite(folder, *, positions=None, frames=None, **facts):
    """The correction as another program might have written it: every byte in its manifest."""
    known = read_correction(load_production(folder).paths, "ada", "bulk_0", 1)
    positions = known.read(0, len(known.frames)) if positions is None else positions
    with new_group(place(folder)) as group:
        group.positions(positions.shape[1]).append(positions)
        group.array("frame", row_shape=(), dtype="int64", dimension_names=("frame",)).append(
            known.frames if frames is None else frames
        )
        group.set_attributes({**known.facts, **facts})


def test_whole_corrections_are_counted(folder):
    code, out = farm(folder, "verify", "--all")
    assert code == 0
    assert "corrections: 1 shot, 6 files, 0.0 MB: all whole" in out
    assert damages(folder) == []
    assert {
        f.relative_to(place(folder).resolve()).as_posix() for f in files_in(place(folder).resolve())
    } == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
def test_damage_is_named_and_the_remedy_mends_it(folder, part, damage):
    {"altered": flip, "truncated": truncate, "missing": lambda file: file.unlink()}[damage](
        place(folder) / part
    )
    found = one(damages(folder))
    remedy = found.pop("remedy")
    assert found == {
        "shot": "bulk_0",
        "store": "correction 1",
        "part": part,
        "what": damage,
        "frames": PARTS[part],
    }
    assert "farm correct bulk_0 --remove 1 and hand" in remedy
    code, out = farm(folder, "verify", "--all")
    assert code == 100
    assert f"bulk_0: correction 1 {part}" in out
    assert "corrections: 1 shot, 6 files, 0.0 MB: 1 of 1 damaged" in out
    assert farm(folder, "correct", "--list")[0] == 0
    assert farm(folder, "correct", "bulk_0", "--remove", 1)[0] == 0
    assert damages(folder) == [], "what was taken out may be in any state"
    deliver(folder)
    assert damages(folder) == []
    paths = load_production(folder).paths
    learned = [found.content for found in standing(paths, "ada", "bulk_0")]
    assert [c.number for c in chosen_corrections(paths, "ada", "bulk_0", learned)] == [2]
    shown = open_solved(load_production(folder), "bulk_0").read(FIRST, LAST + 1)
    assert np.array_equal(shown, right())


def test_one_that_cannot_be_read_is_listed_and_hides_no_other(folder):
    deliver(folder, "bulk_1")
    (place(folder) / "zarr.json").unlink()
    done = CliRunner().invoke(app, ["correct", "--list", "--production", str(folder), "--json"])
    told = json.loads(done.stdout)
    (damaged,), (whole,) = told["damaged"], told["corrections"]
    assert (damaged["shot"], damaged["number"]) == ("bulk_0", 1)
    assert "is damaged" in damaged["message"]
    assert whole["ranges"] == [[FIRST, LAST]]
    code, out = farm(folder, "correct", "--list")
    assert code == 0
    assert "damaged" in out


def test_a_removal_counts_whatever_became_of_its_text(folder):
    assert farm(folder, "correct", "bulk_0", "--remove", 1)[0] == 0
    place(folder).with_suffix(".removed.json").write_bytes(b"")
    shown = open_solved(load_production(folder), "bulk_0").read(0, FRAMES)
    assert np.array_equal(shown, result(FRAMES))
    assert "removed" in farm(folder, "correct", "--list")[1]


def test_one_whose_name_is_gone_is_missing(folder):
    place(folder).unlink()
    found = one(damages(folder))
    assert (found["store"], found["what"]) == ("correction 1", "absent")
    assert farm(folder, "correct", "bulk_0", "--remove", 1)[0] == 0
    assert damages(folder) == []


def test_what_is_gone_without_a_trace_is_told_while_the_newest_model_remembers_it(folder):
    paths = load_production(folder).paths

    def model(name, date, corrections):
        place = paths.model("ada", name)
        place.mkdir(parents=True)
        facts = {"cameras": ["center"], "made": {"date": date}}
        facts["training"] = {"corrections": corrections}
        (place / "model.json").write_text(json.dumps(facts))

    content = read_correction(paths, "ada", "bulk_0", 1).content
    model("cpu_tuned-1", "2026-01-01", {"bulk_0": [content], "../..": ["x"]})
    assert damages(folder) == []
    shutil.rmtree(paths.corrections("ada", "bulk_0"))
    found = one(damages(folder))
    assert (found["shot"], found["store"]) == ("bulk_0", "corrections")
    assert found["what"] == "1 of those that cpu_tuned-1 learned from are gone"
    assert "farm correct bulk_0 FILE" in found["remedy"]
    assert "bulk_0: corrections: 1 of those" in farm(folder, "verify", "--all")[1]
    deliver(folder)
    assert damages(folder) == [], "the same came back"
    shutil.rmtree(paths.corrections("ada", "bulk_0"))
    model("cpu-2", "2026-01-02", {})
    assert damages(folder) == [], "what is taken by default never learned from it"


def test_what_is_wrong_though_every_byte_is_as_written_is_found(folder):
    holes = right()
    holes[60, 2, 1] = np.inf
    numbers = np.arange(FIRST, LAST + 1)
    for changes, what in (
        ({"positions": holes}, f"frame {FIRST + 60} has positions that are no numbers"),
        ({"positions": right()[:, :3]}, "has 3 vertices, the template 4"),
        ({"positions": right()[:-1]}, "has positions of 69 frames, and 70 numbers"),
        ({"frames": numbers[::-1].copy()}, "has positions of 70 frames, and 70 numbers"),
        ({"positions": right() + 1}, "not those of the digest"),
        ({"frames": numbers + 1}, "not those of the digest"),
        ({"topology_sha256": "another"}, "another template"),
        ({"shot": "bulk_7"}, "is of bulk_7 of ada"),
        ({"footage_fingerprint": "another"}, "other footage"),
    ):
        whole = shutil.copytree(folder, folder.with_name("one"), symlinks=True)
        rewrite(whole, **changes)
        assert any(what in damage["what"] for damage in damages(whole)), what
        assert all(damage["shot"] == "bulk_0" for damage in damages(whole))
        shutil.rmtree(whole)
    rewrite(folder)
    assert damages(folder) == []


def test_other_footage_and_another_template_than_were_corrected(folder):
    write_video(folder / "footage" / "bulk_0.mp4", FRAMES, seed=77)
    found = one(damages(folder))
    assert "other footage" in found["what"]
    assert "--remove 1" in found["remedy"]
    template = folder / "template.obj"
    template.write_text(template.read_text().replace("f 1 2 3 4", "f 1 2 3\nf 1 3 4"))
    assert {"other footage" in d["what"] for d in damages(folder)} == {True, False}


def test_a_job_has_the_corrections_of_its_own_shots_read(folder):
    (place(folder) / "positions/c.0.0.0").unlink()
    production = load_production(folder)
    run_job(
        production, plan_ingest(production, actor="ada", shots=["bulk_1"], camera=None), "ingest"
    )
    assert damages(folder, "ingest") == []
    assert one(damages(folder))["part"] == "positions/c.0.0.0"
    (folder / "shots.csv").write_text("shot,actor,category,split,cache,center\n")
    assert one(damages(folder))["shot"] == "bulk_0", "also of shots that are in no list any more"
