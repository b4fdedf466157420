"""Flags: what was planted is found where it was planted, and clean performances are let pass."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from solved_actor import make_actor, performed, write_solved, write_target
from typer.testing import CliRunner

from facecap_core.flags.flagged_range import FlaggedRange, ranges_of, ranked
from facecap_core.flags.frame_signals import measure_frames
from facecap_core.flags.shot_flags import Limits, flag_shot, solved_yardstick
from facecap_core.flags.usual import measure_usual
from facecap_core.solved_shot import open_solved
from farm.app import app

FRAMES = 200
TRACKED = ("rom", "pangrams", "expressions")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    shots = ["clean", "planted", "figures", "extreme", "anywhere", "unsolved"]
    production = make_actor(tmp_path_factory.mktemp("flags") / "show", TRACKED, shots)
    for number, category in enumerate(TRACKED):
        write_target(production, category, performed(category, 300, number))
    clean = performed("pangrams", FRAMES, 11)
    write_solved(production, "clean", clean)
    write_solved(production, "extreme", performed("rom", FRAMES, 12))
    stick = solved_yardstick(open_solved(production, "clean"))
    write_solved(production, "planted", planted(clean, stick))
    confidence, novelty = np.full(FRAMES, 0.9), np.full(FRAMES, 0.8)
    confidence[40:61], novelty[150:160] = 0.3, 5.0
    errors = 0.4 / confidence
    write_solved(
        production,
        "figures",
        clean,
        confidence=confidence,
        novelty=novelty,
        predicted_rmse_mm=errors,
    )
    return production, stick, measure_usual(production, "nell", stick)


def planted(clean, stick):
    """Lips out of line in frame 60; all that comes after frame 120 moved; lips that cross from 160 to 169."""
    positions = clean.copy()
    positions[60, stick.regions["lips"]] += np.float32([0.2, 0.15, 0])
    positions[120:] += np.float32([0.25, 0, 0])
    upper, lower = stick.lip_pairs.T
    apart = positions[160:170, upper] - positions[160:170, lower]
    share = np.sin(np.linspace(0, np.pi, 12))[1:-1, None, None]  # so that it does not jump
    positions[160:170, upper] -= (apart + np.float32([0, 0.25, 0])) * share
    return positions


def found(made, shot, limits=None, usual=True):
    production, stick, known = made
    return flag_shot(open_solved(production, shot), known if usual else None, limits, stick=stick)


@pytest.mark.parametrize("usual", [True, False])
@pytest.mark.parametrize("shot", ["clean", "extreme"])
def test_a_clean_performance_with_its_blinks_has_nothing_to_fix(made, shot, usual):
    assert found(made, shot, usual=usual) == []


@pytest.mark.parametrize("usual", [True, False])
def test_planted_faults_are_found_where_they_are(made, usual):
    told = found(made, "planted", usual=usual)
    assert [each.reason for each in told] == ["jump", "jump", "lips crossing"]
    one, step, crossing = told
    assert (one.first, one.last) == (57, 63), "frame 60 and three more on each side"
    assert (step.first, step.last) == (116, 123)
    assert (crossing.first, crossing.last) == (159, 170)
    assert one.detail.startswith("lips: acceleration 5.")
    assert all(each.severity >= 1 and each.shot == "planted" for each in told)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["one frame", "stays", "two frames"])
def test_a_jump_anywhere_is_found(made, seed, kind):
    production = made[0]
    positions = performed("pangrams", FRAMES, 11).copy()
    random = np.random.default_rng(seed)
    frame = int(random.integers(12, FRAMES - 12))
    shift = random.normal(size=3)
    shift *= 0.4 / np.linalg.norm(shift)
    last = {"one frame": frame + 1, "two frames": frame + 2, "stays": FRAMES}[kind]
    positions[frame:last] += shift.astype(np.float32)
    write_solved(production, "anywhere", positions)
    told = [each for each in found(made, "anywhere") if each.reason == "jump"]
    assert len(told) == 1, told
    assert told[0].first <= frame <= told[0].last <= told[0].first + 11


def test_low_confidence_and_unlike_training_need_their_figures(made):
    low, unlike = found(made, "figures")
    assert (low.reason, low.first, low.last) == ("low confidence", 37, 63)
    assert low.severity == pytest.approx(0.5 / 0.3, rel=1e-5)
    assert low.detail == "confidence 0.30 at frame 40, an error of 1.33 mm is expected"
    assert (unlike.reason, unlike.first, unlike.last) == ("unlike training", 147, 162)
    assert unlike.severity == pytest.approx(2.5)
    assert found(made, "figures", Limits(confidence=0.2, novelty=6)) == []


def test_a_larger_limit_lets_more_pass(made):
    assert {each.reason for each in found(made, "planted", Limits(jump_mm=100))} == {
        "lips crossing"
    }
    assert {each.reason for each in found(made, "planted", Limits(crossing_mm=100))} == {"jump"}


def test_blocks_do_not_matter(made):
    _, stick, _ = made
    positions = performed("rom", 90, 5)
    whole = measure_frames([positions], stick)
    for sizes in ([1, 1, 1, 87], [64, 26], [2] * 45):
        blocks = np.split(positions, np.cumsum(sizes)[:-1])
        parts = measure_frames(blocks, stick)
        for name, expected in whole.accelerations.items():
            np.testing.assert_allclose(parts.accelerations[name], expected, rtol=1e-5, atol=1e-6)
        for name, expected in whole.crossings_mm.items():
            np.testing.assert_allclose(parts.crossings_mm[name], expected, atol=1e-5)
    moved = positions.astype(np.float64)[:, stick.regions["jaw"]] * 10
    reference = np.sqrt(np.square(np.diff(moved, 2, axis=0)).sum(axis=2).mean(axis=1))
    np.testing.assert_allclose(whole.accelerations["jaw"][1:-1], reference, atol=2e-3)


@pytest.mark.parametrize("frames", [1, 2, 3, 6])
def test_the_shortest_shots_are_judged(made, frames):
    production, stick, usual = made
    write_solved(production, "anywhere", performed("rom", 90, 5)[:frames])
    assert flag_shot(open_solved(production, "anywhere"), usual, stick=stick) == []


def test_ranges_are_padded_and_merged():
    severity = np.zeros(50)
    severity[[0, 10, 11, 18, 40]] = 1, 2, 3, 1.5, 1
    severity[30] = np.nan
    assert ranges_of(severity, gap=1, pad=3) == [(0, 3, 0), (7, 21, 11), (37, 43, 40)]
    assert ranges_of(severity, gap=0, pad=0) == [
        (0, 0, 0),
        (10, 11, 11),
        (18, 18, 18),
        (40, 40, 40),
    ]
    assert ranges_of(np.zeros(0), gap=1, pad=1) == []


def test_the_budget_takes_the_severest_first():
    def flagged(shot, first, last, severity):
        return FlaggedRange(shot, first, last, "jump", severity, "")

    a, b = flagged("a", 0, 9, 2.0), flagged("b", 0, 99, 5.0)
    again, small = flagged("b", 50, 99, 3.0), flagged("c", 0, 4, 1.0)
    everything = [a, b, again, small]
    assert ranked(everything) == [b, again, a, small]
    assert ranked(everything, top=2) == [b, again]
    assert ranked(everything, frames=105) == [b, again, small], "what is seen twice counts once"
    assert ranked(everything, frames=1) == [b], "an hour is never empty"


def test_targets_of_another_template_say_nothing_of_what_is_usual(tmp_path):
    """With its vertices in another order a face flies apart; held against that, everything would be usual."""
    production = make_actor(tmp_path / "show", ["rom"], ["planted"])
    write_target(production, "rom", performed("rom", 60, 1), topology_sha256="of another template")
    write_solved(production, "planted", performed("pangrams", 60, 2))
    stick = solved_yardstick(open_solved(production, "planted"))
    assert measure_usual(production, "nell", stick) is None


def run(made, *arguments):
    folder = str(made[0].folder)
    return CliRunner().invoke(app, ["flag", *arguments, "--production", folder])


def test_the_command_lists_the_worst_first(made, tmp_path):
    done = run(made, "planted", "figures", "--csv", str(tmp_path / "flags.csv"))
    assert done.exit_code == 0, done.output
    assert "5 ranges in 2 shots of 400 frames" in done.stdout
    assert "low confidence: not judged in planted" in done.stdout
    assert "farm calibrate" in done.stdout
    rows = list(csv.DictReader((tmp_path / "flags.csv").open()))
    severities = [float(row["severity"]) for row in rows]
    assert severities == sorted(severities, reverse=True)
    assert len(rows) == 5
    (step,) = [row for row in rows if row["first"] == "116"]
    assert (step["timecode_in"], step["timecode_out"]) == ("00:00:03:26", "00:00:04:03")
    told = json.loads(run(made, "planted", "figures", "--json", "--top", "2").stdout)
    assert (told["found"], len(told["ranges"])) == (5, 2)
    assert told["ranges"][0]["detail"] == rows[0]["detail"]
    assert told["not_judged"] == {"low confidence": ["planted"], "unlike training": ["planted"]}
    assert run(made, "clean").stdout.startswith("0 ranges in 1 shot of 200 frames\n")


@pytest.mark.parametrize(
    "line",
    ["flag --minutes inf", "suggest --minutes inf", "suggest --clip-seconds inf"],
)
def test_an_endless_budget_is_refused_by_name(made, line):
    done = CliRunner().invoke(app, [*line.split(), "--production", str(made[0].folder)])
    assert done.exit_code == 2
    assert line.split()[1] in done.output


def test_a_shot_that_cannot_be_read_does_not_hide_the_others(made):
    some = run(made, "planted", "unsolved")
    assert some.exit_code == 100
    assert "3 ranges in 1 shot of" in some.stdout
    assert "unsolved: " in some.stderr
    alone = run(made, "unsolved")
    assert "the shot is not solved" in str(alone.exception)
