"""The page of a review: what a browser is sent is what was solved, seen by this machine's user alone."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import io
import itertools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import zlib
from fractions import Fraction
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest
from PIL import Image
from solved_shots import REST, result, solve
from tiny_production import make_production
from typer.testing import CliRunner

from facecap_core.corrections.correction import add_correction
from facecap_core.errors import ConfigError, StoreError
from facecap_core.frame_names import FrameNames
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from facecap_core.reviews.packed_scene import SIZE, packed, packed_scenes
from facecap_core.reviews.reviewed_shot import Scene, open_reviewed
from facecap_core.timecode import timecode
from farm.app import app
from farm.review_server import ReviewServer

FRAMES = 66  # more than a scene
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    folder = make_production(tmp_path_factory.mktemp("page") / "show", bulk=3, frames=FRAMES)
    solve(folder, "bulk_0", FRAMES)
    solve(folder, "bulk_2", FRAMES, start_timecode="23:59:59:10")
    jumping = result(FRAMES)
    jumping[50] += 5
    confidence = np.linspace(1, 0.6, FRAMES)
    solve(folder, "bulk_1", FRAMES, jumping, confidence=confidence, start_frame=1001)
    write_pc2(folder / "truth" / "bulk_0.pc2", result(FRAMES) + np.float32([0.3, 0, 0]))
    return folder


def unpacked(data, vertices, target):
    """What review_page.js makes of a scene, from the words of packed_scene.py: meshes, pictures, step."""
    n, length = struct.unpack_from("<II", data)
    lengths = struct.unpack_from(f"<{n}I", data, 8)
    *lowest, step = struct.unpack_from("<4f", data, 8 + 4 * n)
    at = 24 + 4 * n
    planes = np.frombuffer(zlib.decompress(data[at : at + length]), np.uint8).reshape(2, -1)
    code = planes[0].astype(np.int64) | planes[1].astype(np.int64) << 8
    told = ((code >> 1) ^ -(code & 1)).reshape(-1, vertices, 3)
    assert len(told) == 1 + n * (2 if target else 1)
    results = np.cumsum(told[: n + 1], axis=0) % 65536
    meshes = np.concatenate(
        [results, (results[1:] + told[n + 1 :]) % 65536 if target else results[:0]]
    )
    ends = at + length + np.cumsum([0, *lengths])
    pictures = [data[a:b] for a, b in itertools.pairwise(ends)]
    assert ends[-1] == len(data)
    return np.array(lowest) + step * meshes, pictures, step


@pytest.mark.parametrize("target", [True, False])
def test_a_packed_scene_holds_its_frames(target):
    rng = np.random.default_rng(3)
    n, vertices = 7, 11
    before, meshes = rng.normal(5, 2, (1, vertices, 3)), rng.normal(5, 2, (2, n, vertices, 3))
    before, meshes = before.astype(np.float32), meshes.astype(np.float32)
    across = np.arange(240, dtype=np.uint8)
    luma = np.stack([np.tile(across + frame, (320, 1)) for frame in range(0, 10 * n, 10)])
    data = packed(Scene(0, luma.astype(np.uint8), meshes[0], meshes[1] if target else None), before)
    found, pictures, step = unpacked(data, vertices, target)
    meant = np.concatenate([before, meshes[0], *([meshes[1]] if target else [])])
    assert np.abs(found - meant).max() <= 0.51 * step + 1e-5
    assert step <= 1.01 * np.ptp(meant) / 65535
    for picture, row in zip(pictures, luma, strict=True):
        shown = np.asarray(Image.open(io.BytesIO(picture)).convert("L"), np.int64)
        assert np.abs(shown - row)[:, 5:-70].max() < 12


def test_scenes_begin_anywhere(production):
    shot = open_reviewed(load_production(production), "bulk_0")
    whole = list(packed_scenes(shot))
    for first in range(1, len(whole)):
        assert list(packed_scenes(shot, first=first)) == whole[first:]


class Fixed:
    """A shot of two scenes; the second cannot be read."""

    def page(self):
        return "<p>é</p>"

    def scene(self, number):
        if number == 1:
            raise StoreError("damaged")
        return [b"\0scene"][number]


@pytest.fixture
def server():
    with ReviewServer({"bulk_0": Fixed()}) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_only_who_knows_the_token_is_answered(server):
    port, place = server.server_address[1], urlsplit(server.url("bulk_0")).path
    assert get(port, place) == (200, "<p>é</p>".encode())
    assert get(port, f"{place}scenes/0") == (200, b"\0scene")
    assert get(port, f"{place}scenes/1") == (500, b"damaged")
    token = server.token
    for path in (
        "/",
        "/bulk_0/",
        f"/{token[:-1]}/bulk_0/",
        f"/{token}/",
        f"/{token}/bulk_1/",
        f"{place}scenes/2",
        f"{place}scenes/-1",
        f"{place}scenes/../../etc/passwd",
        f"{place}/etc/passwd",
    ):
        assert get(port, path)[0] == 404, path
    assert len(token) >= 43, "256 bits"


def test_only_this_machine_is_answered(server):
    host, port = server.server_address[:2]
    assert host == "127.0.0.1"
    with socket.socket() as other:  # an address that is this machine's too, but not that one
        other.settimeout(5)
        assert other.connect_ex(("127.0.0.2", port)) != 0


def told_of(page):
    return json.loads(re.search(r'id="told">(.*?)</script>', page, re.DOTALL)[1])


def test_open_shows_every_frame_until_it_is_interrupted(production, tmp_path):
    pytest.importorskip("k3d")
    arguments = ["review", "bulk_0", "--open", "--no-browser", "--json", "-P", str(production)]
    running = subprocess.Popen(
        [sys.executable, "-m", "farm.app", *arguments, "--against", str(production / "truth")],
        env={**os.environ, "FARM_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell ignores Ctrl-C, and its children do too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        address = urlsplit(json.loads(running.stdout.readline())["address"])
        assert address.hostname == "127.0.0.1"
        (door,) = tmp_path.glob("review-*.html")
        assert door.stat().st_mode & 0o777 == 0o600
        status, page = get(address.port, address.path)
        told = told_of(page.decode())
        assert (status, told["shot"], told["frames"], told["fps"]) == (200, "bulk_0", FRAMES, 30.0)
        errors = told["curves"][0]["lines"][0]
        assert errors["name"] == "RMSE"
        assert errors["values"] == pytest.approx([3.0] * FRAMES, rel=1e-3)
        shown = []
        for number in range(-(-FRAMES // SIZE)):
            status, data = get(address.port, f"{address.path}scenes/{number}")
            assert status == 200
            meshes, pictures, step = unpacked(data, len(REST), True)
            shown.append(meshes[1 : 1 + len(pictures)])
            assert np.abs(meshes[1 + len(pictures) :] - shown[-1] - [0.3, 0, 0]).max() <= 2 * step
        assert np.abs(np.concatenate(shown) - result(FRAMES)).max() <= 2 * step
        assert get(address.port, f"{address.path}scenes/{number + 1}")[0] == 404
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0, running.stderr.read()
    finally:
        running.kill()
        running.wait()
    assert not list(tmp_path.glob("review-*.html"))


def save(production, path, *more, shot="bulk_0"):
    arguments = ["review", shot, "--save", str(path), "-P", str(production), *more]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


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
