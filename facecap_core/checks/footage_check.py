"""Footage check: whether a video can be ingested, found without decoding more than its first picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from facecap_core.errors import FacecapError, Fault
from facecap_core.footage.footage import Footage
from facecap_core.footage.frame_clock import FrameClock
from facecap_core.footage.image_sequence import find_image_sequence, is_pattern
from facecap_core.footage.picture import check_crop
from facecap_core.footage.source import FootageInfo, count_packets, pixel_aspect, probe
from facecap_core.footage.video_container import open_video
from facecap_core.frame_names import FrameNames

ASPECT_TOLERANCE = 0.01
Crop = tuple[int, int, int, int]  # x, y, width, height


@dataclass(frozen=True)
class FootageFacts:
    """A video as found: frames counted by demuxing, size as displayed, and what is wrong."""

    path: Path
    frames: int | None = None
    picture_size: tuple[int, int] | None = None  # width, height
    codec: str = ""
    start: int | None = (
        None  # the first picture's file number, or frames by its timecode; None: not known
    )
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def check_footage(path: Path, *, crop: Crop, fps: Fraction) -> FootageFacts:
    """Look at a video or an image sequence the way ingest will; what is wrong is not raised."""
    try:
        info = probe(path)
    except FacecapError as error:
        return FootageFacts(path, faults=(error.fault,))
    names = FrameNames(fps, start_timecode=info.start_timecode)
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
        warnings += _aspect_warnings(path, info)
        warnings += _interlace_warnings(path, info)
        warnings += _log_warnings(path)
    except FacecapError as error:
        faults.append(error.fault)
    try:
        check_crop(crop, info.picture_size, path)
        if not faults:
            with closing(iter(Footage(path, crop=crop, fps=fps))) as pictures:
                next(pictures)
    except FacecapError as error:
        faults.append(error.fault)
    return FootageFacts(
        path,
        frames,
        info.picture_size,
        info.codec,
        info.start_frame if is_pattern(path) else names.start,
        tuple(faults),
        tuple(warnings),
    )


def _aspect_warnings(path: Path, info: FootageInfo) -> Iterator[Fault]:
    """Of pixels that players show wider or narrower than high, which nothing here does."""
    aspect = pixel_aspect(path)
    if aspect is None or abs(aspect - 1) < ASPECT_TOLERANCE:
        return
    if info.rotation_degrees in (90, 270):
        aspect = 1 / aspect
    message = (
        f"its pixels are {float(aspect):.3g} times as wide as high (anamorphic), which is not applied:"
        " crops count stored pixels, and the network and reviews see the face out of shape"
    )
    remedy = "leave it where all footage of the camera is alike, else export it with square pixels"
    yield Fault(message, remedy, str(path))


def _interlace_warnings(path: Path, info: FootageInfo) -> Iterator[Fault]:
    """A warning only, since progressive pictures in an interlaced stream (PsF) are as good as any."""
    if info.interlaced:
        message = "its pictures are interlaced: odd rows show another moment than even ones, and the network sees both"
        remedy = "deinterlace it to one picture a frame, unless both are of one moment (PsF)"
        yield Fault(message, remedy, str(path))


def _log_warnings(path: Path) -> Iterator[Fault]:
    """A warning only, since a network learns flat pictures too, as long as all are flat."""
    if is_pattern(path) and find_image_sequence(path).logarithmic:
        message = "its levels are logarithmic (Cineon), which is not undone: the network and reviews see flat pictures"
        remedy = "leave it where all footage of the camera is alike, else export it for a monitor (sRGB, BT.709)"
        yield Fault(message, remedy, str(path))


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
