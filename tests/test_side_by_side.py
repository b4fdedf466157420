"""Side by side: two models on one page; models of several cameras and of the other kind on theirs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from report_pages import SAME, Elements, table_of
from tracked_production import make_tracked, train_model
from typer.testing import CliRunner

from facecap_core.errors import ModelError
from facecap_core.evaluation.subject import open_subject
from facecap_core.learning.trainingset import read_views
from facecap_core.productions.production import load_production
from facecap_core.reports.report import write_report
from facecap_core.reports.side_by_side import write_comparison
from farm.app import app


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Models of one camera, of two, and a fully connected one."""
    folder = make_tracked(tmp_path_factory.mktemp("two") / "production")
    train_model(folder, "one")
    train_model(folder, "both", cameras=("center", "left"), epochs=3)
    train_model(folder, "connected", kind="fully-connected", epochs=3)
    return folder


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "two.html"
    production = load_production(trained)
    return path, write_comparison(production, "ada", ("one", "both"), path)


def known_rmse_mm(folder, model):
    facts = json.loads((folder / f"store/models/ada/{model}/model.json").read_text())
    return facts["validation"]["rmse_mm"]


def test_both_are_measured_on_the_same_frames(trained, page):
    path, result = page
    assert result.frames == 115
    assert result.rmse_mm[0] == pytest.approx(known_rmse_mm(trained, "one"), rel=SAME)
    assert result.rmse_mm[1] == pytest.approx(known_rmse_mm(trained, "both"), rel=SAME)
    rows = {name: values for name, *values in table_of(path.read_text(), "<h2>Measures")}
    assert float(rows["RMSE"][0]) == pytest.approx(result.rmse_mm[0], abs=6e-4)
    assert float(rows["RMSE"][1]) == pytest.approx(result.rmse_mm[1], abs=6e-4)
    apart = result.rmse_mm[1] - result.rmse_mm[0]
    assert float(rows["RMSE"][2]) == pytest.approx(apart, abs=6e-4)


def test_the_nearer_one_is_bold(page):
    path, result = page
    better = int(result.rmse_mm[1] < result.rmse_mm[0])
    row = re.search(r'<th scope="row">RMSE</th>(.*?)</tr>', path.read_text()).group(1)
    bold = ["best" in cell for cell in re.findall(r"<td[^>]*>", row)[:2]]
    assert bold == [not better, bool(better)]


def test_the_page_loads_nothing_and_shows_all_views(page):
    text = page[0].read_text()
    elements = Elements(text).found
    assert not any(tag in ("script", "link", "iframe", "video") for tag, _ in elements)
    rows = len(re.findall(r'<div class="what figure6">', text))
    assert rows >= 3
    pictures = [a for tag, a in elements if tag == "img"]
    # Two inputs, target, two results, two differences; and two maps.
    assert len(pictures) == 7 * rows + 2
    assert all(a["alt"] for a in pictures)


def test_a_model_of_two_cameras_is_solved_from_both(trained, tmp_path):
    """Its error is that of training, so both pictures reached the network in order; and both are shown."""
    result = write_report(
        load_production(trained), "ada", "both", tmp_path / "a.html", clip_seconds=0.1
    )
    assert result.validation_rmse_mm == pytest.approx(known_rmse_mm(trained, "both"), rel=SAME)
    text = (tmp_path / "a.html").read_text()
    heads = re.findall(r'<div class="head">(\w+)</div>', text)[:5]
    assert heads == ["center", "left", "target", "result", "difference"]
    video = next(a for tag, a in Elements(text).found if tag == "video")
    assert int(video["width"]) == 5 * 240
    assert "left: crop 240" in text
    assert 'class="warn"' not in text
    # The newest fully connected model has a figure of its own beside it.
    assert text.count("(The paper's Figure 9.)") == 1
    assert "<code" not in text
    assert re.search(r"convolutional network\s+<span class=\"code\">both</span>", text)


def test_views_are_read_in_the_model_s_order(trained):
    subject = open_subject(load_production(trained), "ada", "both", "cpu")
    (shot,) = subject.shots(["held_a"])
    luma = read_views(shot, 3, 5)  # type: ignore[arg-type]
    np.testing.assert_array_equal(luma[:, 0], luma[:, 1, :, ::-1])
    assert [view.name for view in shot.views] == ["center.zarr", "left.zarr"]


def test_command_compares_two(trained, tmp_path):
    out = tmp_path / "two.html"
    arguments = ["report", "--production", str(trained), "--out", str(out), "--json"]
    done = CliRunner().invoke(app, [*arguments, "conn", "one"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["model"], facts["against"]) == ("connected", "one")
    assert facts["against_rmse_mm"] == pytest.approx(known_rmse_mm(trained, "one"), rel=SAME)
    assert facts["size_bytes"] == out.stat().st_size
    for names, message in (
        (["one", "one"], "named twice"),
        (["one", "both", "connected"], "3 models are named"),
    ):
        wrong = CliRunner().invoke(app, [*arguments, *names])
        assert isinstance(wrong.exception, ModelError)
        assert message in str(wrong.exception)


def test_what_else_a_model_learned_from_is_told(trained, tmp_path):
    path = trained / "store/models/ada/both/model.json"
    before = path.read_text()
    facts = json.loads(before)
    facts["training"] |= {
        "base": {"model": "one", "fingerprint": "of its weights"},
        "corrections": {"learn_c": ["digest"]},
        "corrected_frames": 6,
        "frames": facts["training"]["frames"] + 6,
    }
    path.write_text(json.dumps(facts))
    try:
        write_comparison(load_production(trained), "ada", ("one", "both"), tmp_path / "a.html")
    finally:
        path.write_text(before)
    text = (tmp_path / "a.html").read_text()
    rows = {name: values for name, *values in table_of(text, "<h2>What was trained otherwise")}
    assert rows["begun from the weights of"] == ["–", "one"]
    assert rows["frames that artists corrected"] == ["–", "6 of learn_c"]
    assert rows["training frames"] == ["70", "76"]
    assert "training shots of its own" not in rows


def test_figures_that_look_alike_are_neither_nearer_nor_apart(page):
    text = page[0].read_text()
    assert "-0.000" not in text
    for row in re.findall(r'<tr><th scope="row">.*?</tr>', text.partition("<h3>")[0]):
        first, second = re.findall(r"<td[^>]*>([^<]*)</td>", row)[:2]
        assert first != second or "best" not in row, row


def test_models_without_a_common_shot_are_refused(trained, tmp_path):
    path = trained / "store/models/ada/connected/model.json"
    before = path.read_text()
    facts = json.loads(before)
    facts["validation"]["shots"] = {"learn_a": {}}
    path.write_text(json.dumps(facts))
    try:
        with pytest.raises(ModelError, match="no validation shot in common"):
            write_comparison(
                load_production(trained), "ada", ("one", "connected"), tmp_path / "a.html"
            )
    finally:
        path.write_text(before)
    assert not (tmp_path / "a.html").exists()
