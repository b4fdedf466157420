"""Provenance: what made an output, so that every number can be traced."""

from __future__ import annotations

import datetime
import functools
import platform
import socket
from importlib import metadata

PACKAGES = ("facecap-farm", "torch", "numpy", "av", "zarr", "ray")


@functools.cache  # each look into a package's metadata takes milliseconds
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide results; absent ones are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def made() -> dict[str, object]:
    """Who made an output and when, for its attributes."""
    return {
        "versions": dict(versions()),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
    }
