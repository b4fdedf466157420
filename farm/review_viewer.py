"""Review viewer: solved shots in the user's browser, or as pages of their own."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facecap_core.errors import ConfigError
from farm.bar import bar
from farm.head import LocalHead
from farm.review_server import ReviewServer

if TYPE_CHECKING:
    from facecap_core.progress import OnProgress
    from facecap_core.reviews.measures import Measures
    from facecap_core.reviews.reviewed_shot import ReviewedShot
    from facecap_core.reviews.scene_reel import SceneReel

SCHEMA_VERSION = 1
Source = Callable[[str, "OnProgress | None"], "tuple[ReviewedShot, Measures]"]
"""A shot by its name, as it is reviewed."""


class ShownShot:
    """A shot whose page and scenes are made when they are first asked for."""

    _making = threading.Lock()  # of all shots: one reading at a time

    def __init__(self, source: Source, name: str, others: Sequence[str]) -> None:
        self._source, self._name, self._others = source, name, others

    def page(self) -> str:
        with self._making:
            return self._made[0]

    def scene(self, number: int) -> bytes:
        with self._making:
            reel = self._made[1]
        return reel.read(number)

    def close(self) -> None:
        if "_made" in vars(self):
            self._made[1].close()

    @cached_property
    def _made(self) -> tuple[str, SceneReel]:
        from facecap_core.reviews.packed_scene import SIZE, packed_scenes
        from facecap_core.reviews.review_page import review_page
        from facecap_core.reviews.scene_reel import SceneReel

        with bar() as on_progress:
            shot, measures = self._source(self._name, on_progress)
        threads = os.cpu_count() or 1
        reel = SceneReel(
            lambda number: packed_scenes(shot, threads, first=number), -(-shot.frames // SIZE)
        )
        return review_page(shot, measures, self._others), reel


def show(source: Source, names: Sequence[str], *, port: int, browser: bool, as_json: bool) -> None:
    """Serve the shots until Ctrl-C, the first one in the browser.

    Raises:
        ConfigError: the viewer is not installed, or the port is taken.
        StoreError, PointCacheError: the first shot cannot be shown.
    """
    from facecap_core.reviews.review_page import check_viewer

    check_viewer()
    shots = {
        name: ShownShot(source, name, [other for other in names if other != name]) for name in names
    }
    first = next(iter(shots))
    shots[first].page()  # what is wrong is told here, not in the browser
    try:
        server = ReviewServer(shots, port)
    except OSError as error:
        raise ConfigError(
            f"port {port}: {error.strerror}", remedy="choose another --port"
        ) from None
    address = server.url(first)
    try:
        with server, _doorway(address) as door:
            if as_json:
                told = {"schema_version": SCHEMA_VERSION, "shots": list(names), "address": address}
                typer.echo(json.dumps(told))
            else:
                typer.echo(f"{address}\nCtrl-C ends it.")
            if browser:
                typer.launch(door.as_uri())
            server.serve_forever()
    except KeyboardInterrupt:
        typer.echo("ended", err=True)
    finally:
        for shot in shots.values():
            shot.close()


def save_page(source: Source, name: str, path: Path, *, as_json: bool) -> None:
    """Write the shot's page with all that it shows as one file.

    Raises:
        ConfigError: the viewer is not installed.
        FootageError, StoreError, PointCacheError: the shot cannot be shown.
    """
    from facecap_core.reviews.review_page import check_viewer, save_review_page

    check_viewer()
    with bar() as on_progress:
        shot, measures = source(name, on_progress)
        threads = os.cpu_count() or 1
        size = save_review_page(path, shot, measures, threads=threads, on_progress=on_progress)
    if as_json:
        told = {"schema_version": SCHEMA_VERSION, "shots": [name], "page": str(path), "bytes": size}
        typer.echo(json.dumps(told))
    else:
        typer.echo(f"{name}: {path}, {size / 1e6:.1f} MB")


@contextmanager
def _doorway(address: str) -> Iterator[Path]:
    """A page of this user's alone that leads to the address: every user can read a browser's command line."""
    home = LocalHead().home
    home.mkdir(parents=True, exist_ok=True)
    door = home / f"review-{os.getpid()}.html"
    door.unlink(missing_ok=True)
    refresh = f'<meta http-equiv="refresh" content="0;url={escape(address)}">'
    with open(os.open(door, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(refresh)
    try:
        yield door
    finally:
        door.unlink(missing_ok=True)
