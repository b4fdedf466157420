"""Footage: a shot's pictures, streamed as cropped 240×320 luma with their times.

Decoding is the whole cost: the crop, the area filter and the gray come out of a filter graph that
never touches the rest of the picture, and memory does not grow with length. Frames are counted by
decoding, never believed from the header.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from facecap_core.errors import FootageError, FootageUnreadable, PictureSizeError
from facecap_core.footage.filtered_pictures import FilteredPicture, filtered
from facecap_core.footage.frame_clock import FrameClock
from facecap_core.footage.frame_seek import key_picture_before, pictures_from
from facecap_core.footage.hardware_decoder import choose_device
from facecap_core.footage.image_sequence import find_image_sequence, is_pattern
from facecap_core.footage.orientation import LumaArray, Rectangle, orientation_of
from facecap_core.footage.picture import (
    LUMA_HEIGHT,
    LUMA_WIDTH,
    PictureFilter,
    check_crop,
    is_limited_range,
)
from facecap_core.footage.split_decoding import split
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
    colour_range: str  # "full" or "limited"
    rotation_degrees: int  # clockwise, already undone in picture_size
    frames_from_header: int | None
    sample_aspect_ratio: Fraction | None = None  # exposed, not applied
    interlaced: bool = False  # exposed; the fields are taken as they are woven
    start_frame: int = 0  # of an image sequence the number of its first file
    start_timecode: str | None = None  # of the first picture, as the file says it

    @property
    def start(self) -> dict[str, Any]:
        """What stores say of the first picture: `start_frame`, and `start_timecode` where it has one."""
        timecode = self.start_timecode
        said = {} if timecode is None else {"start_timecode": timecode}
        return {"start_frame": self.start_frame, **said}


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
    with closing(_Source(Path(path))) as source:
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


class _Source:
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
            colour_range="limited" if is_limited_range(first, self.codec) else "full",
            rotation_degrees=orientation.clockwise_degrees,
            frames_from_header=self._count,
            sample_aspect_ratio=self.video.stream.sample_aspect_ratio if self.video else None,
            interlaced=first.interlaced_frame,
            start_frame=self._start_frame,
            start_timecode=self.video.start_timecode if self.video else None,
        )


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
        self._source: _Source | None = _Source(Path(path), 1 if self._faster else threads)
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
        source, self._source = self._source or _Source(self.info.path, self._threads), None
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
        with closing(_Source(self.info.path, self._threads)) as source:
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
        with closing(self._source or _Source(self.info.path)) as source:
            self._source, first_pts = None, source.first_pts
        with open_video(self.info.path) as video:
            key = key_picture_before(video, first, first_pts, self._fps)
        with open_video(self.info.path, self._threads) as video:
            pictures = pictures_from(video, first, first_pts, self._fps, key)
            yield from self._timed(filtered(pictures, self._filter), video, first, first_pts)

    def _by_device(self, device: str) -> Generator[FilteredPicture, None, None]:
        with closing(_Source(self.info.path, 1, device)) as source:
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
