"""Report: the page is whole in one file, its figures are the measured ones, and it says what is amiss."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from fractions import Fraction
from html.parser import HTMLParser

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from facecap_core.errors import Cancelled, ModelError, StoreError
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.config import parse, resolve
from facecap_core.learning.model import load_model
from facecap_core.productions.production import load_production
from facecap_core.reports.report import write_report
from facecap_core.reports.report_tables import composition_rows, duration, timecode
from facecap_core.reports.validation import Mark
from facecap_core.stores.groups import new_group, open_frames, open_targets
from facecap_core.stores.paths import StorePaths
from farm.app import app

NAME = "<script>alert('&')</script>"
SETTINGS = f"""
name = "{NAME}"
fps = "30"
units = "mm"
store = "store"
[actors.ada]
template = "template.obj"
animated = "animated.txt"
[actors.ada.cameras.center]
crop = [0, 0, 240, 320]
"""
SHOTS = {
    "learn_a": ("rom", "train", 40),
    "learn_b": ("pangrams", "train", 30),
    "held_a": ("in-character", "validation", 70),  # more than a batch
    "held_b": ("", "validation", 45),
}
PHASES = {"learn_a": 0.0, "learn_b": 1.0, "held_a": 0.4, "held_b": 2.0}
ACROSS, DOWN = 9, 12
VOID = {"meta", "link", "img", "br", "hr", "input"}


def rest_positions():
    x, y = np.meshgrid(np.linspace(-60, 60, ACROSS), np.linspace(90, -90, DOWN))
    return np.stack([x, y, 60 - (x / 12) ** 2 - (y / 18) ** 2], 2).reshape(-1, 3)  # [vertex, xyz]


def write_obj(path):
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in rest_positions()]
    for row in range(DOWN - 1):
        for column in range(ACROSS - 1):
            corner = row * ACROSS + column + 1
            lines.append(f"f {corner} {corner + ACROSS} {corner + ACROSS + 1} {corner + 1}")
    path.write_text("\n".join(lines) + "\n")


def write_shot(paths, shot, frames, phase, *, fingerprint="as filmed"):
    """A bright spot, and a mesh whose lower half follows it."""
    time = np.arange(frames) / 9.0
    across, down = np.sin(time + phase), np.sin(1.7 * time + 2 * phase)
    x = np.arange(240) - (120 + 60 * across[:, None])
    y = np.arange(320) - (160 + 80 * down[:, None])
    luma = 40 + 180 * np.exp(-(x[:, None, :] ** 2 + y[:, :, None] ** 2) / 1500)
    rest = rest_positions()
    pull = np.clip(-rest[:, 1] / 90, 0, 1)[:, None] * np.array([8.0, 15.0, 2.0])
    motion = np.stack([across, down, across * down], 1)[:, None, :]
    with new_group(paths.frames(shot, "center")) as group:
        group.array(
            "luma", row_shape=(320, 240), dtype="uint8", dimension_names=("frame", "y", "x")
        ).append(luma.astype(np.uint8))
        group.set_attributes({"footage_fingerprint": fingerprint, "picture_size": [240, 320]})
    with new_group(paths.targets(shot)) as group:
        group.array(
            "positions",
            row_shape=rest.shape,
            dtype="float32",
            dimension_names=("frame", "vertex", "xyz"),
        ).append((rest + motion * pull).astype(np.float32))
        group.set_attributes({"cache_fingerprint": "as tracked"})


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A production folder with a model `m1` that was really trained, for a second or two."""
    folder = tmp_path_factory.mktemp("report") / "production"
    folder.mkdir()
    (folder / "production.toml").write_text(SETTINGS)
    write_obj(folder / "template.obj")
    (folder / "animated.txt").write_text(
        "".join(f"{i}\n" for i in range(ACROSS * 6, ACROSS * DOWN))
    )
    rows = [f"{shot},ada,{kind},{split},c.pc2,v.mp4" for shot, (kind, split, _) in SHOTS.items()]
    (folder / "shots.csv").write_text("\n".join(["shot,actor,category,split,cache,center", *rows]))
    production = load_production(folder)
    paths = StorePaths(production.store)
    for shot, (_, _, frames) in SHOTS.items():
        write_shot(paths, shot, frames, PHASES[shot])
    settings = resolve("demo", ["schedule.epochs=6", "network.components=8"]).model_dump()
    settings["network"] |= {"channels": (8, 16, 24), "refine": (False, False, False)}
    train_actor(production, "ada", parse(settings), model="m1", threads=1)
    return folder


@pytest.fixture(scope="session")
def page(trained, tmp_path_factory):
    """The page of m1, and what writing it told."""
    path = tmp_path_factory.mktemp("page") / "ada.html"
    told = []
    result = write_report(
        load_production(trained),
        "ada",
        "m1",
        path,
        clip_seconds=0.5,
        threads=1,
        on_progress=told.append,
    )
    return path.read_text(encoding="utf-8"), result, told


@pytest.fixture
def copied(trained, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(trained, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


class Elements(HTMLParser):
    """Collects the elements, and complains about those that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_file_that_loads_nothing(page):
    text, result, _ = page
    elements = Elements(text).found
    addresses = [
        value
        for _, attributes in elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "poster", "srcset", "data", "action")
    ]
    assert len(addresses) > 20
    assert all(value.startswith(("data:", "#")) for value in addresses)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text
    assert not any(tag in ("script", "link", "iframe", "object") for tag, _ in elements)
    assert result.size_bytes == len(text.encode()) < 5_000_000


def test_every_picture_has_words(page):
    pictures = [a for tag, a in Elements(page[0]).found if tag == "img"]
    assert len(pictures) == 6 * 4 + 12 + 1
    assert all(a["alt"] and int(a["width"]) and int(a["height"]) for a in pictures)
    video = next(a for tag, a in Elements(page[0]).found if tag == "video")
    assert {"autoplay", "loop", "muted", "playsinline", "controls", "aria-label"} <= set(video)


def test_ids_of_the_charts_are_unique_and_their_references_exist(page):
    elements = Elements(page[0]).found
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids)) > 100
    references = re.findall(r'(?:url\(#|href="#)([^)"]+)', page[0])
    assert references
    assert set(references) <= set(ids)


def test_names_are_text_not_markup(page):
    assert NAME not in page[0]
    assert "&lt;script&gt;" in page[0]


def test_figures_are_those_of_the_model(trained, page):
    text, result, told = page
    facts = json.loads((trained / "store/models/ada/m1/model.json").read_text())
    assert result.validation_rmse_mm == pytest.approx(facts["validation"]["rmse_mm"], rel=1e-4)
    assert result.mean_shape_rmse_mm == facts["validation"]["mean_shape_rmse_mm"]
    assert result.frames == 115
    for shot, known in facts["validation"]["shots"].items():
        row = re.search(rf'<th scope="row">{shot}</th>(.*?)</tr>', text).group(1)
        assert (
            f'<td class="n">{known["frames"]}</td><td class="n">{known["rmse_mm"]:.2f}</td>' in row
        )
    assert 'class="warn"' not in text
    assert {(now.what, now.done) for now in told} >= {("validate", 115), ("draw", 15)}


def test_marked_frames_are_the_best_and_the_worst(trained, page):
    production = load_production(trained)
    paths = StorePaths(production.store)
    model = load_model(paths.model("ada", "m1"), "cpu")
    animated = np.arange(ACROSS * 6, ACROSS * DOWN)
    errors = {}
    for shot in ("held_a", "held_b"):
        result = model.predict(open_frames(paths.frames(shot, "center")).read("luma"))
        apart = result.astype(np.float64) - open_targets(paths.targets(shot)).read("positions")
        squares = (apart[:, animated] ** 2).sum(2).mean(1)
        errors |= {(shot, frame): error**0.5 for frame, error in enumerate(squares)}
    found = [
        Mark(kind, shot, int(frame), float(error))
        for kind, error, shot, frame in re.findall(
            r'class="dot"></span>(\w+)</b><span class="mm">([\d.]+) mm</span><br>(\w+)<br>frame (\d+)',
            page[0],
        )
    ]
    assert [mark.kind for mark in found] == ["best", "median", "median", *["worst"] * 3]
    for mark in found:
        assert mark.rmse_mm == pytest.approx(errors[mark.shot, mark.frame], abs=0.006)
    assert found[0].rmse_mm == pytest.approx(min(errors.values()), abs=0.006)
    assert found[3].rmse_mm == pytest.approx(max(errors.values()), abs=0.006)


def test_the_moving_face_plays(page):
    video = next(a for tag, a in Elements(page[0]).found if tag == "video")
    head, data = video["src"].split(",")
    assert head == "data:video/mp4;base64"
    with av.open(io.BytesIO(base64.b64decode(data))) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == 30
    assert len(pictures) == 15
    assert pictures[0].shape == (int(video["height"]), int(video["width"]), 3)
    panels = np.stack(pictures)[:, -320:].astype(int).reshape(15, 320, 4, 240, 3)
    for panel in range(4):  # input, target and result move; the difference changes
        assert np.abs(np.diff(panels[:, :, panel], axis=0)).max() > 20
    colourful = np.ptp(panels, axis=4).mean(axis=(0, 1, 3))
    assert colourful[3] > 3 * colourful[:3].max()


def test_writing_again_gives_the_same_page(trained, page, tmp_path):
    write_report(
        load_production(trained), "ada", "m1", tmp_path / "a.html", clip_seconds=0.5, threads=1
    )
    again = (tmp_path / "a.html").read_text(encoding="utf-8")
    written = re.compile(r"Written [^<]* by facecap")
    assert written.sub("", again) == written.sub("", page[0])


def test_what_has_changed_in_the_store_is_pointed_out(copied, tmp_path):
    production = load_production(copied)
    write_shot(StorePaths(production.store), "held_a", 70, 5.0, fingerprint="filmed again")
    for shot in ("learn_a", "learn_b"):  # whose pictures only Figure 3 needs
        shutil.rmtree(production.store / "frames" / shot)
    write_report(production, "ada", "m1", tmp_path / "a.html", clip_seconds=0.1, threads=1)
    text = (tmp_path / "a.html").read_text()
    warnings = re.findall(r'class="warn"><p[^>]*>(.*?)</p>', text)
    assert "Ingested anew" in warnings[0]
    assert "held_a" in warnings[0]
    assert "held_b" not in warnings[0]
    assert "Augmented inputs" not in text
    assert "Error over time" in text


def test_a_model_without_validation_says_so(copied, tmp_path):
    path = copied / "store/models/ada/m1/model.json"
    facts = json.loads(path.read_text())
    facts["validation"] = {"shots": {}, "frames": 0}
    path.write_text(json.dumps(facts))
    result = write_report(load_production(copied), "ada", "m1", tmp_path / "a.html", threads=1)
    assert np.isnan(result.validation_rmse_mm)
    text = (tmp_path / "a.html").read_text()
    assert "has no validation shot" in text
    assert "<video" not in text
    assert "Convergence" in text


def test_faults_are_named_and_leave_no_page(copied, tmp_path):
    production, page = load_production(copied), tmp_path / "a.html"
    with pytest.raises(ModelError, match="is not a model"):
        write_report(production, "ada", "m2", page)
    with pytest.raises(Cancelled):
        write_report(production, "ada", "m1", page, threads=1, on_progress=lambda now: False)
    frames = StorePaths(production.store).frames("held_a", "center")
    shutil.move(frames, tmp_path / "aside.zarr")
    with pytest.raises(StoreError, match=r"held_a.*is not in the store"):
        write_report(production, "ada", "m1", page, threads=1)
    obj = copied / "template.obj"
    obj.write_text(obj.read_text().replace("f 1 10 11 2\n", ""))
    with pytest.raises(ModelError, match="another template"):
        write_report(production, "ada", "m1", page, threads=1)
    assert not page.exists()


def test_command_writes_the_newest_model_of_the_actor(trained, tmp_path):
    out = tmp_path / "page.html"
    arguments = [
        "report",
        "--production",
        str(trained),
        "--out",
        str(out),
        "--clip",
        "0.2",
        "--json",
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["model"] == "m1"
    assert facts["report"] == str(out)
    assert facts["size_bytes"] == out.stat().st_size
    assert facts["validation_rmse_mm"] < facts["mean_shape_rmse_mm"]
    wrong = CliRunner().invoke(app, [*arguments, "nothing-like-it"])
    assert isinstance(wrong.exception, ModelError)
    assert "m1" in str(wrong.exception)


def test_timecodes_count_frames():
    for fps, rate in ((Fraction(30), 30), (Fraction(30000, 1001), 30), (Fraction(24), 24)):
        seen = [timecode(frame, fps) for frame in range(0, 4000 * rate, 7)]
        for frame, text in zip(range(0, 4000 * rate, 7), seen, strict=True):
            hours, minutes, seconds, rest = (int(part) for part in text.split(":"))
            assert ((hours * 60 + minutes) * 60 + seconds) * rate + rest == frame
            assert max(minutes, seconds) < 60
            assert rest < rate


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (29700, "8.2 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_composition_counts_every_training_shot_once():
    shots = {"a": 1800, "b": 900, "c": 3600, "d": 1800}
    facts = {"actor": "ada", "training": {"shots": {s: {"frames": n} for s, n in shots.items()}}}
    rows = composition_rows(facts, {"a": "rom", "b": "rom", "c": "own"}, Fraction(30))
    by_name = {row["name"]: (row["shots"], row["frames"], row["minutes"]) for row in rows}
    assert by_name["rom"] == (2, 2700, 1.5)
    assert by_name["own"] == (1, 3600, 2.0)
    assert by_name["no category"] == (1, 1800, 1.0)
    assert by_name["in-character"] == (0, 0, 0.0)
    assert by_name["all"] == (4, 8100, 4.5)
