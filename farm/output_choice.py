"""Output choice: what is to be made of solved shots, in which folder, by what was typed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from facecap_core.plain_path import plain_path
from facecap_core.units import UNITS
from farm.option_groups import Exporting, Reviewing

if TYPE_CHECKING:
    from fractions import Fraction

    from facecap_core.exports.export import ExportOptions
    from facecap_core.productions.production import Production
    from facecap_core.reviews.review import ReviewOptions


def folder_of(production: Production, out: Path | None, usual: str) -> Path:
    """The folder that --out names, from here; else the usual one of the production.

    Raises:
        ConfigError: a file stands in its place, or in that of a folder above it.
    """
    folder = plain_path(out) if out is not None else production.folder / usual
    _check_folder(folder, "name a folder: --out")
    return folder


def file_of(path: Path, option: str) -> Path:
    """The file that an option names, from here; what is wrong with it is told before the work for it is done.

    Raises:
        ConfigError: it is a folder, a file stands in the place of one above it, or nothing can be written there.
    """
    from facecap_core.errors import ConfigError

    file = plain_path(path)
    if file.is_dir():
        raise ConfigError("is a folder, not a file", remedy=f"name a file: {option}", file=file)
    elsewhere = f"name a file elsewhere: {option}"
    _check_folder(file.parent, elsewhere)
    check_writable(file.parent, elsewhere)
    return file


def check_writable(folder: Path, remedy: str) -> None:
    """Tell before long work that nothing can be written there, where the folder or the one that it goes into exists.

    Raises:
        ConfigError: this user may not, or the disk can only be read.
    """
    from facecap_core.errors import ConfigError

    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(
            "cannot be written to", remedy=f"make it writable, or {remedy}", file=place
        )


def _check_folder(folder: Path, remedy: str) -> None:
    from facecap_core.errors import ConfigError

    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise ConfigError("is a file, not a folder", remedy=remedy, file=place)


def warn_of_footage(production: Production, shot: str) -> list[str]:
    """What is to be said of a solved shot whose footage was replaced since, which is told on stderr too."""
    from jobs.solved_footage import footage_warnings

    told = [f"{name}: {what}" for name, what in footage_warnings(production, [shot]).items()]
    for warning in told:
        typer.echo(f"warning: {warning}", err=True)
    return told


def export_options(production: Production, chosen: Exporting) -> ExportOptions:
    """What --format, --units and so on mean.

    Raises:
        ConfigError: one of them means nothing.
    """
    from facecap_core.exports.export import ExportOptions
    from facecap_core.exports.formats import check_start

    units, formats = chosen.units, _formats(chosen.formats)
    start_frame = _start(chosen.start_frame, chosen.start_timecode, production.fps)
    if isinstance(start_frame, float):
        check_start(formats, start_frame)  # once for all shots
    return ExportOptions(
        formats=formats,
        units=_one_of(units, "--units", list(UNITS)) if units else None,
        up_axis=_one_of(chosen.up_axis, "--up-axis", ["y", "z"]),
        start_frame=start_frame,
        corrected=chosen.corrected,
    )


def review_options(
    production: Production, shots: Sequence[str], chosen: Reviewing
) -> ReviewOptions:
    """What --against, --camera and --sheet mean for these shots.

    Raises:
        ConfigError: no actor of theirs has such a camera.
    """
    from facecap_core.reviews.review import ReviewOptions

    against = chosen.against
    if chosen.camera is not None:
        actors = dict.fromkeys(production.shots[shot].actor for shot in shots)
        known = [camera for actor in actors for camera in production.actors[actor].cameras]
        _one_of(chosen.camera, "--camera", list(dict.fromkeys(known)))
    return ReviewOptions(
        against=str(plain_path(Path(against))) if against is not None else None,
        video=not chosen.sheet,
        corrected=chosen.corrected,
        camera=chosen.camera,
    )


def _formats(text: str) -> tuple[str, ...]:
    from facecap_core.exports.formats import FORMATS

    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    return tuple(dict.fromkeys(_one_of(name, "--format", list(FORMATS)) for name in names or [""]))


def _one_of(value: str, option: str, known: list[str]) -> str:
    from facecap_core.errors import ConfigError

    if value not in known:
        raise ConfigError(
            f"{option}: {value!r} is not known", remedy=f"choose of {', '.join(known)}"
        )
    return value


def _start(
    frame: float | None, timecode: str | None, fps: Fraction
) -> float | Literal["footage"] | None:
    from facecap_core.errors import ConfigError
    from facecap_core.timecode import frame_of

    if frame is not None and timecode is not None:
        raise ConfigError(
            "--start-frame and --start-timecode say the same thing", remedy="give one of them"
        )
    if timecode is None:
        return frame
    return "footage" if timecode == "footage" else float(frame_of(timecode, fps))
