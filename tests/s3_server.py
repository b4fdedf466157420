"""A real S3 server on the loopback address, which can be told to fail as networks do."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from datetime import timedelta
from urllib.request import Request, urlopen

import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from facecap_core.stores import objects

BUCKET = "shots"


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


class S3Server:
    """moto behind a lock: requests are done one by one, as S3 promises for conditional writes."""

    def __init__(self):
        self._application = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._faults = []
        self.requests = []  # (method, path)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        with urlopen(Request(f"{self.url}/{BUCKET}", method="PUT")):
            pass

    def environment(self):
        """What a process needs to reach it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, fault):
        """Ask `fault(method, path)` before every request: "refuse" answers 500 instead of doing it,
        "lose" does it and answers 500, "deny" answers 403; None does it."""
        self._faults.append(fault)

    def mend(self):
        self._faults.clear()

    def _answer(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        verdict = next((v for fault in self._faults if (v := fault(method, path))), None)
        if verdict in ("refuse", "deny"):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return self._error(start_response, verdict)
        with self._lock:
            self.requests.append((method, path))
            kept = []
            body = b"".join(self._application(environ, lambda *head: kept.append(head)))
        if verdict == "lose":
            return self._error(start_response, verdict)
        start_response(*kept[-1])
        return [body]

    @staticmethod
    def _error(start_response, verdict):
        status, code = ("403 Forbidden", "AccessDenied")
        if verdict != "deny":
            status, code = ("500 Internal Server Error", "InternalError")
        start_response(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>as asked</Message></Error>".encode()]


@contextmanager
def server_in_use():
    """A server with one empty bucket, which this process and those that it starts use as S3."""
    server = S3Server()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment().items():
                patch.setenv(name, value)
            # A network that never comes back is given up early here.
            patch.setattr(
                objects, "_RETRIES", {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}
            )
            objects._client.cache_clear()
            yield server
    finally:
        objects._client.cache_clear()
        server.stop()
