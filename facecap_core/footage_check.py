"""Footage check: whether a video can be ingested, found without decoding more than its first picture."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from facecap_core.errors import FacecapError, Fault, FootageMissing
from facecap_core.footage import Footage, count_packets, probe
from facecap_core.names import nearest
from facecap_core.picture import check_crop
from facecap_core.production_toml import rates_agree

Crop = tuple[int, int, int, int]  # x, y, width, height


@dataclass(frozen=True)
class FootageFacts:
    """A video as found: frames counted by demuxing, size as displayed, and what is wrong."""

    path: Path
    frames: int | None = None
    picture_size: tuple[int, int] | None = None  # width, height
    codec: str = ""
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def check_footage(path: Path, *, crop: Crop, fps: Fraction) -> FootageFacts:
    """Look at a video or an image sequence the way ingest will; what is wrong is not raised."""
    try:
        info = probe(path)
    except FootageMissing as error:
        return FootageFacts(path, faults=(with_neighbour(error.fault, path),))
    except FacecapError as error:
        return FootageFacts(path, faults=(error.fault,))
    faults: list[Fault] = []
    warnings: list[Fault] = []
    frames = None
    try:
        frames = count_packets(path)
    except FacecapError as error:
        faults.append(error.fault)
    if frames is not None and info.frames_from_header not in (None, frames):
        # No fault: an edit list hides pictures too, and ingest tells the two apart by decoding.
        message = f"its header counts {info.frames_from_header} frames, {frames} were found"
        warnings.append(Fault(message, "see that it was copied whole", str(path)))
    if info.fps is not None and not rates_agree(info.fps, fps):
        message = f"it runs at {_rate(info.fps)} frames/s, the production at {_rate(fps)}"
        remedy = "export it at the production's rate, or correct fps in production.toml"
        faults.append(Fault(message, remedy, str(path)))
    try:
        check_crop(crop, info.picture_size, path)
        with closing(iter(Footage(path, crop=crop, fps=fps))) as pictures:
            next(pictures)
    except FacecapError as error:
        faults.append(error.fault)
    return FootageFacts(path, frames, info.picture_size, info.codec, tuple(faults), tuple(warnings))


def _rate(fps: Fraction) -> str:
    return str(fps) if fps.denominator == 1 else f"{float(fps):.6g}"


def with_neighbour(fault: Fault, path: Path) -> Fault:
    """The fault of a missing file; where another beside it has nearly its name, the remedy says so."""
    if "\\" in path.name:
        return replace(fault, remedy="write / between folders, not \\")
    try:
        match = nearest(path.name, (member.name for member in path.parent.iterdir()))
    except OSError:
        return fault
    # A pattern is like each of its own files, and was not meant to be one of them.
    usable = match is not None and "%" not in path.name
    return replace(fault, remedy=f"did you mean {match}?") if usable else fault
