"""The page of a review: saved as one file it holds all that it shows, and says it in a browser."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import shutil
import subprocess
import sys
from fractions import Fraction

import aiohttp
import numpy as np
import pytest
from saved_pages import FRAMES, make_shown, save, told_of, unpacked
from solved_shots import REST, result
from typer.testing import CliRunner

from facecap_core.corrections.correction import add_correction
from facecap_core.errors import ConfigError
from facecap_core.frame_names import FrameNames
from facecap_core.productions.production import load_production
from facecap_core.reviews.packed_scene import SIZE
from facecap_core.timecode import timecode
from farm.app import app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    return make_shown(tmp_path_factory.mktemp("page") / "show")


def test_a_saved_page_holds_all_that_it_shows(production, tmp_path):
    pytest.importorskip("k3d")
    done = save(production, tmp_path / "bulk_0.html", "--json")
    told = json.loads(done.stdout)
    page = (tmp_path / "bulk_0.html").read_text()
    assert told["bytes"] == (tmp_path / "bulk_0.html").stat().st_size
    assert told_of(page)["target"] is False
    kept = re.findall(r'id="scene-\d+">([^<]*)</script>', page)
    frames = [len(unpacked(base64.b64decode(text), len(REST), False)[1]) for text in kept]
    assert frames == [SIZE, SIZE, SIZE, SIZE, FRAMES - 4 * SIZE]
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", page.split("<script>")[0])


@contextlib.asynccontextmanager
async def browser(folder, address, window):
    """Headless Chromium at that address, as something that evaluates JavaScript in it."""
    options = [
        "--window-size={},{}".format(*window),
        "--headless",
        "--no-sandbox",
        f"--user-data-dir={folder}",
        "--remote-debugging-port=0",
    ]
    gl = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    running = subprocess.Popen([CHROMIUM, *options, *gl, address], stderr=subprocess.DEVNULL)
    try:
        port = folder / "DevToolsActivePort"
        while not port.exists() or not port.read_text().strip():
            await asyncio.sleep(0.1)
        async with aiohttp.ClientSession() as session:
            debugged = f"http://127.0.0.1:{port.read_text().split()[0]}/json/list"
            pages = await (await session.get(debugged)).json()
            (page,) = [page for page in pages if page["type"] == "page"]
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:

                async def evaluate(expression):
                    told = {"expression": expression, "returnByValue": True}
                    await socket.send_json({"id": 1, "method": "Runtime.evaluate", "params": told})
                    return (await socket.receive_json())["result"]["result"].get("value")

                yield evaluate
    finally:
        running.terminate()
        running.wait(30)


async def until(evaluate, expression, meant):
    for _ in range(600):
        if (found := await evaluate(expression)) == meant:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{expression}: {found!r}, not {meant!r}")


def use(folder, page, steps, window=(1400, 1000)):
    """Do some steps with a page in Chromium; none without it."""
    pytest.importorskip("k3d")
    if CHROMIUM is None:
        pytest.skip("no Chromium")

    async def session():
        async with browser(folder / "profile", page, window) as evaluate:
            await until(evaluate, "document.getElementById('wait')?.hidden", True)
            await steps(evaluate)

    asyncio.run(session())


FRAME = "document.getElementById('frame').textContent"


def test_corrected_frames_are_marked_in_a_browser(production, tmp_path):
    folder = tmp_path / "show"
    shutil.copytree(production, folder, symlinks=True)
    paths, frames = load_production(folder).paths, np.r_[4:8, 60]
    add_correction(paths, "ada", "bulk_0", frames=frames, blocks=[result(FRAMES)[frames]], facts={})
    page = tmp_path / "bulk_0.html"
    save(folder, page)

    async def steps(evaluate):
        marks = "[...document.querySelectorAll('#lane .mended')].map((part) => part.title).join()"
        assert await evaluate(marks) == "corrected, 4–7,corrected, 60–60"
        press = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))"
        for frame in range(10):
            await until(evaluate, FRAME, str(frame))
            assert await evaluate("document.getElementById('mended').hidden") is not (
                4 <= frame < 8
            )
            await evaluate(press)

    use(tmp_path, page.as_uri(), steps)


def test_the_face_keeps_its_place_in_a_low_window(production, tmp_path):
    page = tmp_path / "bulk_0.html"
    save(production, page)

    async def steps(evaluate):
        box = "document.getElementById('{}').getBoundingClientRect().{}"
        height = await evaluate(box.format("view", "height"))
        assert height >= 230, "the scale of colours needs as much"
        assert await evaluate(box.format("picture", "height")) == height
        bottom = await evaluate(box.format("view", "bottom"))
        assert await evaluate(box.format("strips", "top")) > bottom
        await evaluate("window.scrollTo(0, 10000)")
        assert await evaluate(box.format("strips", "bottom")) <= await evaluate("innerHeight")

    use(tmp_path, page.as_uri(), steps, window=(1000, 480))


def test_a_saved_page_plays_in_a_browser(production, tmp_path):
    page = tmp_path / "bulk_0.html"
    save(production, page, "--against", str(production / "truth"))

    async def steps(evaluate):
        assert await evaluate(FRAME) == "65"
        assert await evaluate("document.getElementById('timecode').textContent") == "00:00:02:05"
        strip = await evaluate("document.querySelector('.strip').innerText")
        assert strip.startswith("RMSE 3.00 mm")
        pixels = "document.getElementById('picture').getContext('2d').getImageData(0, 0, 240, 320)"
        assert await evaluate(f"{pixels}.data.some((v, i) => i % 4 < 3 && v > 50)"), "footage"
        await evaluate("document.getElementById('play').click()")  # from the start, after the last
        await until(evaluate, f"{FRAME} > 9 && {FRAME} < 60", True)

    use(tmp_path, f"{page.as_uri()}#65", steps)


def test_the_page_counts_timecode_as_the_footage_does(production, tmp_path):
    page = tmp_path / "bulk_2.html"
    save(production, page, shot="bulk_2")
    text = page.read_text()
    told = told_of(text)["timecode"]
    assert told == {"start": 86400 * 30 - 20, "rate": 30, "dropped": 0}
    dropping = FrameNames(Fraction(30000, 1001), 0, "10:00:59;10")
    assert dropping.start is not None
    told = json.dumps({"start": dropping.start, "rate": 30, "dropped": 2})
    (tmp_path / "dropping.html").write_text(re.sub(r'(?<="timecode": )\{[^}]*\}', told, text))
    for name, names in (
        ("bulk_2.html", FrameNames(Fraction(30), 0, "23:59:59:10")),
        ("dropping.html", dropping),
    ):

        async def steps(evaluate, names=names):
            for key, frame in (("Home", 0), ("End", FRAMES - 1)):
                press = f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))"
                await evaluate(press)
                await until(evaluate, FRAME, str(frame))
                shown = await evaluate("document.getElementById('timecode').textContent")
                assert shown == names.timecode(frame)

        use(tmp_path / name[:-5], (tmp_path / name).as_uri(), steps)


def test_a_click_on_a_flag_leads_there(production, tmp_path):
    page = tmp_path / "bulk_1.html"
    save(production, page, shot="bulk_1")
    (flag,) = told_of(page.read_text())["flags"]
    assert flag["reason"] == "jump"
    assert flag["first"] <= 50 <= flag["last"]

    async def steps(evaluate):
        told = await evaluate("document.querySelector('aside').innerText")
        shown = timecode(1001 + flag["first"], Fraction(30))
        for words in ("jump", f"{1001 + flag['first']}–{1001 + flag['last']}", shown, "frame 1051"):
            assert words in told
        for place in ("aside", "#lane"):
            await evaluate("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Home'}))")
            await until(evaluate, FRAME, "1001")
            await evaluate(f"document.querySelector('{place} [data-flag]').click()")
            await until(evaluate, FRAME, str(1001 + flag["first"]))
        assert await evaluate("document.getElementById('timecode').textContent") == shown
        names = "[...document.querySelectorAll('.strip div:first-child')].map((d) => d.innerText)"
        strips = await evaluate(names)
        assert [strip.split()[0] for strip in strips] == [
            "expected",
            "motion",
            "confidence",
            "novelty",
        ]
        assert strips[2] == f"confidence {1 - 0.4 * flag['first'] / (FRAMES - 1):.2f}"

    use(tmp_path, page.as_uri(), steps)


def test_without_the_viewer_it_is_said_how_to_get_it(production, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "k3d", None)
    for arguments in (["--open", "--no-browser"], ["--save", str(tmp_path / "page.html")]):
        with pytest.raises(ConfigError, match=r"pip install 'facecap-farm\[viewer\]'"):
            arguments = ["review", "bulk_0", *arguments, "-P", str(production)]
            CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not list(tmp_path.iterdir())
