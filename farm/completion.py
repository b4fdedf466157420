"""Completion: names that the shell may complete, read from the production's files in a moment.

Nothing here may disturb a person at the prompt: what cannot be read completes to nothing.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import tomllib
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import typer

from facecap_core.stores.paths import StorePaths
from farm.context import PRODUCTION_VARIABLE

SETTINGS_FILE, SHOTS_FILE = "production.toml", "shots.csv"
PRESETS = ("auto", "paper", "fast", "cpu", "demo")
NETWORKS = ("convolutional", "fully-connected")

Names = Callable[[typer.Context, str], list[str]]


def _quietly(names: Callable[[typer.Context], Iterable[str]]) -> Names:
    """Only the names that go on as was begun; none where anything is amiss."""

    @wraps(names)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        with contextlib.suppress(Exception):
            return [name for name in names(ctx) if name.startswith(incomplete)]
        return []

    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    del complete.__wrapped__  # Typer would read the inner signature
    return complete


@_quietly
def complete_actor(ctx: typer.Context) -> Iterable[str]:
    """The production's actors."""
    return _settings(_folder(ctx)).get("actors", {})


@_quietly
def complete_job(ctx: typer.Context) -> Iterable[str]:
    """The production's jobs, the newest first."""
    requests = list(_store(ctx).jobs.glob("*/request.json"))
    requests.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [path.parent.name for path in requests]


@_quietly
def complete_shot(ctx: typer.Context) -> Iterable[str]:
    """The shots of the job that was named, else of the production."""
    # While an option waits for its value, arguments are not told from one another yet.
    job = ctx.params.get("job") or next(iter(ctx.args), None)
    if job:
        found = sorted(_store(ctx).jobs.glob(f"{job}*/request.json"))
        if len(found) == 1:
            asked = json.loads(found[0].read_text(encoding="utf-8"))
            keys = ("shots", "training", "validation")
            return [name for key in keys for name in asked.get(key, ())]
    with open(_folder(ctx) / SHOTS_FILE, encoding="utf-8-sig", newline="") as file:
        return [row["shot"] for row in csv.DictReader(file) if not row["shot"].startswith("#")]


@_quietly
def complete_model(ctx: typer.Context) -> Iterable[str]:
    """The models of the actor that was named, else of all."""
    actor = ctx.params.get("actor")
    actors = [actor] if actor else _settings(_folder(ctx)).get("actors", {})
    store = _store(ctx)
    found = [path for name in actors for path in store.models(name).glob("*/model.json")]
    return [path.parent.name for path in found if not path.parent.name.startswith(".")]


@_quietly
def complete_preset(ctx: typer.Context) -> Iterable[str]:
    """The presets of a training."""
    del ctx
    return PRESETS


def complete_network(ctx: typer.Context) -> Iterable[str]:
    """The networks that can be trained."""
    del ctx
    return NETWORKS


def _folder(ctx: typer.Context) -> Path:
    """The production's folder, as `farm.context.find` would find it."""
    named = ctx.params.get("production") or os.environ.get(PRODUCTION_VARIABLE)
    if named:
        folder = Path(named)
        return folder.parent if folder.suffix == ".toml" else folder
    here = Path.cwd()
    return next(f for f in (here, *here.parents) if (f / SETTINGS_FILE).is_file())


def _settings(folder: Path) -> dict[str, Any]:
    with open(folder / SETTINGS_FILE, "rb") as file:
        return tomllib.load(file)


def _store(ctx: typer.Context) -> StorePaths:
    folder = _folder(ctx)
    return StorePaths(folder / _settings(folder).get("store", "store"))
