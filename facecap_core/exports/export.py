"""Export: a solved shot, from the vertex store to files for other programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import StoreError
from facecap_core.exports.animation import Animation
from facecap_core.exports.formats import FORMATS
from facecap_core.files import write_text_atomically
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.provenance import made
from facecap_core.stores.groups import GroupReader, open_vertices
from facecap_core.template import read_template

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ExportOptions:
    """How files are to be; None: as in the vertex store."""

    formats: tuple[str, ...] = ("usd",)
    units: str | None = None
    up_axis: str = "y"
    start_frame: float | None = None


@dataclass(frozen=True)
class ExportResult:
    """What was written."""

    shot: str
    frames: int
    files: list[Path]
    start_frame: float
    fps: Fraction


def export_shot(
    production: Production,
    shot: str,
    folder: Path,
    options: ExportOptions,
    *,
    on_progress: OnProgress | None = None,
) -> ExportResult:
    """Write one solved shot in every format asked for, and SHOT.json beside them with what made them.

    Each file appears whole or not at all, in flat memory; one that is there is replaced.

    Raises:
        StoreError: the shot is not solved, or its store is damaged or of another template.
        PointCacheError: a format's library is missing, or a position is not finite.
        Cancelled: `on_progress` answered False.
    """
    actor = production.actors[production.shots[shot].actor]
    path = production.paths.vertices(actor.name, shot)
    if not path.exists():
        raise StoreError(
            f"{shot} is not solved",
            remedy=f"farm submit infer --actor {actor.name}",
            file=str(path),
        )
    store, template = open_vertices(path), read_template(actor.template)
    facts = store.attributes
    if facts.get("topology_sha256") != template.topology_sha256:
        raise StoreError(
            f"{shot} was solved on another template than the actor's present one",
            remedy="put the old template back, or solve the shot again",
            file=str(path),
        )
    given = facts.get("start_frame", 0)
    start_frame = float(given if options.start_frame is None else options.start_frame)
    total = store.frames * len(options.formats)
    done = 0

    def read(start: int, stop: int) -> NDArray[np.float32]:
        nonlocal done
        report(on_progress, Progress("export", min(done, total), total))
        done += stop - start
        return store.read("positions", start, stop)

    animation = Animation(
        name=shot,
        frames=store.frames,
        fps=Fraction(str(facts["fps"])),
        template=template,
        read=read,
        source_units=str(facts["units"]),
        units=options.units or str(facts["units"]),
        up_axis=options.up_axis,
        start_frame=start_frame,
        confidence=_confidence(store),
        about=f"{shot}, solved by {facts.get('model')}, model of {actor.name}",
    )
    files = []
    for name in options.formats:
        written = folder / f"{shot}{FORMATS[name].suffix}"
        FORMATS[name].write(written, animation)
        files.append(written)
    told = {
        "schema_version": SCHEMA_VERSION,
        "shot": shot,
        "actor": actor.name,
        "files": [file.name for file in files],
        "frames": animation.frames,
        "vertices": template.vertex_count,
        "fps": str(animation.fps),
        "start_frame": start_frame,
        "units": animation.units,
        "up_axis": animation.up_axis,
        "topology_sha256": template.topology_sha256,
        "model": facts.get("model"),
        "job": facts.get("job"),
        "solved": facts.get("made"),
        "made": made(),
    }
    write_text_atomically(folder / f"{shot}.json", json.dumps(told, indent=1) + "\n")
    report(on_progress, Progress("export", total, total))
    return ExportResult(shot, animation.frames, files, start_frame, animation.fps)


def _confidence(store: GroupReader) -> NDArray[np.float32] | None:
    """A figure a frame; None where none was estimated."""
    confidence = store.read("confidence")
    return confidence if np.isfinite(confidence).any() else None
