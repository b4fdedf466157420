"""Footage check: whether a video can be ingested, found without decoding more than its first picture."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from facecap_core.errors import FacecapError, Fault
from facecap_core.footage.footage import Footage
from facecap_core.footage.frame_clock import FrameClock
from facecap_core.footage.image_sequence import is_pattern
from facecap_core.footage.picture import check_crop
from facecap_core.footage.source import count_packets, probe
from facecap_core.footage.video_container import open_video

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
    except FacecapError as error:
        return FootageFacts(path, faults=(error.fault,))
    faults: list[Fault] = []
    warnings: list[Fault] = []
    frames = None
    try:
        frames = count_packets(path)
        if info.frames_from_header not in (None, frames):
            # No fault: an edit list hides pictures too, and ingest tells the two apart by decoding.
            message = f"its header counts {info.frames_from_header} frames, {frames} are shown"
            remedy = "see that it was copied whole, and that the cache counts the same frames"
            warnings.append(Fault(message, remedy, str(path)))
        _check_times(path, fps)
    except FacecapError as error:
        faults.append(error.fault)
    try:
        check_crop(crop, info.picture_size, path)
        if not faults:
            with closing(iter(Footage(path, crop=crop, fps=fps))) as pictures:
                next(pictures)
    except FacecapError as error:
        faults.append(error.fault)
    return FootageFacts(path, frames, info.picture_size, info.codec, tuple(faults), tuple(warnings))


def _check_times(path: Path, fps: Fraction) -> None:
    """Hold the packets' times against the production's rate, as ingest will hold the pictures'.

    Raises FrameRateError: another rate, a variable rate, or frames that were dropped.
    """
    if is_pattern(path):
        return
    with open_video(path) as video:
        stamps = [video.stamp(packet) for packet in video.packets()]
        clock = FrameClock(video, fps)
        for index, stamp in enumerate(sorted(stamp for stamp in stamps if stamp is not None)):
            clock.seconds(index, stamp)
