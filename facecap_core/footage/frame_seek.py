"""Frame seek: a video's pictures from a frame on, without decoding all those before it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from fractions import Fraction

from facecap_core.footage.key_pictures import WHOLE, KeyPicture, Segment
from facecap_core.footage.video_file import TimedPicture, VideoFile

STEP_PICTURES = 48  # further back at each try; a try costs less than a picture


def key_picture_before(
    video: VideoFile, frame: int, first_pts: int | None, fps: Fraction
) -> KeyPicture | None:
    """A key picture at most STEP_PICTURES before the last one up to a frame; None: decode from the start.

    The file is opened for this alone: its place in it is lost.

    Args:
        first_pts: the time stamp of frame 0.
        fps: which the footage has throughout (`FrameClock`).
    """
    start, back = video.stream.start_time, STEP_PICTURES
    if first_pts is None or start is None:
        return None
    pts = round(first_pts + frame * _ticks(video, fps))
    while (ticks := video.ticks_after(pts, -back)) is not None and ticks > start:
        key = video.key_picture_from(ticks)
        if key is not None and key.pts <= pts:
            return key
        back += STEP_PICTURES
    return None


def pictures_from(
    video: VideoFile, frame: int, first_pts: int | None, fps: Fraction, key: KeyPicture | None
) -> Generator[TimedPicture, None, None]:
    """The pictures of a file just opened from a frame on, bit for bit those of decoding from the start.

    Args:
        key: what `key_picture_before` says of the frame.

    Raises:
        FootageError: by its named kinds; what it says of pictures counts from where decoding began.
    """
    with closing(video.pictures(Segment(key) if key else WHOLE)) as pictures:
        for number, picture in enumerate(pictures):
            if key is not None and picture.pts is not None and first_pts is not None:
                number = round((picture.pts - first_pts) / _ticks(video, fps))
            if number >= frame:
                yield picture


def _ticks(video: VideoFile, fps: Fraction) -> float:
    """Of a frame."""
    return 1 / (float(fps) * video.tick_seconds)
