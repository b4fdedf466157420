"""Suggestions: what tracking has not shown yet is chosen, once, and within the minutes."""

from __future__ import annotations

import csv
import json
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from solved_actor import body, make_actor, performed, write_solved, write_target
from typer.testing import CliRunner

from facecap_core.errors import ConfigError
from facecap_core.suggestions.footage_poses import BATCH, FootagePoses, _Piece, _spread, read_poses
from facecap_core.suggestions.pose_space import PoseSpace, nearest_mm, squares_mm2
from facecap_core.suggestions.suggestion import suggest
from farm.app import app

NOVEL = slice(300, 390)  # of shot "long"


def talk(frames, number):
    return performed("pangrams", frames, number)


def grimace(frames):
    """The mouth pulled to one side and back, as nobody talks: what is added, cm [frame, vertex, xyz]."""
    below = np.clip(-body().template[:, 1] / 6, 0, 1)[:, None]
    course = np.sin(np.linspace(0, 6 * np.pi, frames))[:, None, None]
    return (course * below * np.float32([0.8, 0.3, 0.0])).astype(np.float32)


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    shots = ["long", "same", "short", "unsolved"]
    made = make_actor(tmp_path_factory.mktemp("suggest") / "show", ["tracked"], shots)
    write_target(made, "tracked", talk(400, 0))
    positions = talk(600, 4).copy()
    positions[NOVEL] += grimace(90)
    write_solved(made, "long", positions)
    write_solved(made, "same", talk(400, 0)[50:350])
    write_solved(made, "short", talk(600, 4)[:40])
    return made


@pytest.fixture(scope="module")
def footage(production):
    return read_poses(production, "nell")


def frames_of(chosen):
    return [(each.shot, f) for each in chosen for f in range(each.first, each.last + 1)]


def test_the_planted_clip_comes_first(footage):
    first, *_ = suggest(footage, frames=900, clip_frames=60)
    assert first.shot == "long"
    inside = [f for f in range(first.first, first.last + 1) if NOVEL.start <= f < NOVEL.stop]
    assert len(inside) >= 40
    assert first.farthest_mm > 3
    assert np.isnan(first.expected_rmse_mm)


@pytest.mark.parametrize("frames", [60, 61, 119, 200, 2000])
@pytest.mark.parametrize("clip_frames", [30, 60])
def test_the_minutes_are_kept_and_nothing_is_chosen_twice(footage, frames, clip_frames):
    chosen = suggest(footage, frames=frames, clip_frames=clip_frames)
    told = frames_of(chosen)
    assert len(told) == len(set(told))
    assert clip_frames <= len(told) <= frames
    lengths = {"long": 600, "same": 300, "short": 40}
    for each in chosen:
        assert 0 <= each.first <= each.last < lengths[each.shot]
        assert each.frames >= min(clip_frames, lengths[each.shot])
    assert sum(each.worth for each in chosen) <= 1 + 1e-6


def made_up(paths, known, *, step=1, corrected=(), expected=None):
    """Footage whose shots go along these paths, float [frame, component], by name."""
    poses = np.concatenate([path[::step] for path in paths.values()]).astype(np.float32)
    lengths = [-(-len(path) // step) for path in paths.values()]
    frame = np.concatenate([np.arange(0, len(path), step) for path in paths.values()])
    done = np.zeros(len(poses), bool)
    done[list(corrected)] = True
    told = np.full(len(poses), np.nan) if expected is None else np.asarray(expected)
    return FootagePoses(
        known=np.concatenate([np.asarray(known, np.float32), poses[done]]),
        poses=poses,
        shot=np.repeat(np.arange(len(paths), dtype=np.int32), lengths),
        frame=frame.astype(np.int32),
        corrected=done,
        expected_mm=told.astype(np.float32),
        shots=[SimpleNamespace(name=name, frames=len(path)) for name, path in paths.items()],
        unsolved=[],
        step=step,
    )


def wandering(frames, seed, components=4):
    return np.cumsum(np.random.default_rng(seed).normal(size=(frames, components)), axis=0)


def at(frames, *place):
    return np.tile(np.array(place, np.float64), (frames, 1))


def test_what_was_shown_is_worth_nothing_twice():
    paths = {
        "home": at(100, 0, 0),
        "far": at(40, 9, 0),
        "again": at(40, 9, 0),
        "other": at(40, 0, 3),
    }
    chosen = suggest(made_up(paths, at(1, 0.1, 0)), frames=80, clip_frames=40)
    assert [each.shot for each in chosen] == ["far", "other"]
    assert sum(each.worth for each in chosen) == pytest.approx(1, abs=0.01)


def test_where_the_model_expects_to_be_wrong_counts():
    paths = {"a": at(40, 1, 0), "b": at(40, 0, 1)}
    for worse, errors in (("a", (3, 1)), ("b", (1, 3))):
        footage = made_up(paths, at(1, 0, 0), expected=np.repeat(errors, 40))
        (first,) = suggest(footage, frames=40, clip_frames=40)
        assert first.shot == worse
        assert first.expected_rmse_mm == pytest.approx(3)
        assert first.farthest_mm == pytest.approx(1)
        assert first.worth == pytest.approx(0.9)


def test_corrected_frames_are_known_and_not_suggested():
    paths = {"far": at(100, 9, 0), "other": at(40, 0, 1)}
    footage = made_up(paths, at(1, 0, 0), corrected=range(30, 35))
    chosen = suggest(footage, frames=1000, clip_frames=20)
    assert chosen[0].shot == "other"
    assert not {("far", frame) for frame in range(30, 35)} & set(frames_of(chosen))


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_lazy_choice_is_the_plain_one(seed, step):
    paths = {f"s{k}": wandering(40 + 30 * k, 10 * seed + k) for k in range(4)}
    footage = made_up(paths, wandering(20, seed + 99), step=step)
    told = frames_of(suggest(footage, frames=100, clip_frames=20))
    assert sorted(told) == sorted(plainly_chosen(paths, footage, frames=100, clip_frames=20))


def plainly_chosen(paths, footage, *, frames, clip_frames):
    """Every clip looked at anew for each choice, in float64."""
    poses, known = footage.poses.astype(np.float64), footage.known.astype(np.float64)
    apart = np.linalg.norm(poses[:, None] - known, axis=2).min(axis=1)
    apart = np.maximum(apart, np.percentile(apart, 10))
    left, chosen, begin, clips = np.ones(len(poses)), [], 0, []
    for name, path in paths.items():
        for first in sorted({*range(0, len(path) - clip_frames + 1, 5), len(path) - clip_frames}):
            inside = [
                begin + k
                for k, frame in enumerate(range(0, len(path), footage.step))
                if first <= frame < first + clip_frames
            ]
            clips.append((name, first, inside))
        begin += -(-len(path) // footage.step)
    for _ in range(frames // clip_frames):
        best = None
        for name, first, inside in clips:
            if any(name == n and abs(first - f) < clip_frames for n, f, _ in chosen):
                continue
            nearest = np.linalg.norm(poses[:, None] - poses[inside], axis=2).min(axis=1)
            after = np.minimum(np.square(nearest / apart), 1)
            worth = np.square(apart) @ np.maximum(left - after, 0)
            if best is None or worth > best[0] + 1e-9:
                best = (worth, (name, first, inside), after)
        chosen.append(best[1])
        left = np.minimum(left, best[2])
    return [(name, f) for name, first, _ in chosen for f in range(first, first + clip_frames)]


def test_clips_that_touch_are_one():
    path = np.concatenate([np.linspace([100, 0], [300, 0], 20), np.linspace([0, 5], [0, 20], 20)])
    (whole,) = suggest(made_up({"far": path}, at(1, 0, 0)), frames=40, clip_frames=20)
    assert (whole.first, whole.last) == (0, 39)


def test_nothing_tracked_yet_is_a_beginning():
    footage = made_up({"a": wandering(100, 1), "b": wandering(100, 2)}, np.zeros((0, 4)))
    chosen = suggest(footage, frames=60, clip_frames=30)
    assert sum(each.frames for each in chosen) == 60


def test_what_does_not_fit_is_said():
    with pytest.raises(ConfigError, match="no clip of 60 frames fits into 30 frames"):
        suggest(made_up({"a": wandering(100, 1)}, at(1, 0, 0, 0, 0)), frames=30, clip_frames=60)


def test_distances_are_those_of_the_meshes():
    """Coordinates in mm: as RMSE over the animated vertices says it, for motion that the space holds."""
    meshes = performed("expressions", 120, 3)
    animated = body().animated()
    space = PoseSpace.of(meshes, animated, mm_per_unit=10.0)
    poses = space.coordinates(meshes)
    moved = 10 * (meshes[:40, None] - meshes[None, 60:90]).astype(np.float64)[:, :, animated]
    meant = np.sqrt(np.square(moved).sum(axis=3).mean(axis=2))
    told = np.sqrt(squares_mm2(poses[:40], poses[60:90]))
    np.testing.assert_allclose(told, meant, rtol=0.01, atol=0.02)
    nearest = nearest_mm(poses[:40], poses[60:90], at_once=7)
    np.testing.assert_allclose(nearest, told.min(axis=1), rtol=1e-5, atol=1e-4)


def most_bytes(work):
    """The most that was held at once while `work` ran."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_chunks_that_were_read():
    frame = np.zeros((200, 3), np.float32)
    piece = _Piece(20 * 64 * BATCH, lambda start, stop: np.tile(frame, (stop - start, 1, 1)))
    kept = []
    most = most_bytes(lambda: kept.append(_spread([piece], 2048)))
    assert len(kept[0]) == pytest.approx(2048, rel=0.01)
    assert most < 2.5 * kept[0].nbytes  # joining them holds them twice


def test_memory_of_distances_is_that_of_a_block():
    poses, known = np.zeros((30_000, 4), np.float32), np.ones((2000, 4), np.float32)
    found = []
    assert most_bytes(lambda: found.append(nearest_mm(poses, known))) < 16_000_000
    assert (found[0] == 2).all()


def test_targets_of_another_template_show_nothing(tmp_path):
    """With its vertices in another order a face flies apart: no pose is near it, and all of them look alike."""
    production = make_actor(tmp_path / "show", ["rom", "old"], ["bulk"])
    write_target(production, "rom", talk(60, 1))
    write_solved(production, "bulk", talk(60, 2))
    alone = read_poses(production, "nell")
    write_target(production, "old", talk(60, 3)[:, ::-1], topology_sha256="of another template")
    found = read_poses(production, "nell")
    assert np.array_equal(found.known, alone.known)
    assert np.array_equal(found.poses, alone.poses)


def run(production, *arguments):
    folder = str(production.folder)
    return CliRunner().invoke(app, ["suggest", *arguments, "--production", folder])


def test_the_command_lists_clips(production, tmp_path):
    file = tmp_path / "to-track.csv"
    done = run(production, "--minutes", "0.1", "--clip-seconds", "2", "--csv", str(file))
    assert done.exit_code == 0, done.output
    assert "1 bulk shots are not solved yet" in done.stdout
    assert "chosen by the poses alone" in done.stdout
    assert "in clips of 2 s (--clip-seconds); a shorter shot is taken whole" in done.stdout
    rows = list(csv.DictReader(file.open()))
    assert rows[0]["shot"] == "long"
    assert sum(float(row["seconds"]) for row in rows) <= 6
    told = json.loads(run(production, "--minutes", "0.1", "--clip-seconds", "2", "--json").stdout)
    assert [(r["shot"], str(r["first"])) for r in told["ranges"]] == [
        (row["shot"], row["first"]) for row in rows
    ]
    assert told["unsolved"] == ["unsolved"]
    assert (told["shots"], told["frames"]) == (3, 940)
    other = run(production, "--actor", "bob")
    assert "no actor is called 'bob'" in str(other.exception)


def test_unsolved_footage_is_refused(tmp_path):
    empty = make_actor(tmp_path / "show", ["tracked"], ["line"])
    with pytest.raises(ConfigError, match="no bulk footage of nell is solved"):
        read_poses(empty, "nell")
