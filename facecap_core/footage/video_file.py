"""Video file: an open one, its packets counted, its pictures decoded and none lost in silence."""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from facecap_core.errors import FootageEmpty, FootageTruncated, FootageUnreadable
from facecap_core.footage.key_pictures import WHOLE, KeyPicture, Segment, key_picture

COPY_AGAIN = "copy or export the file again from its source"

# Streams without a container: their time stamps are invented by the reader.
_WITHOUT_TIME = frozenset(
    [
        "h264",
        "hevc",
        "vvc",
        "av1",
        "obu",
        "m4v",
        "mpegvideo",
        "mjpeg",
        "mjpeg_2000",
        "dnxhd",
        "vc1",
        "h261",
        "h263",
    ]
)

# Their headers hold a duration; elsewhere FFmpeg estimates one from the end that it finds.
_WITH_DURATION = frozenset({"matroska", "webm", "mxf"})
# Seeking finds the key pictures that they list.
_SEEKABLE = frozenset({"mov", "matroska", "webm"})
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d\d", re.ASCII)
_MISSING_FRAMES = 0.75  # headers round, and less than a frame cannot be missing


class TimedPicture(NamedTuple):
    """A decoded picture and its time stamp in the stream's time base (None: it has none)."""

    picture: av.VideoFrame
    pts: int | None


class VideoFile:
    """An open video file and its first stream of moving pictures (cover art is not one)."""

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self.path = path
        self.stream = stream
        self._container = container
        self.codec = stream.codec_context.name
        self.frames_from_header = stream.frames or None
        self.declared_fps: Fraction | None = stream.average_rate or None
        self.pixel_aspect: Fraction | None = stream.sample_aspect_ratio or None
        formats = set(container.format.name.split(","))
        self.timed = not formats & _WITHOUT_TIME
        # AVI numbers its packets and knows no other time: the n-th picture has the n-th number.
        self._stamped_in_order = "avi" in formats
        self._edited = "mov" in formats  # an edit list may hide pictures that the header counts
        self._seekable = bool(formats & _SEEKABLE)
        self._declared_end_seconds = _declared_end_seconds(container, stream, formats)
        if not self.timed:
            self.declared_fps = None
        self.tick_seconds = float(stream.time_base or 0)
        self.start_timecode = _start_timecode(container, stream)

    def stamp(self, packet: av.Packet) -> int | None:
        """When the packet's picture is shown, in ticks; None: its container does not say."""
        if not self.timed:
            return None
        return packet.dts if self._stamped_in_order else packet.pts

    def packets(self) -> Generator[av.Packet, None, None]:
        """The stream's packets, without those that an edit list hides; raises FootageTruncated."""
        try:
            for packet in self._container.demux(self.stream):
                if packet.size and not packet.is_discard:
                    yield packet
        except (av.error.FFmpegError, OSError) as error:
            raise FootageTruncated(
                f"the file cannot be read to its end ({reason_of(error)})",
                remedy=COPY_AGAIN,
                file=self.path,
            ) from error

    def pictures(self, segment: Segment = WHOLE) -> Generator[TimedPicture, None, None]:
        """Decode all pictures, or those of a segment, in the order of display.

        Raises FootageUnreadable (the first does not decode), FootageEmpty (there is none) and
        FootageTruncated (a later one does not decode, or the file ends early).
        """
        count = 0
        last_pts: int | None = None
        stamps = _Stamps(self._stamped_in_order)
        try:
            for packet in self._packets_to_decode(segment):
                if packet is not None and not packet.is_discard:
                    stamp = self.stamp(packet)
                    if segment.holds(stamp):
                        stamps.add(stamp)
                for picture in self.stream.decode(packet):
                    assert isinstance(picture, av.VideoFrame)
                    if picture.is_corrupt:
                        raise _damaged(self.path, count, "marked as corrupt")
                    if not segment.holds(picture.pts):
                        continue
                    last_pts = stamps.take_first() if self._stamped_in_order else picture.pts
                    lost = self.timed and stamps.lost_before(last_pts)
                    # Before the first picture: no player shows those without a key picture.
                    # Interlaced: two fields may come in packets of their own.
                    if lost and (count or segment.start) and not picture.interlaced_frame:
                        raise _damaged(self.path, count, "the next does not decode")
                    yield TimedPicture(picture, last_pts if self.timed else None)
                    count += 1
        except (av.error.FFmpegError, OSError) as error:
            raise _damaged(self.path, count, reason_of(error)) from error
        if self.timed and last_pts is not None and stamps.any_after(last_pts):
            raise _damaged(self.path, count, "the rest does not decode")
        if segment is WHOLE:
            self.check_count(count, last_pts)

    def key_picture_from(self, ticks: int) -> KeyPicture | None:
        """The first from a time on where decoding can begin anew; None: there is none to rely on."""
        try:
            packet = next(self._packets_from(ticks))
        except (av.error.FFmpegError, OSError, StopIteration):
            return None
        return key_picture(packet, self.codec, self.stream.codec_context.extradata, ticks)

    def ticks_after(self, pts: int | None, frames: int) -> int | None:
        """When so many frames after a picture (None: the first) is; None: times tell no key pictures."""
        start = self.stream.start_time
        if (
            not self._seekable
            or not self.declared_fps
            or start is None
            or not self.stream.time_base
        ):
            return None
        ticks = frames / self.declared_fps / self.stream.time_base
        return int((start if pts is None else pts) + ticks)

    def check_count(self, count: int, last_pts: int | None) -> None:
        """Raises FootageTruncated when there are fewer pictures than the header says, or none."""
        if self.frames_from_header and count < self.frames_from_header and not self._edited:
            raise FootageTruncated(
                f"the file has {count} pictures, and its header promises {self.frames_from_header}",
                remedy=COPY_AGAIN,
                file=self.path,
            )
        self.check_end(last_pts)
        if count == 0:
            raise FootageEmpty("the file has no pictures", remedy=COPY_AGAIN, file=self.path)

    def check_end(self, last_pts: int | None) -> None:
        """Raises FootageTruncated when the pictures end before the header says."""
        if self._declared_end_seconds is None:
            return
        frame_seconds = float(1 / self.declared_fps) if self.declared_fps else 0.1
        end = 0.0 if last_pts is None else last_pts * self.tick_seconds + frame_seconds
        if end < self._declared_end_seconds - _MISSING_FRAMES * frame_seconds:
            raise FootageTruncated(
                f"the pictures end after {end:.3f} s, and the header promises "
                f"{self._declared_end_seconds:.3f} s",
                remedy=COPY_AGAIN,
                file=self.path,
            )

    def _packets_from(self, ticks: int) -> Iterator[av.Packet]:
        self._container.seek(ticks, stream=self.stream, backward=False)
        return self._container.demux(self.stream)

    def _packets_to_decode(self, segment: Segment) -> Iterator[av.Packet | None]:
        """The packets that the segment's pictures need; None asks the decoder for what it still has."""
        start, end = segment.start, segment.end
        packets = (
            self._packets_from(start.seek_ticks) if start else self._container.demux(self.stream)
        )
        ending = False
        for number, packet in enumerate(packets):
            if start and number == 0 and packet.pts != start.pts:
                raise _damaged(self.path, 0, "its key picture is not where it was")
            if end and packet.size:
                if packet.is_keyframe and packet.pts == end.pts:
                    ending = True
                    if not end.open:
                        break
                elif ending and packet.pts is not None and packet.pts > end.pts:
                    break
            if packet.size:
                yield packet
        if end and not ending:
            raise _damaged(self.path, 0, "its key picture is not where it was")
        yield None


class _Stamps:
    """The time stamps of packets whose pictures have not come out of the decoder yet."""

    def __init__(self, taken_in_order: bool) -> None:
        self._in_order: deque[int | None] | None = deque() if taken_in_order else None
        self._by_time: list[int] = []  # a heap

    def add(self, stamp: int | None) -> None:
        if self._in_order is not None:
            self._in_order.append(stamp)
        if stamp is not None:
            heapq.heappush(self._by_time, stamp)

    def take_first(self) -> int | None:
        return self._in_order.popleft() if self._in_order else None

    def lost_before(self, pts: int | None) -> bool:
        """Forget all up to `pts`, and whether there were any before it."""
        lost = False
        while pts is not None and self._by_time and self._by_time[0] <= pts:
            lost |= heapq.heappop(self._by_time) < pts
        return lost

    def any_after(self, pts: int) -> bool:
        return any(stamp > pts for stamp in self._by_time)


def _start_timecode(container: InputContainer, stream: VideoStream) -> str | None:
    """Of the first picture, HH:MM:SS:FF or HH:MM:SS;FF; None where the file does not say."""
    tracks = (one.metadata for one in container.streams.data)  # a timecode track of its own
    for tags in (stream.metadata, container.metadata, *tracks):
        for name, text in tags.items():
            if name.lower() == "timecode" and _TIMECODE.fullmatch(text):
                return text.replace(".", ";")  # both mark dropped numbers
    return None


def _declared_end_seconds(
    container: InputContainer, stream: VideoStream, formats: set[str]
) -> float | None:
    """When the header says that the pictures end; None where it does not, or is only a guess."""
    if not formats & _WITH_DURATION:
        return None
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    if len(container.streams) == 1 and container.duration:
        return container.duration / av.time_base
    return None


def _damaged(path: Path, count: int, reason: str) -> Exception:
    if count == 0:
        return FootageUnreadable(
            f"the first picture does not decode ({reason})", remedy=COPY_AGAIN, file=path
        )
    return FootageTruncated(
        f"the file is damaged after picture {count - 1} ({reason})", remedy=COPY_AGAIN, file=path
    )


def reason_of(error: Exception) -> str:
    """What FFmpeg or the system says, without numbers and file name."""
    return getattr(error, "strerror", None) or str(error)
