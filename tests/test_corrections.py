"""Corrections: an artist's frames come back in any format, faults are refused, the latest counts, nothing is lost."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from corrected_shot import FRAMES, SHOT, deliver, now, righted, run, solve, solved_positions, taken
from tracked_production import make_tracked
from typer.testing import CliRunner

from facecap_core.corrections.correction import add_correction, standing
from facecap_core.corrections.delivery import Reading, read_delivery
from facecap_core.errors import ConfigError, PointCacheError, StoreError
from facecap_core.exports.formats import FORMATS
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from facecap_core.solved_shot import open_solved
from facecap_core.stores.manifests import verify
from facecap_core.template import read_template
from farm.app import app


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = make_tracked(tmp_path_factory.mktemp("corrections") / "production")
    for stores in ("frames", "targets"):
        shutil.rmtree(folder / "store" / stores)
    solve(folder, solved_positions())
    return folder


@pytest.fixture
def production(solved, tmp_path):
    return shutil.copytree(solved, tmp_path / "production", symlinks=True)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_range_comes_back_from_every_format_bit_by_bit(production, name):
    right = righted(60, 79)
    told = taken(production, SHOT, deliver(production, name, right), "--frames", "60-79")
    assert (told["added"], told["warnings"][1:]) == (1, [])
    (one,) = told["corrections"]
    assert (one["frames"], one["ranges"], one["model"]) == (20, [[60, 79]], "m1")
    assert 2 < one["rmse_mm"] < 3  # 1.5 in each of three directions
    assert one["worst_mm"] >= one["rmse_mm"]
    expected = solved_positions()
    expected[60:80] = right
    assert np.array_equal(now(production), expected)
    assert np.array_equal(now(production, corrected=False), solved_positions())


@pytest.mark.parametrize("name", ["usd", "abc", "pc2", "obj"])
def test_what_was_exported_in_other_units_and_axes_comes_back_by_the_json_beside_it(
    production, name, tmp_path
):
    """As artists work: export at 1001 in metres with z up, mend some frames, save the whole shot."""
    out = tmp_path / "out"
    asked = ["--format", name, "--out", str(out), "--start-frame", "1001", "--units", "m"]
    exported = CliRunner().invoke(
        app, ["export", SHOT, *asked, "--up-axis", "z", "--production", str(production)]
    )
    assert exported.exit_code == 0, exported.output
    whole = solved_positions()
    whole[[5, 70, 71, 72]] = righted(70, 73)
    path = deliver(production, name, whole, units="m", up_axis="z", start_frame=1001)
    path = path.rename(out / path.name)
    told = taken(production, SHOT, path)
    (one,) = told["corrections"]
    assert one["ranges"] == [[5, 5], [70, 72]], "only what differs is corrected"
    assert np.abs(now(production) - whole).max() < 1e-4
    told = taken(production, SHOT, path, "--frames", "1031-1040")
    assert told["corrections"][1]["ranges"] == [[30, 39]], (
        "named frames count, though they are equal"
    )


def test_each_format_comes_back_by_what_its_own_export_says(production, tmp_path):
    """In one folder are files of one shot that begin at other frames, in other units."""
    out = tmp_path / "out"
    for name, start, units in (("pc2", 1001, "m"), ("npy", 1, "cm")):
        line = ["export", SHOT, "--format", name, "--start-frame", str(start), "--units", units]
        done = CliRunner().invoke(app, [*line, "--out", str(out), "--production", str(production)])
        assert done.exit_code == 0, done.output
    right = righted(60, 79)
    mended = deliver(production, "pc2", right, units="m").rename(out / "fixed.pc2")
    told = taken(production, SHOT, mended, "--frames", "1061-1080")
    assert told["corrections"][0]["ranges"] == [[60, 79]]
    mended = deliver(production, "npy", right, units="cm").rename(out / "fixed.npy")
    told = taken(production, SHOT, mended, "--frames", "61-80")
    assert told["corrections"][1]["ranges"] == [[60, 79]]
    # Of which one it was made, nobody knows.
    taken(production, SHOT, "--remove", 1)
    taken(production, SHOT, "--remove", 2)
    other = deliver(production, "mdd", right, units="cm").rename(out / "fixed.mdd")
    line = [other, "--frames", "61-80"]
    wrong(production, *line, fault="'m or cm' is not known", remedy="--units")
    wrong(production, *line, "--units", "cm", fault="'1001.0 or 1.0'", remedy="--start-frame")


@pytest.mark.parametrize("start", [None, float("nan"), float("-inf"), "soon", [1]])
def test_a_start_frame_beside_the_file_that_is_none_is_named(production, tmp_path, start):
    record = tmp_path / f"{SHOT}.json"
    record.write_text(json.dumps({"shot": SHOT, "start_frame": start}))
    path = deliver(production, "npy", righted(60, 79)).rename(tmp_path / "fixed.npy")
    wrong(production, path, "--frames", "60-79", fault=str(record), remedy="--start-frame")
    told = taken(production, SHOT, path, "--frames", "60-79", "--start-frame", "0")
    assert told["corrections"][0]["ranges"] == [[60, 79]]


def test_frames_are_taken_from_a_whole_shot_or_by_the_files_own_numbers(production):
    whole = righted(0, FRAMES - 1)
    taken(production, SHOT, deliver(production, "npy", whole), "--frames", "10-12")
    assert np.array_equal(now(production)[10:13], whole[10:13])
    handles = deliver(production, "pc2", righted(35, 60, seed=3), start_frame=35)
    taken(production, SHOT, handles, "--frames", "40-50")
    assert np.array_equal(now(production)[40:51], righted(35, 60, seed=3)[5:16])


def test_the_latest_counts_and_nothing_is_lost(production):
    first, second = righted(20, 40), righted(30, 50, seed=1)
    taken(production, SHOT, deliver(production, "pc2", first), "--frames", "20-40")
    taken(production, SHOT, deliver(production, "pc2", second), "--frames", "30-50", "--note", "b")
    expected = solved_positions()
    expected[20:41], expected[30:51] = first, second
    assert np.array_equal(now(production), expected)
    told = taken(production, SHOT, "--remove", 2)
    assert told["corrections"][1]["removed"]["date"]
    expected[30:41], expected[41:51] = first[10:], solved_positions()[41:51]
    assert np.array_equal(now(production), expected)
    taken(production, SHOT, "--restore", 2)
    expected[30:51] = second
    assert np.array_equal(now(production), expected)
    listed = taken(production, "--list")["corrections"]
    assert [(one["number"], one["note"]) for one in listed] == [(1, ""), (2, "b")]
    # A new solve keeps the artist's frames.
    solve(production, solved_positions() + 1, model="m2")
    assert np.array_equal(now(production)[30:51], second)
    assert np.array_equal(now(production)[60], solved_positions()[60] + 1)


def test_the_same_command_again_keeps_one(production):
    path, other = (deliver(production, "mdd", righted(n, n + 6)) for n in (3, 20))
    for unchanged in (False, True):
        for number, (file, range_) in enumerate(((path, "3-9"), (other, "20-26")), start=1):
            told = taken(production, SHOT, file, "--frames", range_)
            assert (told["added"], told["unchanged"]) == (number, unchanged)
    assert len(told["corrections"]) == 2
    again = ["correct", SHOT, str(path), "--frames", "3-9", "--production", str(production)]
    said = CliRunner().invoke(app, again)
    assert said.exit_code == 0
    assert "correction 1 of learn_a is there already" in said.output
    assert "7 frames, 3-9; nothing was changed" in said.output
    # Where a later one counts in some of its frames, it does something: it is the latest again.
    taken(production, SHOT, deliver(production, "mdd", righted(9, 9, seed=5)), "--frames", "9")
    told = taken(production, SHOT, path, "--frames", "3-9")
    assert (told["added"], told["unchanged"]) == (4, False)


@pytest.mark.parametrize("blend", [0, 4])
def test_the_same_file_of_the_whole_shot_again_keeps_one(production, blend):
    taken(production, SHOT, deliver(production, "npy", righted(5, 9, seed=2)), "--frames", "5-9")
    whole = now(production)
    whole[[40, 41, 60]] = righted(40, 42)
    path = deliver(production, "pc2", whole)
    line = [SHOT, path, "--blend", blend]
    assert taken(production, *line)["corrections"][1]["ranges"] == [[40, 41], [60, 60]]
    before = now(production)
    again = taken(production, *line)
    assert (again["added"], again["unchanged"], len(again["corrections"])) == (2, True, 2)
    assert np.array_equal(now(production), before)
    # What is more than before is corrected, by itself.
    whole[100] += 1
    more = taken(production, SHOT, deliver(production, "pc2", whole))
    assert more["corrections"][2]["ranges"] == [[100, 100]]
    # An old file takes the frames back that a later one has.
    old = taken(production, *line)
    assert old["corrections"][3]["ranges"] == [[100, 100]]
    assert np.array_equal(now(production)[100], solved_positions()[100])


def test_it_fades_out_smoothly_and_touches_no_corrected_frame(production):
    right, near = solved_positions()[50:60] + 4, solved_positions()[62:64] + 2
    path = deliver(production, "npy", right)
    taken(production, SHOT, path, "--frames", "50-59", "--blend", "4")
    moved = (now(production) - solved_positions())[:, 0, 0]
    assert np.allclose(moved[50:60], 4, atol=1e-4)
    assert np.all(np.diff(moved[44:51]) >= 0)
    assert np.all(np.diff(moved[59:66]) <= 0)
    assert (moved[[45, 64]] == 0).all()
    assert 0 < moved[46] < 0.5
    assert 3.4 < moved[60] < 4
    # A range near by shares the frames between, where offsets would add up to more than either.
    taken(production, SHOT, deliver(production, "npy", near), "--frames", "62-63", "--blend", "4")
    moved = (now(production) - solved_positions())[:, 0, 0]
    assert np.allclose(moved[62:64], 2, atol=1e-4)
    assert (moved[60:62] > 2).all()
    assert (moved[60:62] < 4).all()
    # The same whatever part is read.
    solved = open_solved(load_production(production), SHOT)
    parts = [solved.read(start, min(start + 7, FRAMES)) for start in range(0, FRAMES, 7)]
    assert np.array_equal(np.concatenate(parts), now(production))


def wrong(production, *arguments, fault, remedy=""):
    done = run(production, SHOT, *arguments)
    assert done.exit_code, done.output
    assert isinstance(done.exception, PointCacheError | StoreError | ConfigError), done.exception
    assert fault in str(done.exception)
    assert remedy in str(done.exception)
    assert not standing(load_production(production).paths, "ada", SHOT)


def test_faults_are_refused_with_what_to_do(production):
    right = righted(60, 79)
    npy = partial(deliver, production, "npy")
    wrong(production, npy(right), fault="has 20 frames, the shot 150", remedy="--frames FIRST-LAST")
    wrong(production, npy(right), "--frames", "60-70", fault="60-70 are 11, the whole shot 150")
    wrong(production, npy(right), "--frames", "140-159", fault="whose frames are 0-149")
    wrong(production, npy(right), "--frames", "79-60", fault="is no range")
    wrong(production, npy(right[:, 1:]), "--frames", "60-79", fault="points")
    inch, up = npy(right / 10), npy(right[:, :, [0, 2, 1]] * [1, -1, 1])
    wrong(production, inch, "--frames", "60-79", fault="mm from what", remedy="--units cm")
    wrong(production, up, "--frames", "60-79", fault="mm from what", remedy="--up-axis z")
    wrong(production, npy(right), "--frames", "60-79", "--units", "el", fault="'el' is not known")
    wrong(production, npy(solved_positions()), fault="no frame differs")
    holes = right.copy()
    holes[3, 7, 1] = np.nan
    np.save(production / "holes.npy", holes)
    wrong(production, production / "holes.npy", "--frames", "60-79", fault="frame 3, vertex 7")
    slow = deliver(production, "usd", right, fps=25)
    wrong(production, slow, "--frames", "60-79", fault="runs at 25 frames/s")
    other = (production / "template.obj").read_text().splitlines()
    (production / "other.obj").write_text("\n".join([*other[:-3], other[-1], *other[-3:-1]]))
    flipped = deliver(production, "usd", right, template=read_template(production / "other.obj"))
    wrong(production, flipped, "--frames", "60-79", fault="topology")
    wrong(production, production / "none.pc2", "--frames", "1-2", fault="does not exist")
    wrong(production, npy(right), "--list", fault="say one thing")


def test_what_is_far_away_is_taken_with_a_warning_or_by_force(production):
    far = righted(60, 79) + 5
    told = taken(production, SHOT, deliver(production, "npy", far), "--frames", "60-79")
    assert "another take" in told["warnings"][0]
    assert "--blend" in told["warnings"][1]
    absurd = deliver(production, "npy", righted(60, 79) + 200)
    assert taken(production, SHOT, absurd, "--frames", "60-79", "--force")["added"] == 2


def test_a_file_that_is_named_after_another_shot_is_taken_with_a_warning(production):
    right = deliver(production, "npy", righted(60, 79))
    other = right.rename(right.with_name("held_a.npy"))
    told = taken(production, SHOT, other, "--frames", "60-79")
    assert f"named after held_a: is it really of {SHOT}?" in told["warnings"][0]
    own = right.with_name(f"{SHOT}.npy")
    np.save(own, righted(80, 99))
    told = taken(production, SHOT, own, "--frames", "80-99")
    assert not any("named after" in warning for warning in told["warnings"])


def test_corrections_of_other_footage_are_not_applied_silently(production):
    taken(production, SHOT, deliver(production, "npy", righted(60, 79)), "--frames", "60-79")
    solve(production, solved_positions(), footage="cut anew")
    with pytest.raises(StoreError, match=f"other footage.*farm correct {SHOT} --remove 1"):
        open_solved(load_production(production), SHOT)
    taken(production, SHOT, "--remove", 1)
    assert np.array_equal(now(production), solved_positions())


def _add(folder, seed):
    right = righted(10, 19, seed)
    add_correction(
        load_production(folder).paths,
        "ada",
        SHOT,
        frames=np.arange(10, 20),
        blocks=[right],
        facts={"note": str(seed)},
    )


def test_two_who_correct_at_once_get_a_number_each(production):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(partial(_add, production), range(6)))
    every = standing(load_production(production).paths, "ada", SHOT)
    assert [one.number for one in every] == [1, 2, 3, 4, 5, 6]
    assert {one.facts["note"] for one in every} == set("012345")
    assert len({one.content for one in every}) == 6
    for one in every:
        assert np.array_equal(one.read(0, 10), righted(10, 19, int(one.facts["note"])))
        assert not verify(one.store.path)


def test_a_file_that_is_still_being_written_is_not_taken_in(production):
    """Other frames than were held against the shot are not kept under what was found of those."""
    found = load_production(production)
    path = deliver(production, "npy", righted(60, 79))
    delivery = read_delivery(found, open_solved(found, SHOT), path, Reading(frames=(60, 79)))
    np.save(path, righted(60, 79, seed=1))
    with pytest.raises(PointCacheError, match="while it was read"):
        add_correction(
            found.paths,
            "ada",
            SHOT,
            frames=delivery.frames,
            blocks=delivery.blocks(),
            facts=delivery.facts(),
        )
    assert standing(found.paths, "ada", SHOT) == []


def test_a_damaged_one_is_named(production):
    taken(production, SHOT, deliver(production, "npy", righted(60, 79)), "--frames", "60-79")
    folder = load_production(production).paths.corrections("ada", SHOT)
    chunk = next(p for p in folder.rglob("positions/c*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-4])
    with pytest.raises(StoreError, match=r"0001\.zarr"):
        now(production)


def test_an_export_says_what_was_corrected(production, tmp_path):
    right = righted(60, 79)
    taken(production, SHOT, deliver(production, "npy", right), "--frames", "60-79")

    def exported(*more):
        arguments = ["export", SHOT, "--format", "npy", "--out", str(tmp_path / "out"), *more]
        done = CliRunner().invoke(app, [*arguments, "--production", str(production)])
        assert done.exit_code == 0, done.output
        told = json.loads((tmp_path / "out" / f"{SHOT}.json").read_text())
        return np.load(tmp_path / "out" / f"{SHOT}.npy"), told["corrections"]

    positions, told = exported()
    assert np.array_equal(positions[60:80], right)
    assert [(one["number"], one["ranges"]) for one in told] == [(1, [[60, 79]])]
    positions, told = exported("--as-solved")
    assert np.array_equal(positions, solved_positions())
    assert told == []


def test_another_fade_of_the_same_frames_is_exported_anew(production, tmp_path):
    path = deliver(production, "npy", righted(60, 79))

    def exported():
        arguments = ["export", SHOT, "--format", "npy", "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(app, [*arguments, "--production", str(production)])
        assert done.exit_code == 0, done.output
        return np.load(tmp_path / "out" / f"{SHOT}.npy")

    for number, blend in ((1, 0), (2, 6)):
        taken(production, SHOT, path, "--frames", "60-79", "--blend", blend)
        assert np.array_equal(exported(), now(production))
        taken(production, SHOT, "--remove", number)


def test_write_pc2_is_what_artists_send(production, tmp_path):
    """A file that another program wrote, with a sample rate of its own."""
    right = righted(5, 9)
    write_pc2(tmp_path / "a.pc2", right, start_frame=1.0)
    taken(production, SHOT, tmp_path / "a.pc2", "--frames", "5-9")
    assert np.array_equal(now(production)[5:10], right)
