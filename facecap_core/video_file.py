"""Video file: opened safely, its packets counted, its pictures decoded and none lost in silence."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from facecap_core.errors import (
    FootageEmpty,
    FootageMissing,
    FootageTruncated,
    FootageUnreadable,
)
from facecap_core.picture import MAX_PIXELS, check_size

# Containers that hold their pictures themselves. Playlists and scripts (hls, dash, concat, imf, sdp)
# are left out: footage is never allowed to name other files or addresses.
_CONTAINERS = (
    "mov",
    "matroska",
    "avi",
    "mxf",
    "mpegts",
    "mpeg",
    "mpegvideo",
    "m4v",
    "h264",
    "hevc",
    "vvc",
    "av1",
    "obu",
    "ivf",
    "flv",
    "asf",
    "nut",
    "ogg",
    "dv",
    "gxf",
    "lxf",
    "yuv4mpegpipe",
    "mjpeg",
    "mjpeg_2000",
    "dnxhd",
    "vc1",
    "h261",
    "h263",
    "apng",
    "gif",
    "wtv",
    "cine",
)
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(_CONTAINERS),
    "max_pixels": str(MAX_PIXELS),
}

# Streams without a container: their time stamps are invented by the reader.
_WITHOUT_TIME = frozenset(
    {
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
    }
)

_COPY_AGAIN = "copy or export the file again from its source"


@dataclass(frozen=True)
class TimedPicture:
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
        self.timed = not (set(container.format.name.split(",")) & _WITHOUT_TIME)
        if not self.timed:
            self.declared_fps = None
        self.tick_seconds = float(stream.time_base or 0)

    def packets(self) -> Generator[av.Packet, None, None]:
        """The stream's packets, without those that an edit list hides; raises FootageTruncated."""
        try:
            for packet in self._container.demux(self.stream):
                if packet.size and not packet.is_discard:
                    yield packet
        except (av.error.FFmpegError, OSError) as error:
            raise FootageTruncated(
                f"the file cannot be read to its end ({_reason(error)})",
                remedy=_COPY_AGAIN,
                file=self.path,
            ) from error

    def pictures(self) -> Generator[TimedPicture, None, None]:
        """Decode all pictures in the order of display.

        Raises FootageUnreadable (the first does not decode), FootageEmpty (there is none) and
        FootageTruncated (a later one does not decode, or the file ends early).
        """
        count = 0
        last_pts: int | None = None
        last_packet_pts: int | None = None
        try:
            for packet in self._container.demux(self.stream):
                if packet.size and not packet.is_discard and packet.pts is not None:
                    last_packet_pts = max(packet.pts, last_packet_pts or packet.pts)
                for picture in packet.decode():
                    assert isinstance(picture, av.VideoFrame)
                    if picture.is_corrupt:
                        raise _damaged(self.path, count, "marked as corrupt")
                    pts = picture.pts if self.timed else None
                    yield TimedPicture(picture, pts)
                    last_pts = pts
                    count += 1
        except (av.error.FFmpegError, OSError) as error:
            raise _damaged(self.path, count, _reason(error)) from error
        if count == 0:
            raise FootageEmpty(
                "no picture can be decoded from the file", remedy=_COPY_AGAIN, file=self.path
            )
        if last_pts is not None and last_packet_pts is not None and last_packet_pts > last_pts:
            raise FootageTruncated(
                f"the last pictures do not decode: {count} do, the rest is damaged or missing",
                remedy=_COPY_AGAIN,
                file=self.path,
            )


@contextmanager
def open_video(path: str | Path, threads: int = 1) -> Iterator[VideoFile]:
    """Open a local video file, and close it at the end of the context whatever happens.

    Raises FootageMissing, FootageEmpty, FootageTruncated, FootageUnreadable, PictureSizeError.
    """
    path = Path(path)
    size = _check_file(path)
    try:
        # "file:" and the lists in the options: a name such as concat:a|b or http://… stays a name.
        container = av.open(
            f"file:{os.path.abspath(path)}",
            options=_OPTIONS,
        )
    except (av.error.FFmpegError, OSError) as error:
        raise _cannot_open(path, size, error) from error
    try:
        stream = _choose_stream(path, container)
        check_size(stream.codec_context.width, stream.codec_context.height, path)
        _check_index(path, size, container, stream)
        context = stream.codec_context
        context.thread_count = threads
        if threads > 1:
            context.thread_type = "AUTO"
        context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode"}
        yield VideoFile(path, container, stream)
    finally:
        container.close()


def _check_file(path: Path) -> int:
    if path.is_dir():
        raise FootageMissing(
            "this is a folder",
            remedy="name a video file, or an image sequence such as folder/shot.%04d.png",
            file=path,
        )
    try:
        if not path.exists():
            size = -1
        elif not path.is_file():  # reading a pipe or a device would never end
            raise FootageUnreadable("this is not a file", remedy="name a video file", file=path)
        else:
            size = path.stat().st_size
    except OSError as error:
        raise FootageMissing(
            f"the file cannot be reached ({_reason(error)})", remedy="correct the path", file=path
        ) from error
    if size < 0:
        raise FootageMissing(
            "there is no such file", remedy="correct the path in shots.csv", file=path
        )
    if size == 0:
        raise FootageEmpty("the file has no bytes", remedy=_COPY_AGAIN, file=path)
    return size


def _choose_stream(path: Path, container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        hidden = Disposition.attached_pic | Disposition.timed_thumbnails
        if not stream.disposition & hidden and stream.codec_context is not None:
            return stream
    raise FootageEmpty(
        f"the file has no moving pictures ({len(container.streams)} other streams)",
        remedy="name the video, not its sound track",
        file=path,
    )


def _check_index(path: Path, size: int, container: InputContainer, stream: VideoStream) -> None:
    """MP4 and MOV say beforehand where every picture lies: none may lie behind the file's end."""
    if "mov" not in container.format.name.split(","):
        return
    lost = sum(entry.pos + entry.size > size for entry in stream.index_entries)
    if lost:
        raise FootageTruncated(
            f"the file ends after {size} bytes, and {lost} of its {len(stream.index_entries)} "
            "pictures lie behind that",
            remedy=_COPY_AGAIN,
            file=path,
        )


def _cannot_open(path: Path, size: int, error: Exception) -> Exception:
    if _is_unfinished_mp4(path, size):
        return FootageTruncated(
            f"the file ends after {size} bytes, before its index (moov)",
            remedy="the recording or the copy was cut short; " + _COPY_AGAIN,
            file=path,
        )
    return FootageUnreadable(
        f"this is not a video file that can be read ({_reason(error)})",
        remedy="name a video file (playlists are not followed), or an image sequence such as "
        "shot.%04d.png",
        file=path,
    )


def _is_unfinished_mp4(path: Path, size: int) -> bool:
    """Whether the file begins as MP4 or MOV, and ends before the box with the index."""
    position = 0
    with path.open("rb") as file:
        for _ in range(1000):
            file.seek(position)
            head = file.read(16)
            kind = head[4:8]
            if position == 0 and kind not in {b"ftyp", b"wide", b"mdat", b"free", b"skip"}:
                return False
            if len(head) < 8:
                return True
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if kind == b"moov":
                return position + length > size
            if length < 8:
                return length == 0
            position += length
    return False


def _damaged(path: Path, count: int, reason: str) -> Exception:
    if count == 0:
        return FootageUnreadable(
            f"the first picture does not decode ({reason})", remedy=_COPY_AGAIN, file=path
        )
    return FootageTruncated(
        f"the file is damaged after picture {count - 1} ({reason})", remedy=_COPY_AGAIN, file=path
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
