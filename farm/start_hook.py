"""Start hook: what Ray's own command starts on the local head only because it has no option against it."""

from __future__ import annotations

from typing import Any

VARIABLE = "RAY_START_HOOK"
"""By which `ray start` is told of a function to call before it starts anything."""
NAME = f"{__name__}.without_client_server"


def without_client_server(parameters: Any, head: bool) -> None:
    """Take away Ray's client server, by which programs elsewhere would connect; it costs a second of a cold start."""
    del head
    parameters.ray_client_server_port = None
