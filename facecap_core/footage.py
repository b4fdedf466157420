"""Footage: a shot's pictures, streamed as cropped 240×320 luma with their times.

Decoding is the whole cost: the crop, the area filter and the gray come out of a filter graph that
never touches the rest of the picture, and memory does not grow with length. Frames are counted by
decoding, never believed from the header.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from facecap_core.errors import PictureSizeError
from facecap_core.frame_clock import FrameClock
from facecap_core.image_sequence import find_image_sequence, is_pattern
from facecap_core.picture import (
    LUMA_HEIGHT,
    LUMA_WIDTH,
    LumaArray,
    PictureFilter,
    Rectangle,
    check_crop,
    is_limited_range,
    orientation_of,
)
from facecap_core.video_container import open_video


@dataclass(frozen=True)
class FootageInfo:
    """What a look at the first picture tells. `picture_size` is (width, height) as displayed."""

    path: Path
    picture_size: tuple[int, int]
    fps: Fraction | None  # as declared; None: not declared
    codec: str
    pixel_format: str
    colour_range: str  # "full" or "limited"
    rotation_degrees: int  # clockwise, already undone in picture_size
    frames_from_header: int | None
    sample_aspect_ratio: Fraction | None = None  # exposed, not applied
    interlaced: bool = False  # exposed; the fields are taken as they are woven


@dataclass(frozen=True)
class Frame:
    """A picture for the network: luma uint8 [y=320, x=240], full range."""

    pts_seconds: float
    luma: LumaArray


@dataclass(frozen=True)
class FrameBatch:
    """Successive pictures: pts_seconds float64 [frame], luma uint8 [frame, y=320, x=240]."""

    pts_seconds: npt.NDArray[np.float64]
    luma: LumaArray


def probe(path: str | Path) -> FootageInfo:
    """Open the footage and decode its first picture.

    Raises FootageMissing, FootageUnreadable, FootageEmpty, FootageTruncated, PictureSizeError.
    """
    path = Path(path)
    if is_pattern(path):
        sequence = find_image_sequence(path)
        with closing(sequence.frames()) as frames:
            first = next(frames)
        return _describe(path, first, sequence.codec, frames_from_header=len(sequence.files))
    with open_video(path) as video, closing(video.pictures()) as pictures:
        first = next(pictures).picture
        return _describe(
            path,
            first,
            video.codec,
            fps=video.declared_fps,
            frames_from_header=video.frames_from_header,
            sample_aspect_ratio=video.stream.sample_aspect_ratio,
        )


def count_packets(path: str | Path) -> int:
    """The number of pictures by reading packets (or listing files), without decoding any.

    Cheap, and right for nearly all footage; where a codec packs hidden pictures it is an estimate.
    Raises the errors of `probe`, as far as they show without decoding.
    """
    if is_pattern(path):
        return len(find_image_sequence(path).files)
    with open_video(path) as video:
        return sum(1 for _ in video.packets())


def _describe(
    path: Path,
    first: av.VideoFrame,
    codec: str,
    *,
    fps: Fraction | None = None,
    frames_from_header: int | None = None,
    sample_aspect_ratio: Fraction | None = None,
) -> FootageInfo:
    orientation = orientation_of(first, path)
    return FootageInfo(
        path=path,
        picture_size=orientation.displayed_size(first.width, first.height),
        fps=fps,
        codec=codec,
        pixel_format=first.format.name,
        colour_range="limited" if is_limited_range(first, codec) else "full",
        rotation_degrees=orientation.clockwise_degrees,
        frames_from_header=frames_from_header,
        sample_aspect_ratio=sample_aspect_ratio or None,
        interlaced=first.interlaced_frame,
    )


class Footage:
    """A shot's pictures at the production's frame rate, in one pass of flat memory.

    `crop` is (x, y, width, height) in pixels of the displayed picture, `picture_size` the required
    (width, height), `threads` the number of decoding threads; one gives the most per core.

    Opening raises what `probe` does, and CropOutsidePicture and PictureSizeError. Iterating
    also raises FrameRateError, and FootageTruncated when pictures are damaged or missing.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        crop: Rectangle,
        fps: Fraction,
        picture_size: tuple[int, int] | None = None,
        threads: int = 1,
    ) -> None:
        if fps <= 0:
            raise ValueError(f"the frame rate must be positive, not {fps}")
        self.info = probe(path)
        self._crop = crop
        self._fps = fps
        self._threads = threads
        if picture_size is not None and self.info.picture_size != tuple(picture_size):
            raise PictureSizeError(
                "the picture is {}x{}, and must be {}x{}".format(
                    *self.info.picture_size, *picture_size
                ),
                remedy="render the shot in the size of the footage that the model was trained on",
                file=self.info.path,
            )
        check_crop(crop, self.info.picture_size, self.info.path)

    def __iter__(self) -> Generator[Frame, None, None]:
        pictures = self._sequence() if is_pattern(self.info.path) else self._video()
        picture_filter: PictureFilter | None = None
        with closing(pictures):
            for pts_seconds, picture in pictures:
                if picture_filter is None:
                    picture_filter = PictureFilter(
                        self._crop, picture, codec=self.info.codec, file=self.info.path
                    )
                yield Frame(pts_seconds, picture_filter(picture))

    def batches(self, size: int) -> Generator[FrameBatch, None, None]:
        """The frames in batches of `size`; the last may be smaller. Each has memory of its own."""
        luma = np.empty((size, LUMA_HEIGHT, LUMA_WIDTH), dtype=np.uint8)
        pts_seconds = np.empty(size, dtype=np.float64)
        count = 0
        with closing(self.__iter__()) as frames:
            for frame in frames:
                luma[count] = frame.luma
                pts_seconds[count] = frame.pts_seconds
                count += 1
                if count == size:
                    yield FrameBatch(pts_seconds, luma)
                    luma, pts_seconds, count = np.empty_like(luma), np.empty_like(pts_seconds), 0
        if count:
            yield FrameBatch(pts_seconds[:count].copy(), luma[:count].copy())

    def _sequence(self) -> Generator[tuple[float, av.VideoFrame], None, None]:
        sequence = find_image_sequence(self.info.path)
        for index, picture in enumerate(sequence.frames(self._threads)):
            yield float(index / self._fps), picture

    def _video(self) -> Generator[tuple[float, av.VideoFrame], None, None]:
        with (
            open_video(self.info.path, self._threads) as video,
            closing(video.pictures()) as pictures,
        ):
            clock = FrameClock(video, self._fps)
            for index, timed in enumerate(pictures):
                yield clock.seconds(index, timed.pts), timed.picture
