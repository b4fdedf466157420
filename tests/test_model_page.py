"""Model page: what it says of footage, confidence, flags and remaking is what model.json and the stores say."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest
from report_pages import Elements, table_of, text_of
from tracked_production import SHOTS, make_tracked, train_model

from facecap_core.learning.fine_tuning import fine_tuned
from facecap_core.learning.model import load_model
from facecap_core.learning.presets import PRESETS, resolve
from facecap_core.productions.production import load_production
from facecap_core.reports.expectation import Expectation
from facecap_core.reports.learning_curve import amounts, trained_alike
from facecap_core.reports.remaking import remake_command
from facecap_core.reports.report import write_report
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import open_frames


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A production whose model `m1` has solved a validation shot, with a leap in it, and says what it expects."""
    folder = make_tracked(tmp_path_factory.mktemp("model") / "production")
    train_model(folder, "m1")
    production = load_production(folder)
    model = load_model(production.paths.model("ada", "m1"), "cpu")
    positions = model.predict(open_frames(production.paths.frames("held_a", "center")).read("luma"))
    positions[30] += 40.0
    expected = np.linspace(1.0, 9.0, len(positions), dtype=np.float32)
    with new_group(production.paths.vertices("ada", "held_a")) as group:
        for name, values in (("positions", positions), ("predicted_rmse_mm", expected)):
            names = ("frame", "vertex", "xyz")[: values.ndim]
            group.array(
                name, row_shape=values.shape[1:], dtype="float32", dimension_names=names
            ).append(values)
        facts = {"model": "m1", "fps": "30", "units": "mm", "camera": "center"}
        group.set_attributes({**facts, "topology_sha256": model.facts["topology_sha256"]})
    return folder


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "ada.html"
    write_report(load_production(trained), "ada", "m1", path, clip_seconds=0.1)
    return path.read_text()


def facts_of(folder, model="m1"):
    return json.loads((folder / f"store/models/ada/{model}/model.json").read_text())


def test_minutes_and_shots_are_those_of_the_model(trained, page):
    facts = facts_of(trained)
    rows = {name: cells for name, *cells in table_of(page, "<h2>Training set")}
    held = {"held_a": "in-character", "held_b": "no category"}
    for shot, known in facts["training"]["shots"].items():
        category = SHOTS[shot][0]
        assert rows[category][:2] == ["1", str(known["frames"])]
        assert rows[category][2] == f"{known['frames'] / 1800:.1f}"
    for shot, known in facts["validation"]["shots"].items():
        assert rows[held[shot]][-1] == f"{known['frames'] / 1800:.1f}"
    assert rows["all"][:2] == ["2", str(facts["training"]["frames"])]
    assert "trains on no footage of in-character: the paper trains on about 6 min of it" in page


def test_what_was_expected_is_held_against_what_was_measured(page):
    said = text_of(page)
    assert "On 70 frames of held_a this was held against" in said
    rows = {name.split("\n")[0]: cells for name, *cells in table_of(page, "<h2>Confidence")}
    expected = next(cells for name, cells in rows.items() if name.startswith("expected"))
    assert expected == ["5.00 mm"]


def test_flagged_frames_have_thumbnails(page):
    rows = table_of(page, "<h2>Flagged frames")
    (jump,) = [row for row in rows if row[3].startswith("jump")]
    first, last = map(int, jump[1].split("–"))
    assert jump[0] == "held_a"
    assert first <= 30 <= last
    section = page[page.index("<h2>Flagged frames") :]
    section = section[: section.index("</section>")]
    pictures = [a for tag, a in Elements(section).found if tag == "img"]
    assert len(pictures) == 2 * len(rows)
    assert all("held_a" in a["alt"] for a in pictures)


def test_rank_figures_agree_with_counting_pairs():
    rng = np.random.default_rng(3)
    measured = rng.exponential(1.0, 200)
    expected = np.round(measured + rng.normal(0, 0.7, 200), 1)  # with ties
    found = Expectation(expected, measured, ("a",))
    worst = measured > np.quantile(measured, 0.9)
    above = expected[worst][:, None] > expected[~worst]
    equal = expected[worst][:, None] == expected[~worst]
    assert found.auroc == pytest.approx((above + equal / 2).mean())
    assert Expectation(measured**3, measured, ()).rank_correlation == pytest.approx(1)
    assert Expectation(-measured, measured, ()).rank_correlation == pytest.approx(-1)


def test_the_learning_curve_takes_models_that_differ_in_footage_alone(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy", symlinks=True)
    models = tmp_path / "copy/store/models/ada"
    facts = facts_of(trained)
    assert amounts(trained_alike(models, facts)) == 1
    for name, change in (
        ("half", lambda f: f["training"].update(frames=35)),
        (
            "other-loss",
            lambda f: (f["training"].update(frames=20), f["config"]["loss"].update(lips=1.0)),
        ),
        ("tuned", lambda f: f["training"].update(frames=20, base={"model": "m1"})),
        ("held-otherwise", lambda f: f["validation"]["shots"].pop("held_b")),
        (
            "tracked-again",
            lambda f: f["training"].update(
                frames=20,
                fingerprints=f["training"]["fingerprints"] | {"held_b": {"cache": "another"}},
            ),
        ),
        (
            "other-vertices",
            lambda f: (f["training"].update(frames=20), f.update(animated_count=12)),
        ),
        (
            "other-crop",
            lambda f: (f["training"].update(frames=20), f["crop"].update(center=[0, 0, 120, 160])),
        ),
    ):
        shutil.copytree(models / "m1", models / name)
        other = facts_of(trained)
        other["model"] = name
        other["validation"]["rmse_mm"] *= 1.5
        change(other)
        (models / name / "model.json").write_text(json.dumps(other))
    curve = trained_alike(models, facts)
    assert [(one.model, one.this) for one in curve] == [("half", False), ("m1", True)]
    write_report(
        load_production(tmp_path / "copy"), "ada", "m1", tmp_path / "a.html", clip_seconds=0.1
    )
    rows = table_of((tmp_path / "a.html").read_text(), "<h2>Learning curve")
    rmse = facts["validation"]["rmse_mm"]
    assert rows == [["half", "0.02", f"{1.5 * rmse:.3f}"], ["m1", "0.04", f"{rmse:.3f}"]]


def test_without_other_amounts_the_page_says_that_error_is_over_epochs(page):
    assert "Below is error over epochs." in page


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("network", ["convolutional", "fully-connected"])
def test_the_command_makes_the_same_settings(preset, network):
    overrides = ["seed=7", "loss.motion=2", 'loss.regions={"lips": 4}', "schedule.epochs=12.5"]
    config = resolve(preset, overrides, network=network, cameras=2)
    facts = {
        "actor": "ada",
        "cameras": ["center", "left"],
        "config": config.model_dump(mode="json"),
        "training": {},
    }
    words = shlex.split(remake_command(facts))
    pairs = list(zip(words[3::2], words[4::2], strict=True))
    given, settings = dict(pairs), [value for name, value in pairs if name == "--set"]
    assert [w for w in words if w in ("center", "left")] == ["center", "left"]
    chosen = given.get("--network", "convolutional")
    assert resolve(given["--preset"], settings, network=chosen, cameras=2) == config
    assert len(settings) == len(overrides)


def test_a_fine_tuned_model_is_made_from_its_base():
    base = {"config": resolve("cpu", []).model_dump(mode="json"), "training": {}}
    config = fine_tuned(base, ["schedule.epochs=3"])
    facts = {
        "actor": "ada",
        "cameras": ["center"],
        "config": config.model_dump(mode="json"),
        "training": {"base": {"model": "cpu-1f3a9c20"}},
    }
    said = remake_command(facts, base)
    assert said == ("farm submit train --actor ada --from cpu-1f3a9c20 --set schedule.epochs=3.0")
    assert remake_command(facts) is None
