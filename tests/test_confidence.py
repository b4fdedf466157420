"""Confidence: frames that cannot be trusted are told from those that can, before anyone knows the truth."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
import safetensors.torch
import torch
from tracked_production import make_tracked, train_model, write_shot
from typer.testing import CliRunner

from benchmarks.planted_faults import FAULTS
from facecap_core.errors import ModelError
from facecap_core.evaluation.actor_calibration import calibrate_actor
from facecap_core.evaluation.subject import open_subject
from facecap_core.inference import infer_shot
from facecap_core.learning.calibration_fit import Sample, _least_squares, shots_left_out
from facecap_core.learning.confidence import Fit, read_confidence
from facecap_core.learning.lanes import Lanes
from facecap_core.learning.model import load_model, set_confidence
from facecap_core.learning.novelty import DIRECTIONS, FeatureSpace, Known, Signals, evenly
from facecap_core.learning.rmse import per_frame_rmse_mm
from facecap_core.learning.spoilt import spoilt
from facecap_core.productions.production import load_production
from facecap_core.ranks import auroc_of_worst
from facecap_core.solved_shot import open_solved
from facecap_core.stores.groups import open_frames, open_targets
from facecap_core.stores.manifests import manifest_path, verify, write_manifest
from facecap_core.stores.paths import StorePaths
from farm.app import app
from farm.calibrate_command import what_it_means
from jobs.planning import plan_infer

FPS = Fraction(30)
FRAMES = 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_tracked(tmp_path_factory.mktemp("production") / "p")
    train_model(folder, "m", epochs=40)
    rows = (folder / "shots.csv").read_text()
    (folder / "shots.csv").write_text(rows + "\nfresh,ada,,,,fresh.mp4,fresh.mp4")
    production = load_production(folder)
    write_shot(production.paths, "fresh", FRAMES, 3.1)
    write_video(folder / "fresh.mp4", pictures(folder, "fresh"))
    return folder


def pictures(folder, shot, camera="center"):
    """uint8 [frame, y, x]"""
    return open_frames(StorePaths(load_production(folder).store).frames(shot, camera)).read("luma")


def write_video(path, luma):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 240, 320, "yuv420p"
        for picture in luma:
            frame = av.VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, 2), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def model_of(folder, name="m"):
    return load_model(load_production(folder).paths.model("ada", name), "cpu")


def figures(model, luma, views=(0,)):
    """Of pictures [frame, view, y, x], as inference has them."""
    return model.confidence.figures(model.engine(views).start(luma).signals(), views)


def errors(folder, model, luma):
    """True errors in mm of pictures [frame, view, y, x] of the fresh shot."""
    target = open_targets(load_production(folder).paths.targets("fresh")).read("positions")
    animated = np.loadtxt(folder / "animated.txt", dtype=int)
    return per_frame_rmse_mm(model.predict(luma), target, animated=animated)


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"motion blur"}))  # the spot is soft anyway
def test_planted_faults_get_less_confidence(folder, fault):
    model, luma = model_of(folder), pictures(folder, "fresh")[:, None]
    spoiled = FAULTS[fault](luma[:, 0])[:, None]
    assert np.median(errors(folder, model, spoiled)) > 1.3 * np.median(errors(folder, model, luma))
    usual, told = figures(model, luma), figures(model, spoiled)
    assert np.median(told.confidence) < 0.8 * np.median(usual.confidence)
    assert np.median(told.novelty) > np.median(usual.novelty)


def test_the_worst_tenth_is_found(folder):
    model, luma = model_of(folder), pictures(folder, "fresh")[:, None]
    every = [luma, *(fault(luma[::8, 0])[:, None] for fault in FAULTS.values())]
    expected = np.concatenate([figures(model, seen).predicted_rmse_mm for seen in every])
    found = [errors(folder, model, luma)]
    found += [errors(folder, model, fault(luma[:, 0])[:, None])[::8] for fault in FAULTS.values()]
    assert auroc_of_worst(expected, np.concatenate(found)) > 0.8


def test_predicted_mm_are_near_the_true_ones(folder):
    model, luma = model_of(folder), pictures(folder, "fresh")[:, None]
    found, expected = errors(folder, model, luma), figures(model, luma)
    assert 0.5 < np.median(expected.predicted_rmse_mm / found) < 2
    usual = model.confidence.usual_mm
    np.testing.assert_allclose(
        expected.confidence, np.minimum(1, usual / expected.predicted_rmse_mm), rtol=1e-6
    )
    assert expected.confidence.dtype == expected.novelty.dtype == np.float32
    assert (expected.confidence > 0).all()


def test_validation_frames_set_the_scale(folder):
    model = model_of(folder)
    luma = np.concatenate([pictures(folder, shot) for shot in ("held_a", "held_b")])
    told = figures(model, luma[:, None])
    assert np.median(told.predicted_rmse_mm) == pytest.approx(model.confidence.usual_mm, rel=0.01)
    assert np.percentile(told.novelty, 95) == pytest.approx(1, rel=0.02)


def solve(folder, name="m", shot="fresh", **settings):
    production = load_production(folder)
    return infer_shot(
        production.paths.model("ada", name),
        dict.fromkeys(("center", "left"), folder / f"{shot}.mp4"),
        fps=FPS,
        destination=production.paths.vertices("ada", "fresh"),
        device="cpu",
        threads=1,
        **settings,
    )


def test_a_hand_in_mid_shot_shows_in_the_store(folder):
    luma = pictures(folder, "fresh")
    half = FRAMES // 2
    write_video(folder / "spoiled.mp4", np.concatenate([luma[:half], FAULTS["hand"](luma[half:])]))
    solve(folder)
    usual = open_solved(load_production(folder), "fresh").confidence
    solve(folder, shot="spoiled")
    solved = open_solved(load_production(folder), "fresh")
    assert solved.confidence.shape == solved.novelty.shape == (FRAMES,)
    assert np.median(solved.confidence[half:]) < 0.8 * np.median(usual[half:])
    np.testing.assert_allclose(solved.confidence[:half], usual[:half], rtol=0.2)
    assert "a usual validation frame" in solved.facts["confidence"]
    again = [solved.store.read(name).tobytes() for name in ("confidence", "novelty")]
    (folder / "spoiled.mp4").touch()
    assert solve(folder, shot="spoiled").reused
    solve(folder)  # the other video in its place, and back
    solve(folder, shot="spoiled")
    solved = open_solved(load_production(folder), "fresh")
    assert again == [solved.store.read(name).tobytes() for name in ("confidence", "novelty")]


def test_a_model_without_calibration_solves_without_confidence_until_it_has_one(folder):
    production = load_production(folder)
    train_model(folder, "old", epochs=2)
    place = production.paths.model("ada", "old")
    trained = json.loads((place / "model.json").read_text())
    facts = {name: value for name, value in trained.items() if name != "confidence"}
    (place / "model.json").write_text(json.dumps(facts))
    write_manifest(place.resolve(), manifest_path(place))
    before = plan_infer(production, actor="ada", shots=["fresh"], model="old")
    solve(folder, "old")
    solved = open_solved(production, "fresh")
    assert np.isnan(solved.store.read("confidence")).all()
    assert solved.confidence is solved.predicted_rmse_mm is solved.novelty is None
    assert "farm calibrate" in solved.facts["confidence"]
    assert solve(folder, "old").reused

    found = calibrate_actor(open_subject(production, "ada", "old"), place)
    # Training ends with the same: the same pictures, network and faults.
    assert found.facts() == trained["confidence"]
    assert json.loads((place / "model.json").read_text()) == trained
    after = plan_infer(production, actor="ada", shots=["fresh"], model="old")
    assert after.digest != before.digest, "what the job makes is another thing now"
    assert not solve(folder, "old").reused
    solved = open_solved(production, "fresh")
    assert np.isfinite(solved.confidence).all()
    assert solved.facts["calibration"] == trained["confidence"]["fingerprint"]


def test_a_calibration_comes_back_as_it_was(folder):
    known = model_of(folder).confidence
    again = read_confidence(known.tensors(), json.loads(json.dumps(known.facts())))
    assert again.facts() == known.facts()
    for first, second in zip(known.spaces, again.spaces, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(*map(_parts, (first, second)), strict=True))


def test_a_calibration_of_an_earlier_version_counts_as_none(folder):
    known = model_of(folder).confidence
    facts = known.facts()
    del facts["schema_version"]
    assert read_confidence(known.tensors(), facts) is None


def _parts(space):
    return vars(space).values()


def hurt(path, how):
    content = bytearray(path.read_bytes())
    if how == "flipped":  # in the middle of the numbers: it can be read as well as before
        content[len(content) // 2] ^= 4
    path.write_bytes(content[:100] if how == "truncated" else content)
    if how == "missing":
        path.unlink()
    if how == "another":
        parts = safetensors.torch.load(bytes(content))
        path.write_bytes(safetensors.torch.save({name: p + 1 for name, p in parts.items()}))


@pytest.mark.parametrize("how", ["truncated", "flipped", "missing", "another"])
def test_a_damaged_calibration_is_told_and_made_anew_by_farm_calibrate(folder, how):
    production = load_production(folder)
    place = production.paths.model("ada", "hurt")
    if not place.exists():
        train_model(folder, "hurt", epochs=1)
    whole = load_model(place, "cpu").confidence
    hurt(place / "confidence.safetensors", how)
    with pytest.raises(ModelError, match=r"calibration is damaged.*farm calibrate hurt"):
        load_model(place, "cpu")
    done = CliRunner().invoke(app, ["calibrate", "hurt", "--production", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["calibration"] == whole.facts()
    assert load_model(place, "cpu").confidence.facts() == whole.facts()
    assert verify(place) == []


def test_a_calibration_does_not_vouch_for_damaged_weights(folder):
    production = load_production(folder)
    train_model(folder, "worn", epochs=1)
    place = production.paths.model("ada", "worn")
    hurt(place / "weights.safetensors", "flipped")
    with pytest.raises(ModelError, match=r"weights.safetensors: altered.*train again"):
        set_confidence(place, model_of(folder).confidence)


def test_without_held_back_frames_there_is_nothing_to_learn_from(folder, tmp_path):
    rows = (folder / "shots.csv").read_text()
    other = make_tracked(tmp_path / "p")
    (other / "shots.csv").write_text(rows.replace(",validation,", ",train,"))
    train_model(other, "m", epochs=1)
    assert model_of(other).confidence is None
    production = load_production(other)
    place = production.paths.model("ada", "m")
    with pytest.raises(ModelError, match="not trained on") as caught:
        calibrate_actor(open_subject(production, "ada", "m"), place)
    assert "split validation" in str(caught.value)


def test_figures_that_one_shot_cannot_give_are_accounted_for():
    one = Sample(np.ones((4, 2)), np.ones(4), np.zeros(4, int), np.ones(4))
    facts = {"shots_left_out": shots_left_out(one), "validation": {"shots": ["held_a"]}}
    assert "not known of held_a alone" in what_it_means(facts)
    assert "split validation" in what_it_means(facts)
    several = {**facts, "shots_left_out": {"spearman": 0.5}}
    assert "the chance that" in what_it_means(several)


def test_each_set_of_cameras_is_calibrated(folder):
    train_model(folder, "two", cameras=("center", "left"), epochs=40, view_dropout=0.3)
    model = model_of(folder, "two")
    assert set(model.confidence.fits) == {(0,), (1,), (0, 1)}
    views = [pictures(folder, "fresh", camera) for camera in ("center", "left")]
    for chosen in ((0,), (1,), (0, 1)):
        luma = np.stack([views[view] for view in chosen], axis=1)
        usual = figures(model, luma, chosen)
        hidden = np.stack([FAULTS["hand"](views[view]) for view in chosen], axis=1)
        assert np.median(figures(model, hidden, chosen).novelty) > np.median(usual.novelty)
    one_hidden = np.stack([FAULTS["hand"](views[0]), views[1]], axis=1)
    assert np.median(figures(model, one_hidden, (0, 1)).novelty) > np.median(usual.novelty)


def test_the_fully_connected_network_has_it_too(folder):
    train_model(folder, "flat", kind="fully-connected", epochs=40)
    model, luma = model_of(folder, "flat"), pictures(folder, "fresh")
    usual, spoiled = (figures(model, seen[:, None]) for seen in (luma, FAULTS["light gone"](luma)))
    assert np.median(spoiled.novelty) > np.median(usual.novelty)


def test_lanes_give_the_same_signals(folder):
    model, luma = model_of(folder), pictures(folder, "fresh")[:, None]
    engine = model.engine((0,))
    lanes = Lanes(engine)
    for start in range(0, FRAMES, 16):
        batch = luma[start : start + 16]
        np.testing.assert_array_equal(lanes.start(batch).signals(), engine.start(batch).signals())


def test_an_engine_without_calibration_has_no_signals(folder):
    model = model_of(folder)
    object.__setattr__(model, "confidence", None)
    assert model.engine((0,)).start(pictures(folder, "fresh")[:4, None]).signals() is None


# -- the parts ----------------------------------------------------------------------------------------


def test_signals_are_what_float64_gives():
    generator = torch.Generator().manual_seed(0)
    spread = torch.linspace(3, 0.01, 90)
    features = [torch.randn(700, 90, generator=generator) * spread for _ in range(2)]
    seen = [torch.randn(11, 90, generator=generator) * spread * 1.5 for _ in range(2)]
    cases = [torch.randn(60, 90, generator=generator) * spread * 1.2 for _ in range(2)]
    learned, errors = (torch.rand(count, generator=generator) for count in (700, 60))
    spaces = [
        FeatureSpace.of(Known(one, learned), Known(case, errors))
        for one, case in zip(features, cases, strict=True)
    ]
    outside, apart, around, reach = np.zeros(11), np.zeros((11, 512)), np.zeros((11, 60)), 0.0
    for one, case, new in zip(features, cases, seen, strict=True):
        known, fresh = one.double().numpy(), new.double().numpy()
        mean = known.mean(0)
        _, values, rows = np.linalg.svd(known - mean, full_matrices=False)
        rows, scale = rows[:DIRECTIONS], 1 / np.sqrt(values[:DIRECTIONS] / len(known) ** 0.5)
        place, examples, others = (
            ((x - mean) @ rows.T) * scale
            for x in (fresh, known[evenly(len(known), 512)], case.double().numpy())
        )
        outside += np.square(fresh - mean).sum(1) - np.square(place / scale).sum(1)
        apart += np.square(place[:, None] - examples).sum(2)
        around += np.square(place[:, None] - others).sum(2)
        tenth = np.sort(np.sqrt(np.square(others[:, None] - others).sum(2)), axis=1)[:, 10]
        reach += (0.35 * np.sort(tenth)[29]) ** 2  # torch's median is the lower one of two
    nearest = np.sqrt(np.sort(apart, axis=1)[:, :5]).mean(1)
    weights = np.exp(-around / (2 * reach))
    local = np.exp(weights @ np.log(errors.double().numpy()) / weights.sum(1))
    neighbours = np.argsort(apart, axis=1)[:, :10]
    there = np.exp(np.log(learned.numpy()[evenly(700, 512)])[neighbours].mean(1))
    expected = np.stack([np.sqrt(outside), nearest, local, there], 1)
    np.testing.assert_allclose(Signals(spaces)(seen), expected, rtol=1e-3)


def test_errors_around_are_those_of_known_pictures_however_far_away():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(100, 20, generator=generator)
    errors = 0.1 + torch.rand(100, generator=generator)
    known = Known(features, errors)
    space = FeatureSpace.of(known, known)
    local = Signals([space])([1e3 * torch.randn(50, 20, generator=generator)])[:, 2:]
    assert (local >= 0.999 * errors.min()).all()
    assert (local <= 1.001 * errors.max()).all()


def test_pictures_that_are_all_the_same_give_numbers():
    known = Known(torch.ones(40, 20), torch.full((40,), 0.3))
    space = FeatureSpace.of(known, known)
    found = Signals([space])([torch.randn(5, 20, generator=torch.Generator().manual_seed(0))])
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[:, 2:], torch.full((5, 2), 0.3))


def test_a_fit_finds_the_parts_that_errors_were_made_of():
    rng = np.random.default_rng(0)
    given = rng.normal(0, 1, (600, 4))
    parts_mm, exponents = np.array([0.3, 0.2, 0.4, 0.4]), np.array([1.5, 2.0, 1.0, 1.0])
    wanted = np.log(np.square(parts_mm * np.exp(exponents * given)).sum(1)) / 2
    found = _least_squares(given, wanted, np.ones(600))
    np.testing.assert_allclose(found[0], parts_mm, rtol=0.03)
    np.testing.assert_allclose(found[1], exponents, rtol=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_further_away_is_never_expected_to_be_better(seed):
    rng = np.random.default_rng(seed)
    parts_mm, exponents = rng.uniform(0, 2, (2, 4))
    fit = Fit((1.0, 2.0, 0.3, 0.2), tuple(parts_mm), tuple(exponents), (3.0, 5.0))
    near = rng.uniform(0, 10, (200, 4))
    far = near + rng.uniform(0, 10, (200, 4))
    assert (fit.predicted_mm(far) >= fit.predicted_mm(near)).all()
    assert (fit.novelty(far) >= fit.novelty(near)).all()
    assert np.isfinite(fit.predicted_mm(np.zeros((1, 4)))).all()


def test_faults_are_the_same_each_time_and_spoil_every_picture(folder):
    luma = torch.from_numpy(pictures(folder, "held_a")[:20])
    first, again, other = spoilt(luma, 1), spoilt(luma, 1), spoilt(luma, 2)
    for one, same, different in zip(first, again, other, strict=True):
        assert one.shape == luma.shape
        assert one.dtype == torch.uint8
        assert torch.equal(one, same)
        assert not torch.equal(one, different)
        assert (one != luma).flatten(1).any(1).float().mean() > 0.9


def test_evenly_takes_all_or_as_many_as_it_may():
    assert evenly(5, 9).tolist() == [0, 1, 2, 3, 4]
    chosen = evenly(1000, 64)
    assert len(set(chosen.tolist())) == 64
    assert chosen.diff().max() - chosen.diff().min() <= 1
