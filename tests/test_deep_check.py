"""Deep check: every planted fault is found where it is, with its figure, and sound footage raises no alarm."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import typer
from deep_production import FRAMES, NAMES, TWO_CAMERAS, make_deep, positions
from typer.testing import CliRunner

from benchmarks.spoilt_footage import (
    black,
    darker,
    dimming,
    doubled,
    flickering,
    later,
    moved,
    recode,
    smaller,
    with_head_motion,
)
from facecap_core.checks.deep_check import check_deeply
from facecap_core.checks.production_check import check_production
from facecap_core.errors import Cancelled
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from farm.check_command import check

ROM, EXPRESSIONS, PANGRAM, CHARACTER, OTHER = NAMES
WHOLE = list(range(FRAMES))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make_deep(tmp_path_factory.mktemp("deep") / "production")


@pytest.fixture
def folder(sound, tmp_path):
    """A copy of it, to be spoilt."""
    return shutil.copytree(sound, tmp_path / "production")


def looked(folder):
    """What is found, but for the minutes: the whole production has too few of them."""
    production = load_production(folder)
    findings = check_deeply(production, check_production(production), workers=2)
    return [found for found in findings if found.check != "composition"]


def respoil(folder, name, order=WHOLE, edit=None, camera=""):
    path = folder / "footage" / f"{name}{camera}.mp4"
    whole = path.rename(path.with_suffix(".whole.mp4"))
    recode(whole, path, order, edit, crf=12)  # so small a picture is coded worse than its kind


def recache(folder, name, new):
    write_pc2(folder / "caches" / f"{name}.pc2", np.ascontiguousarray(new, np.float32))


def one(findings):
    (found,) = findings
    assert found.message
    assert found.remedy
    return found


def test_sound_footage_raises_no_alarm(sound):
    assert looked(sound) == []


def test_recoding_by_itself_raises_no_alarm(folder):
    respoil(folder, PANGRAM)
    assert looked(folder) == []


@pytest.mark.parametrize("offset", [-7, -1, 2, 10])
def test_a_cache_some_frames_off_is_found(folder, offset):
    """The video's frame t is the cache's frame t - offset."""
    recache(folder, PANGRAM, positions(folder, PANGRAM)[later(FRAMES, offset)])
    found = one(looked(folder))
    assert (found.check, found.shot, found.severity) == ("frame offset", PANGRAM, "error")
    assert (found.figure, found.unit) == (-offset, "frames")


@pytest.mark.parametrize("offset", [-5, 2])
def test_a_rig_that_was_off_all_day_is_found_in_shots_that_say_too_little_alone(folder, offset):
    sound = {name: positions(folder, name) for name in (PANGRAM, CHARACTER, EXPRESSIONS)}
    noise = np.random.default_rng(5).normal(scale=0.01, size=sound[EXPRESSIONS].shape)
    for name, tracked in sound.items():
        unsteady = noise if name == EXPRESSIONS else 0
        recache(folder, name, tracked[later(FRAMES, offset)] + unsteady)
    found = {one.shot: one for one in looked(folder) if one.check == "frame offset"}
    assert set(found) == {PANGRAM, CHARACTER, EXPRESSIONS}
    assert {one.figure for one in found.values()} == {-offset}
    assert {shot for shot, one in found.items() if one.severity == "warning"} == {EXPRESSIONS}
    told = {shot for shot, one in found.items() if "as in 2 other shots of nell" in one.message}
    assert told == {EXPRESSIONS}
    assert f"likely shows frame {100 - offset}" in found[EXPRESSIONS].message
    for name in (PANGRAM, CHARACTER):  # with nobody to follow it stays undecided
        recache(folder, name, sound[name])
    assert not any(one.check == "frame offset" for one in looked(folder))


def test_what_one_shot_surely_is_others_are_not_called(folder):
    recache(folder, PANGRAM, positions(folder, PANGRAM)[later(FRAMES, 3)])
    assert {one.shot for one in looked(folder)} == {PANGRAM}


def test_a_camera_out_of_sync_is_found(folder):
    respoil(folder, TWO_CAMERAS, later(FRAMES, 5), camera="_left")
    found = one(looked(folder))
    assert (found.check, found.shot, found.camera) == ("camera sync", TWO_CAMERAS, "left")
    assert found.figure == -5


def test_several_faults_are_told_together(folder):
    respoil(folder, ROM, doubled(FRAMES, range(4, FRAMES, 5)))
    respoil(folder, EXPRESSIONS, edit=darker(0.25))
    respoil(folder, PANGRAM, edit=black(0, 9))
    recache(folder, CHARACTER, with_head_motion(positions(folder, CHARACTER), 1, 2, mm_per_unit=10))
    bent = positions(folder, OTHER).copy()
    bent[1:-1:2] = (bent[:-2:2] + bent[2::2]) / 2
    recache(folder, OTHER, bent)
    findings = {(found.shot, found.check): found for found in looked(folder)}
    assert set(findings) == {
        (ROM, "held frames"),
        (EXPRESSIONS, "exposure"),
        (PANGRAM, "black pictures"),
        (CHARACTER, "head motion"),
        (OTHER, "held frames"),
    }
    assert findings[ROM, "held frames"].figure >= 14  # of 20; the actor rests meanwhile
    assert "1 of every 5" in findings[ROM, "held frames"].message
    assert findings[EXPRESSIONS, "exposure"].figure == pytest.approx(-25, abs=4)
    assert findings[PANGRAM, "black pictures"].figure == 10
    assert findings[CHARACTER, "head motion"].figure == pytest.approx(2.5, abs=1)
    assert "interpolated" in findings[OTHER, "held frames"].message
    assert "1 of every 2" in findings[OTHER, "held frames"].message


def test_single_copies_are_counted(folder):
    respoil(folder, PANGRAM, doubled(FRAMES, [30, 62, 63]))
    held = positions(folder, ROM).copy()
    held[50] = held[49]
    recache(folder, ROM, held)
    findings = {found.shot: found for found in looked(folder)}
    assert set(findings) == {PANGRAM, ROM}
    assert findings[PANGRAM].figure == 3
    assert "30, 62-63" in findings[PANGRAM].message
    assert findings[ROM].figure == 1
    assert "frame 50" in findings[ROM].message


def test_a_frozen_picture_is_told_as_one(folder):
    respoil(folder, PANGRAM, doubled(FRAMES, range(40, 65)))
    found = [found for found in looked(folder) if found.check == "held frames"]
    assert "stand still for 25 frames" in one(found).message


def test_light_that_is_not_steady_is_found(folder):
    respoil(folder, PANGRAM, edit=flickering(0.08))
    respoil(folder, ROM, edit=dimming(0.4, FRAMES))
    findings = looked(folder)
    assert {(found.shot, found.check) for found in findings} == {
        (PANGRAM, "exposure"),
        (ROM, "exposure"),
    }
    flicker = one([found for found in findings if "flickers" in found.message])
    assert flicker.shot == PANGRAM
    assert flicker.figure == pytest.approx(8, abs=2.5)
    drift = one([found for found in findings if "within the shot" in found.message])
    assert drift.shot == ROM
    assert drift.figure == pytest.approx(27, abs=5)  # between the first and the last whole second


def test_a_shot_framed_otherwise_is_found(folder):
    respoil(folder, PANGRAM, edit=moved(60, 0))
    found = one(looked(folder))
    assert (found.check, found.shot) == ("face in crop", PANGRAM)
    assert "25% of the crop's width right" in found.message


def test_a_crop_that_cuts_the_face_is_found_for_all_shots(folder):
    settings = folder / "production.toml"
    text = settings.read_text()
    settings.write_text(text.replace("[15, 20, 240, 320]", "[120, 20, 150, 320]", 1))
    found = one([found for found in looked(folder) if found.camera == "center"])
    assert (found.check, found.shot) == ("face in crop", "")
    assert "to the left" in found.remedy


@pytest.mark.parametrize(("times", "is_told"), [(2, False), (4, True)])
def test_a_crop_far_larger_than_the_face_is_found_for_all_shots(folder, times, is_told):
    for name in NAMES:
        respoil(folder, name, edit=smaller(times))
    found = [one for one in looked(folder) if (one.check, one.camera) == ("face in crop", "center")]
    assert len(found) == is_told
    for finding in found:
        assert finding.shot == ""
        assert 5 < finding.figure < 25
        assert "crop smaller" in finding.remedy


def test_a_cache_stabilised_to_another_place_is_found(folder):
    recache(folder, PANGRAM, positions(folder, PANGRAM) + np.float32([0.3, 0.2, 0]))
    found = one(looked(folder))
    assert (found.check, found.shot) == ("head motion", PANGRAM)
    assert found.figure == pytest.approx(3.6, abs=0.5)


def test_poses_that_training_lacks_are_found(folder):
    rows = (folder / "shots.csv").read_text()
    (folder / "shots.csv").write_text(
        rows.replace(f"{OTHER},nell,pangrams,train", f"{OTHER},nell,pangrams,validation")
    )
    calm = positions(folder, OTHER)
    recache(folder, OTHER, calm + 3 * (calm - calm.mean(0)))
    checks = {found.check for found in looked(folder) if found.shot == OTHER}
    assert "training range" in checks


def test_it_can_be_cancelled(sound):
    production = load_production(sound)
    report = check_production(production)
    with pytest.raises(Cancelled):
        check_deeply(production, report, on_progress=lambda now: now.done < 50)


def test_the_command_prints_findings_and_ends_with_their_code(folder):
    app = typer.Typer()
    app.command()(check)
    recache(folder, PANGRAM, positions(folder, PANGRAM)[later(FRAMES, 4)])
    plain = CliRunner().invoke(app, ["--production", str(folder), "--json"])
    assert plain.exit_code == 0
    assert json.loads(plain.stdout)["findings"] is None
    told = CliRunner().invoke(app, ["--production", str(folder), "--deep"])
    assert told.exit_code == 100
    assert "frame offset" in told.stdout
    assert "No faults" not in told.stdout
    printed = CliRunner().invoke(app, ["--production", str(folder), "--deep", "--json"])
    said = json.loads(printed.stdout)
    assert (printed.exit_code, said["ok"], said["schema_version"]) == (100, False, 1)
    (error,) = [found for found in said["findings"] if found["severity"] == "error"]
    assert (error["shot"], error["check"], error["figure"]) == (PANGRAM, "frame offset", -4)
