"""Review server: the pages of solved shots for one person's browser, on the loopback address, behind a token."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from facecap_core.errors import FacecapError

LOOPBACK = "127.0.0.1"


class Shown(Protocol):
    """What a shot's page is made of."""

    def page(self) -> str: ...

    def scene(self, number: int) -> bytes: ...


class ReviewServer(ThreadingHTTPServer):
    """Answers `/TOKEN/SHOT/` and `/TOKEN/SHOT/scenes/NUMBER` alone, to this machine alone.

    Raises OSError where the port is taken; port 0 is any that is free.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, shots: Mapping[str, Shown], port: int = 0) -> None:
        self.shots = shots
        self.token = secrets.token_urlsafe(32)
        super().__init__((LOOPBACK, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that turns away needs no traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def url(self, shot: str) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}/{self.token}/{shot}/"


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    server_version = "farm"
    sys_version = ""

    def do_GET(self) -> None:
        token, _, rest = self.path.removeprefix("/").partition("/")
        name, _, part = rest.partition("/")
        shown = self.server.shots.get(name)
        known = secrets.compare_digest(token.encode(), self.server.token.encode())
        if not known or shown is None:
            return self._answer(HTTPStatus.NOT_FOUND, b"not found")
        number = part.removeprefix("scenes/")
        try:
            if not part:
                self._answer(HTTPStatus.OK, shown.page().encode(), "text/html; charset=utf-8")
            elif part.startswith("scenes/") and number.isdecimal() and number.isascii():
                self._answer(HTTPStatus.OK, shown.scene(int(number)), "application/octet-stream")
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"not found")
        except IndexError:
            self._answer(HTTPStatus.NOT_FOUND, b"not found")
        except FacecapError as error:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, str(error).encode())
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Silence: addresses hold the token."""

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
