"""Source: open footage, video file or image sequence, whose first picture tells what it is."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from facecap_core.footage.image_sequence import find_image_sequence, is_pattern, refuse_one_picture
from facecap_core.footage.orientation import orientation_of
from facecap_core.footage.video_container import open_video
from facecap_core.footage.video_file import TimedPicture, VideoFile


@dataclass(frozen=True)
class FootageInfo:
    """What a look at the first picture tells. `picture_size` is (width, height) as displayed."""

    path: Path
    picture_size: tuple[int, int]
    fps: Fraction | None  # as declared; None: not declared
    codec: str
    pixel_format: str
    rotation_degrees: int  # clockwise, already undone in picture_size
    frames_from_header: int | None
    start_frame: int = 0  # of an image sequence the number of its first file
    start_timecode: str | None = None  # of the first picture, as the file says it
    interlaced: bool = False  # the first picture, as its file says

    @property
    def start(self) -> dict[str, Any]:
        """What stores say of the first picture: `start_frame`, and `start_timecode` where it has one."""
        timecode = self.start_timecode
        said = {} if timecode is None else {"start_timecode": timecode}
        return {"start_frame": self.start_frame, **said}


class Source:
    """Open footage. Its first picture is decoded at once, for the info, and comes again first."""

    def __init__(self, path: Path, threads: int = 1, device: str | None = None) -> None:
        self._path = path
        self.video: VideoFile | None = None
        with ExitStack() as stack:
            self._start_frame = 0
            if is_pattern(path):
                sequence = find_image_sequence(path)
                self._start_frame = sequence.first_number
                self.codec = sequence.codec
                self._pictures = sequence.pictures(threads)
                self._count: int | None = len(sequence.files)
            else:
                refuse_one_picture(path)
                self.video = stack.enter_context(open_video(path, threads, device))
                self.codec = self.video.codec
                self._pictures = self.video.pictures()
                self._count = self.video.frames_from_header
            stack.callback(self._pictures.close)
            self._first = next(self._pictures)
            self.info = self._describe(self._first.picture)
            self._stack = stack.pop_all()

    @property
    def first_pts(self) -> int | None:
        """The first picture's time stamp, in ticks."""
        return self._first.pts

    def pictures(self) -> Generator[TimedPicture, None, None]:
        """All pictures; once."""
        yield self._first
        yield from self._pictures

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def _describe(self, first: av.VideoFrame) -> FootageInfo:
        orientation = orientation_of(first, self._path)
        return FootageInfo(
            path=self._path,
            picture_size=orientation.displayed_size(first.width, first.height),
            fps=self.video.declared_fps if self.video else None,
            codec=self.codec,
            pixel_format=first.format.name,
            rotation_degrees=orientation.clockwise_degrees,
            frames_from_header=self._count,
            start_frame=self._start_frame,
            start_timecode=self.video.start_timecode if self.video else None,
            interlaced=first.interlaced_frame,
        )


def probe(path: str | Path) -> FootageInfo:
    """Open the footage and decode its first picture.

    Raises FootageMissing, FootageUnreadable, FootageEmpty, FootageTruncated, PictureSizeError.
    """
    with closing(Source(Path(path))) as source:
        return source.info


def count_packets(path: str | Path) -> int:
    """The number of pictures by reading packets (or listing files), without decoding any.

    Cheap, and right for nearly all footage; where a codec packs hidden pictures it is an estimate.
    Raises the errors of `probe`, as far as they show without decoding.
    """
    if is_pattern(path):
        return len(find_image_sequence(path).files)
    with open_video(path) as video:
        return sum(1 for _ in video.packets())


def frames_in_head(path: str | Path) -> int | None:
    """The number of pictures as a file says it beforehand (or by listing files), without reading more; None: it does not.

    An edit list may hide some of them. Raises the errors of `probe`, as far as they show so early.
    """
    if is_pattern(path):
        return len(find_image_sequence(path).files)
    with open_video(path) as video:
        return video.frames_from_header


def pixel_aspect(path: str | Path) -> Fraction | None:
    """Width to height of a pixel as players show it, before the picture is turned; None: its file does not say.

    Pictures are read as they are stored, whatever it is. Raises the errors of `probe`.
    """
    if is_pattern(path):
        return find_image_sequence(path).pixel_aspect or None
    with open_video(path) as video:
        return video.pixel_aspect
