"""Export: a solved shot, from the vertex store to files for other programs."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import StoreError
from facecap_core.exports.animation import Animation, Read
from facecap_core.exports.formats import FORMATS, check_formats, check_start
from facecap_core.exports.replacing import replacing
from facecap_core.files import store_error
from facecap_core.fingerprints import fingerprint_file
from facecap_core.outputs import Outputs, digest_of
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.provenance import made
from facecap_core.solved_shot import SolvedShot, open_solved, vertices_identity

SCHEMA_VERSION = 1
FIGURES = ("confidence", "predicted_rmse_mm", "novelty")  # for formats that have room for them
VERSION = 2  # of what is written: files of another one are made anew


@dataclass(frozen=True)
class ExportOptions:
    """How files are to be; None: as in the vertex store."""

    formats: tuple[str, ...] = ("usd",)
    units: str | None = None
    up_axis: str = "y"
    start_frame: float | Literal["footage"] | None = None  # "footage": where its timecode begins
    corrected: bool = True  # False: as it was solved, without the corrections of artists


@dataclass(frozen=True)
class ExportResult:
    """What is there now; `reused` when all of it was made of the same vertices before."""

    shot: str
    frames: int
    files: list[Path]
    start_frame: float
    fps: Fraction
    reused: bool = False


def export_outputs(
    production: Production, shot: str, folder: Path, options: ExportOptions
) -> Outputs:
    """The files that an export of the shot makes.

    Raises:
        StoreError: the shot is not solved.
    """
    vertices = vertices_identity(production, shot, corrected=options.corrected)
    template = production.actors[production.shots[shot].actor].template
    made_of = {
        "vertices": vertices,
        "template": fingerprint_file(template, whole=True),
        "units": options.units,
        "up_axis": options.up_axis,
        "start_frame": options.start_frame,
        "version": VERSION,
    }
    return Outputs(
        folder,
        f"{shot}.json",
        {f"{shot}{FORMATS[name].suffix}": digest_of([name, made_of]) for name in options.formats},
    )


def _figures(solved: SolvedShot) -> dict[str, NDArray[np.float32]]:
    """What is estimated of each frame, under the names of the vertex store."""
    known = {name: getattr(solved, name) for name in FIGURES}
    return {name: figure for name, figure in known.items() if figure is not None}


def _start(solved: SolvedShot, wanted: float | Literal["footage"] | None) -> float:
    """The first frame's number in the files."""
    if wanted is None:
        return float(solved.start_frame)
    if wanted != "footage":
        return wanted
    start = solved.names.start
    if start is None:
        raise StoreError(
            "nothing is known of the footage's timecode: it has none, or was solved before that was read",
            remedy="name it: --start-timecode 01:00:00:00",
            file=str(solved.store.path),
        )
    return float(start)


def export_shot(
    production: Production,
    shot: str,
    folder: Path,
    options: ExportOptions,
    *,
    on_progress: OnProgress | None = None,
) -> ExportResult:
    """Write one solved shot in every format asked for, and SHOT.json beside them with what made them.

    Each file appears whole or not at all, in flat memory; one that is there is replaced, unless it is whole
    and was made of the same vertices in the same way.

    Raises:
        StoreError: the shot is not solved, or its store is damaged or of another template; or there is no room.
        PointCacheError: a format's library is missing, or a position is not finite.
        ConfigError: a format cannot begin at that frame.
        Cancelled: `on_progress` answered False.
    """
    check_formats(options.formats)
    outputs = export_outputs(production, shot, folder, options)
    due = {damage.part for damage in outputs.damages()}
    solved = open_solved(production, shot, corrected=options.corrected)
    start_frame = _start(solved, options.start_frame)
    check_start(options.formats, start_frame)
    total = solved.frames * len(due)
    done = 0

    def read(start: int, stop: int) -> NDArray[np.float32]:
        nonlocal done
        report(on_progress, Progress("export", min(done, total), total))
        done += stop - start
        return solved.read(start, stop)

    animation = _animation(solved, options, start_frame, read)
    way = {"units": animation.units, "up_axis": animation.up_axis, "start_frame": start_frame}
    counting = [] if solved.corrections is None else solved.corrections.told()
    made_of = {"model": solved.model, "corrections": [one["number"] for one in counting]}
    told = _told(solved, way, counting)
    for name in options.formats:
        file = f"{shot}{FORMATS[name].suffix}"
        if file in due:
            _check_room(folder / file, animation)
            with replacing(outputs, file, way):
                FORMATS[name].write(folder / file, animation)
            # At once, for what comes next may be interrupted; those of other formats stay known.
            entry = {**outputs.entry(file), **way, **made_of}
            entries = outputs.recorded() | {file: entry}
            outputs.write_record({**told, "files": entries})
    report(on_progress, Progress("export", total, total))
    files = [folder / name for name in outputs.wanted]
    return ExportResult(shot, animation.frames, files, start_frame, animation.fps, reused=not due)


def _animation(
    solved: SolvedShot, options: ExportOptions, start_frame: float, read: Read
) -> Animation:
    about = f"{solved.name} of {solved.actor.name}, solved by {solved.solver}"
    if solved.corrections is not None:
        about += f", {len(solved.corrections.frames)} frames corrected"
    units = str(solved.facts["units"])
    return Animation(
        name=solved.name,
        frames=solved.frames,
        fps=solved.fps,
        template=solved.template,
        read=read,
        source_units=units,
        units=options.units or units,
        up_axis=options.up_axis,
        start_frame=start_frame,
        figures=_figures(solved),
        about=about,
    )


def _told(
    solved: SolvedShot, way: Mapping[str, Any], counting: list[dict[str, Any]]
) -> dict[str, Any]:
    """SHOT.json without its files: `way` says how they are written, `counting` with which corrections."""
    return {
        "schema_version": SCHEMA_VERSION,
        "shot": solved.name,
        "actor": solved.actor.name,
        "files": {},
        "frames": solved.frames,
        "vertices": solved.template.vertex_count,
        "fps": str(solved.fps),
        "start_timecode": solved.names.start_timecode,
        **way,
        "topology_sha256": solved.template.topology_sha256,
        "model": solved.model,
        "cameras": solved.cameras,
        "missing_cameras": solved.missing_cameras,
        "job": solved.facts.get("job"),
        "solved": solved.facts.get("made"),
        "corrections": counting,
        "made": made(),
    }


def _check_room(path: Path, animation: Animation) -> None:
    """See that its positions have room, which no format packs: the library of one ends the process on a full disk."""
    folder = next(parent for parent in path.parents if parent.exists())
    if shutil.disk_usage(folder).free < 4 * math.prod(animation.shape):
        raise store_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path)
