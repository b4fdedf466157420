"""Footage: a shot's pictures, streamed as cropped 240×320 luma with their times.

Decoding is the whole cost: the crop, the area filter and the gray come out of a filter graph that
never touches the rest of the picture, and memory does not grow with length. Frames are counted by
decoding, never believed from the header.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from facecap_core.errors import FootageError, FootageUnreadable, PictureSizeError
from facecap_core.footage.filtered_pictures import FilteredPicture, filtered
from facecap_core.footage.frame_clock import FrameClock
from facecap_core.footage.frame_seek import key_picture_before, pictures_from
from facecap_core.footage.hardware_decoder import choose_device
from facecap_core.footage.image_sequence import find_image_sequence, is_pattern
from facecap_core.footage.orientation import LumaArray, Rectangle
from facecap_core.footage.picture import (
    LUMA_HEIGHT,
    LUMA_WIDTH,
    PictureFilter,
    check_crop,
)
from facecap_core.footage.source import Source
from facecap_core.footage.split_decoding import split
from facecap_core.footage.video_container import open_video
from facecap_core.footage.video_file import VideoFile


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


class Footage:
    """A shot's pictures at the production's frame rate, in one pass of flat memory.

    `crop` is (x, y, width, height) in pixels of the displayed picture, `picture_size` the required
    (width, height), `threads` the number of decoding threads; one gives the most per core. Several
    take a segment each where key pictures allow it, else the codec divides pictures among them. With
    `hardware`, a device of the machine decodes where there is one that gives the same pictures faster
    than a thread; damage inside of pictures then stays unseen. `decoder` says for a log what decodes.

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
        hardware: bool = False,
    ) -> None:
        if fps <= 0:
            raise ValueError(f"the frame rate must be positive, not {fps}")
        self._crop = crop
        self._fps = fps
        self._threads = threads
        self._faster: Callable[[], Generator[FilteredPicture, None, None]] | None = None
        self.decoder = "one thread"
        video = not is_pattern(path)
        if threads > 1:
            self.decoder = f"{threads} threads in the codec"
            if video and (way := split(Path(path), threads)):
                self._faster = functools.partial(way.pictures, self._filter)
                self.decoder = f"{threads} threads, a segment each"
        # Opening decodes the first pictures, so the first pass goes on where opening ends.
        self._source: Source | None = Source(Path(path), 1 if self._faster else threads)
        self.info = self._source.info
        try:
            self._check(picture_size)
            if hardware and video:
                choice = choose_device(Path(path), self._filter)
                if choice.device:
                    self._faster = functools.partial(self._by_device, choice.device)
                    self.decoder = choice.device
                self.decoder += f" ({choice.reason})"
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Footage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close a file that was opened and not read; reading closes it by itself."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def __iter__(self) -> Generator[Frame, None, None]:
        source, self._source = self._source or Source(self.info.path, self._threads), None
        count, last = 0, None
        with closing(source):
            if self._faster is None:
                yield from self._timed(filtered(source.pictures(), self._filter), source.video)
                return
            source.close()  # its decoder has done what it was for
            try:
                with closing(self._timed(self._faster(), source.video)) as frames:
                    for last in frames:
                        yield last
                        count += 1
                return
            except FootageError:
                pass  # whether it is damaged, and where, shows when all is decoded in one
        with closing(Source(self.info.path, self._threads)) as source:
            frames = self._timed(filtered(source.pictures(), self._filter), source.video)
            for index, frame in enumerate(frames):
                if index >= count:
                    yield frame
                elif index == count - 1 and last and frame.pts_seconds != last.pts_seconds:
                    raise FootageUnreadable(
                        f"decoded by {self.decoder} it has other pictures than by one",
                        remedy="ingest the shot with --cpus 1",
                        file=self.info.path,
                    )

    def frames_from(self, first: int) -> Generator[Frame, None, None]:
        """The pictures from a frame on; videos are decoded from a key picture near before it, where one can be relied on.

        Raises the errors of iterating, as far as these pictures show them.
        """
        if first == 0:
            yield from self
            return
        if is_pattern(self.info.path):
            sequence = find_image_sequence(self.info.path)
            pictures = sequence.pictures(self._threads, first)
            yield from self._timed(filtered(pictures, self._filter), None, first)
            return
        with closing(self._source or Source(self.info.path)) as source:
            self._source, first_pts = None, source.first_pts
        with open_video(self.info.path) as video:
            key = key_picture_before(video, first, first_pts, self._fps)
        with open_video(self.info.path, self._threads) as video:
            pictures = pictures_from(video, first, first_pts, self._fps, key)
            yield from self._timed(filtered(pictures, self._filter), video, first, first_pts)

    def _by_device(self, device: str) -> Generator[FilteredPicture, None, None]:
        with closing(Source(self.info.path, 1, device)) as source:
            yield from filtered(source.pictures(), self._filter)

    def _timed(
        self,
        pictures: Generator[FilteredPicture, None, None],
        video: VideoFile | None,
        first: int = 0,
        first_pts: int | None = None,
    ) -> Generator[Frame, None, None]:
        with closing(pictures):
            clock = FrameClock(video, self._fps, first_pts) if video else None
            for index, (luma, pts) in enumerate(pictures, first):
                seconds = clock.seconds(index, pts) if clock else float(index / self._fps)
                yield Frame(seconds, luma)

    def _filter(self, first: av.VideoFrame) -> PictureFilter:
        return PictureFilter(self._crop, first, codec=self.info.codec, file=self.info.path)

    def batches(self, size: int, first: int = 0) -> Generator[FrameBatch, None, None]:
        """The frames from `first` on in batches of `size`; the last may be smaller. Each has memory of its own."""
        luma = np.empty((size, LUMA_HEIGHT, LUMA_WIDTH), dtype=np.uint8)
        pts_seconds = np.empty(size, dtype=np.float64)
        count = 0
        with closing(self.frames_from(first)) as frames:
            for frame in frames:
                luma[count] = frame.luma
                pts_seconds[count] = frame.pts_seconds
                count += 1
                if count == size:
                    yield FrameBatch(pts_seconds, luma)
                    luma, pts_seconds, count = np.empty_like(luma), np.empty_like(pts_seconds), 0
        if count:
            yield FrameBatch(pts_seconds[:count].copy(), luma[:count].copy())

    def _check(self, picture_size: tuple[int, int] | None) -> None:
        size = self.info.picture_size
        if picture_size is not None and size != tuple(picture_size):
            raise PictureSizeError(
                f"the picture is {size[0]}x{size[1]}, and must be "
                f"{picture_size[0]}x{picture_size[1]}",
                remedy="render the shot in the size of the footage that the model was trained on",
                file=self.info.path,
            )
        check_crop(self._crop, size, self.info.path)
