"""Night: the page about a job says what its ledger says, every failed shot with what mends it, and loads nothing."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from made_jobs import drive, make_job, note, submit
from made_night import CONFIDENCE, FRAMES, HOSTILE, confidence_of, make_night, solve
from report_pages import Elements, table_of, text_of
from tiny_production import make_production

from facecap_core.errors import Cancelled
from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from facecap_core.reports.machines_chart import (
    Span,
    at_work,
    frames_per_second,
    machines_chart,
    together_seconds,
)
from facecap_core.reports.shot_trust import confidence_counts, read_trust
from jobs.ledger import Ledger
from jobs.night import night_of
from jobs.night_page import write_night
from jobs.planning import plan_train


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The production's folder, and its ledger."""
    folder = tmp_path_factory.mktemp("night") / "tiny"
    return folder, make_night(folder)


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    """The page as text, and what writing it told."""
    path = tmp_path_factory.mktemp("page") / "night.html"
    result = write_night(load_production(made[0]), made[1], path)
    return path.read_text(), result


@pytest.fixture
def copied(made, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(made[0], tmp_path / "tiny", symlinks=True)
    return tmp_path / "tiny", Ledger(tmp_path / "tiny" / made[1].folder.relative_to(made[0]))


def test_the_page_is_one_small_file_that_loads_nothing(page):
    text, result = page
    elements = Elements(text).found
    assert not any(tag in ("script", "link", "iframe", "object", "video") for tag, _ in elements)
    sources = [a[name] for _, a in elements for name in ("src", "xlink:href", "href") if name in a]
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "://" not in re.sub(r"data:[^\"]*|xmlns(:\w+)?=\"[^\"]*\"", "", text).replace(
        "http://127.0.0.1:9", ""
    )
    assert result.size_bytes == len(text.encode()) < 300_000
    pictures = [a for tag, a in elements if tag == "img"]
    assert len(pictures) == 2 * len(CONFIDENCE)
    assert all(a["alt"] and int(a["width"]) for a in pictures)


def test_every_failed_shot_is_there_with_its_cause_and_what_mends_it(made, page):
    failed = [record for record in made[1].status().shots if record.state == "failed"]
    assert len(failed) == 3
    for record in failed:
        row = re.search(rf'<th scope="row">{record.name}</th>(.*?)</tr>', page[0]).group(1)
        message = record.cause.message.replace("&", "&amp;").replace("<", "&lt;")
        message = message.replace(">", "&gt;").replace("'", "&#39;")
        assert message in row
        assert f'<td class="n">{record.attempt}</td>' in row
    said = text_of(page[0])
    assert "2 × FootageMissing: yours to mend" in said
    assert "Remedy: mount &lt;it&gt;" in said
    assert "1 × WorkerCrashedError: workers or machines died" in said
    assert f"farm retry {made[1].job}" in said
    assert "Left out on request bulk_6" in said


def test_hostile_names_are_text_not_markup(page):
    assert "<script" not in page[0]
    assert HOSTILE not in page[0]
    assert page[0].count("&lt;script&gt;") >= 4  # two causes, a machine in a table, in a chart


def test_figures_are_those_of_the_ledger(made, page):
    status = made[1].status()
    solved = [record for record in status.shots if record.state == "solved"]
    said = text_of(page[0])
    assert f"{len(solved)} of {len(status.shots)} solved 3 failed, 1 skipped" in said
    assert f"{sum(r.frames for r in solved)} frames 1 shot kept from before" in said
    assert "the first began after 15 s" in said
    night = page[1].night
    assert night.at_work_seconds == pytest.approx(10 + 2 + 4 + 4 + 20)
    assert night.new_frames == 2 * FRAMES
    assert night.frames_per_second == pytest.approx(2 * FRAMES / 40)
    assert night.tries == 7
    assert "1 try that was repeated" in said
    rows = {name: cells for name, *cells in table_of(page[0], "When which machine worked")}
    assert rows["alpha"] == ["2", "2", str(FRAMES), f"{FRAMES / 16:.1f}", "16 s", "75%", "1.5"]
    assert rows["beta"] == ["1", "1", str(FRAMES), f"{FRAMES / 24:.1f}", "24 s", "75%", ""]
    assert rows["all"][:3] == ["3", "4", str(2 * FRAMES)]


def test_confidence_is_counted_and_the_worst_come_first(page):
    _, result = page
    every = np.concatenate([confidence_of(shot) for shot in CONFIDENCE])
    counts = confidence_counts(result.trust.shots)
    assert counts.sum() == len(every) == result.trust.frames
    assert counts[:10].sum() == (every < 0.5).sum() == result.trust.doubtful_frames
    order = sorted(CONFIDENCE, key=CONFIDENCE.get)
    assert [shot.shot for shot in result.trust.worst(5)] == order
    assert all(shot.worst_frame == 25 for shot in result.trust.shots)
    shown = re.findall(r"<figcaption><b>(\w+)</b><br>frame (\d+), ([\d:]+)", page[0])
    assert shown == [(shot, "25", "00:00:00:25") for shot in order]
    lowest = min(np.convolve(confidence_of(order[0]).astype(float), np.ones(30) / 30, "valid"))
    assert result.trust.worst(1)[0].worst_second == pytest.approx(lowest)


def test_what_cannot_be_told_is_named(copied, tmp_path):
    folder, ledger = copied
    production = load_production(folder)
    solve(production, "bulk_0", np.full(FRAMES, np.nan))
    solve(production, "bulk_1", confidence_of("bulk_1"), model="later")
    shutil.rmtree(production.paths.vertices("ada", "bulk_5").resolve())
    write_night(production, ledger, tmp_path / "page.html")
    said = text_of((tmp_path / "page.html").read_text())
    assert "None of the shots was solved by a model that knows" in said
    assert "bulk_1 was solved by later since." in said
    assert "bulk_5 is not in the store." in said
    assert "The shots to look at first" not in said


def test_a_shot_whose_footage_is_gone_keeps_its_result(copied, tmp_path):
    folder, ledger = copied
    (folder / "footage" / "bulk_1.mp4").unlink()
    write_night(load_production(folder), ledger, tmp_path / "page.html")
    pictures = re.findall(r'alt="([^"]*)"', (tmp_path / "page.html").read_text())
    assert [p for p in pictures if "bulk_1" in p] == ["result of bulk_1, frame 25"]
    assert len([p for p in pictures if "bulk_5" in p]) == 2


def test_review_videos_are_linked_where_they_show_what_was_solved(copied):
    folder, ledger = copied
    (folder / "reviews").mkdir()
    for shot, model in (("bulk_5", "m"), ("bulk_1", "an earlier one")):
        (folder / "reviews" / f"{shot}.mp4").touch()
        record = {"model": model, "files": {f"{shot}.mp4": {"bytes": 0, "of": ""}}}
        (folder / "reviews" / f"{shot}.review.json").write_text(json.dumps(record))
    path = folder / "my pages" / "night.html"

    def links():
        write_night(load_production(folder), ledger, path)
        return re.findall(r'<a href="([^"]*)"', path.read_text())

    assert links() == ["../reviews/bulk_5.mp4"]
    for name in ("bulk_1+center", "bulk_5+center"):
        (folder / "reviews" / f"{name}.mp4").touch()
        record = {"model": "m", "files": {f"{name}.mp4": {"bytes": 0, "of": ""}}}
        (folder / "reviews" / f"{name}.review.json").write_text(json.dumps(record))
    assert sorted(links()) == ["../reviews/bulk_1%2Bcenter.mp4", "../reviews/bulk_5.mp4"]


@pytest.mark.parametrize("state", ["queued", "running", "interrupted", "failed", "done"])
def test_every_state_has_a_page(tmp_path, state):
    folder = make_production(tmp_path / "tiny", train=3, frames=2)
    ledger = make_job(folder, state)
    write_night(load_production(folder), ledger, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    Elements(text)
    said = text_of(text)
    assert f"{ledger.job} {state}" in said
    assert "Confidence" not in said
    assert (f"farm retry {ledger.job}" in said) == (state in ("interrupted", "failed"))
    if state == "interrupted":
        assert "Without an end train_2" in said
    if state == "done":
        assert "no shot failed" in said
        assert "3 of 3 ingested" in said


def test_a_training_is_told_of_by_its_model(tmp_path):
    folder = make_production(tmp_path / "tiny", train=1, validation=1, frames=2)
    production = load_production(folder)
    request = plan_train(production, actor="ada", config=resolve("demo", []))
    ledger = Ledger.create(production.paths.jobs, request)
    submit(ledger)
    drive(ledger, "finished")
    for shot in request.shots:
        note(ledger, shot, "solved")
    figures = {"validation_rmse_mm": 0.4171, "seconds": 90.0}
    ledger.write(
        ledger.training().model_copy(update={"state": "solved", "attempt": 1, "figures": figures})
    )
    state = production.paths.training_state("ada", request.model)
    state.mkdir(parents=True)
    lines = [
        {"epoch": e, "training_loss_cm2": 0.1 / e, "validation_loss_cm2": 0.2 / e} for e in (1, 2)
    ]
    (state / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    write_night(production, ledger, tmp_path / "page.html")
    said = text_of((tmp_path / "page.html").read_text())
    assert f"Model {request.model} : validation 0.417 mm, in 1m30s." in said
    assert f"All about it: farm report {request.model}" in said
    assert "2 of 2 ingested" in said
    assert "loss (cm²)" in said


def test_a_cancelled_page_is_not_written(made, tmp_path):
    with pytest.raises(Cancelled):
        write_night(
            load_production(made[0]), made[1], tmp_path / "page.html", on_progress=lambda _: False
        )
    assert not (tmp_path / "page.html").exists()


def test_command_writes_the_page_and_says_what_it_is_made_of(main, made, tmp_path):
    folder, ledger = made
    out = tmp_path / "page.html"
    code, said, _ = main(folder, "report", "--job", "infer", "--out", out, "--json")
    assert code == 0
    facts = json.loads(said)
    assert facts["report"] == str(out)
    assert facts["size_bytes"] == out.stat().st_size
    assert facts["counts"] == ledger.status().counts
    assert facts["retry"] == f"farm retry {ledger.job}"
    assert [(f["type"], [c["shot"] for c in f["causes"]]) for f in facts["failures"]] == [
        ("FootageMissing", ["bulk_2", "bulk_3"]),
        ("WorkerCrashedError", ["bulk_4"]),
    ]
    assert [shot["shot"] for shot in facts["worst"]] == sorted(CONFIDENCE, key=CONFIDENCE.get)
    code, said, _ = main(folder, "report", "-j", ledger.job)
    assert (code, str(folder / "reports" / f"{ledger.job}.html") in said) == (0, True)
    code, _, err = main(folder, "report", "infer-ada")
    assert (code, "remedy" in err or "farm report --job infer-ada" in err) == (2, True)
    code, _, err = main(folder, "report", "m", "--job", "infer")
    assert (code, "leave out model" in err) == (2, True)
    assert main(folder, "report", "--job", "export")[0] == 102


# -- the time line's sums --------------------------------------------------------------------------------


def some_spans(seed):
    rng = np.random.default_rng(seed)
    began = np.round(rng.uniform(0, 50, 30), 2)
    took = np.where(rng.random(30) < 0.1, 0.0, np.round(rng.exponential(8, 30), 2))
    return [
        Span(f"s{i}", f"h{i % 4}", b, b + t, int(rng.integers(0, 500)), bool(rng.random() < 0.2))
        for i, (b, t) in enumerate(zip(began.tolist(), took.tolist(), strict=True))
    ]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_between_the_intervals(seed):
    spans = some_spans(seed)
    edges = np.linspace(min(s.began for s in spans), max(s.ended for s in spans), 38)
    width = np.diff(edges)
    frames = (frames_per_second(spans, edges) * width).sum()
    assert frames == pytest.approx(sum(span.frames for span in spans))
    seconds = (at_work(spans, edges) * width).sum()
    assert seconds == pytest.approx(sum(span.ended - span.began for span in spans))


@pytest.mark.parametrize("seed", range(5))
def test_time_at_work_is_counted_once(seed):
    spans = some_spans(seed)
    ticks = np.arange(0, 12000) / 100 + 0.005
    busy = np.zeros(len(ticks), bool)
    for span in spans:
        busy |= (span.began <= ticks) & (ticks < span.ended)
    assert together_seconds(spans) == pytest.approx(busy.sum() / 100, abs=0.02)


def test_machines_beyond_count_share_a_row():
    spans = [Span(f"s{i}", f"host{i:03d}", i, i + 10.0 + i, 5, False) for i in range(200)]
    names = re.findall(r">(host\d+|\d+ others)</text>", machines_chart(spans))
    assert len(names) == 32
    assert names[-1] == "169 others"
    assert names[:-1] == [f"host{i:03d}" for i in range(169, 200)]


def test_of_a_shot_that_is_tried_again_the_earlier_tries_are_kept(made):
    record = made[1].shot("bulk_4")
    assert [one.host for one in record.tries] == ["alpha", "beta"]
    night = night_of(made[1].status())
    assert [(s.host, s.failed) for s in night.spans if s.shot == "bulk_4"] == [
        ("alpha", True),
        ("beta", True),
    ]


def test_confidence_of_shots_that_are_not_in_the_list_any_more(made):
    trust = read_trust(load_production(made[0]), {"gone": "m", "bulk_0": "m"})
    assert trust.left_out == {"gone": "is not in shots.csv any more"}
    assert [shot.shot for shot in trust.shots] == ["bulk_0"]
