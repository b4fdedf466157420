"""The server of reviews: this machine's user is sent what was solved, and nobody else is answered."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest
from saved_pages import FRAMES, make_shown, told_of, unpacked
from solved_shots import REST, result

from facecap_core.errors import StoreError
from facecap_core.reviews.packed_scene import SIZE
from farm.review_server import ReviewServer


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


def test_open_shows_every_frame_until_it_is_interrupted(tmp_path):
    pytest.importorskip("k3d")
    production = make_shown(tmp_path / "show")
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
