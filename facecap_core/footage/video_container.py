"""Video container: opens a local video file safely, and refuses what is cut short or is none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from facecap_core.errors import FootageEmpty, FootageMissing, FootageTruncated, FootageUnreadable
from facecap_core.footage.picture import MAX_PIXELS, check_size
from facecap_core.footage.video_file import COPY_AGAIN, VideoFile, reason_of

# Containers that hold their pictures themselves. Playlists and scripts (hls, dash, concat, imf, sdp)
# are left out: footage is never allowed to name other files or addresses.
_CONTAINERS = [
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
]
_MAX_BOXES = 100_000  # fragmented recordings have two a second or so
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(_CONTAINERS),
    "max_pixels": str(MAX_PIXELS),
}


@contextmanager
def open_video(
    path: str | Path, threads: int = 1, device: str | None = None
) -> Iterator[VideoFile]:
    """Open a local video file, and close it at the end of the context whatever happens.

    With a `device`, as FFmpeg names it, that decodes and no other: what it cannot is unreadable.

    Raises FootageMissing, FootageEmpty, FootageTruncated, FootageUnreadable, PictureSizeError.
    """
    path = Path(path)
    size = _check_file(path)
    try:
        _check_boxes(path, size)
        # "file:" and the lists in the options: a name such as concat:a|b or http://… stays a name.
        container = av.open(
            f"file:{os.path.abspath(path)}", options=_OPTIONS, hwaccel=_accelerator(device)
        )
    except (av.error.FFmpegError, OSError, RuntimeError) as error:  # RuntimeError: of the device
        raise FootageUnreadable(
            f"this is not a video file that can be read ({reason_of(error)})",
            remedy="name a video file (playlists are not followed), or an image sequence such as "
            "shot.%04d.png",
            file=path,
        ) from error
    try:
        stream = _choose_stream(path, container)
        context = stream.codec_context
        if not context.width or not context.height:
            raise FootageUnreadable(
                f"no picture of the {context.name} stream can be decoded",
                remedy=COPY_AGAIN,
                file=path,
            )
        check_size(context.width, context.height, path)
        _check_index(path, size, container, stream)
        context.thread_count = threads
        if threads > 1:
            context.thread_type = "AUTO"
        context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "crccheck+explode"}
        yield VideoFile(path, container, stream)
    finally:
        container.close()


def _accelerator(device: str | None) -> HWAccel | None:
    return HWAccel(device, allow_software_fallback=False) if device else None


def _check_file(path: Path) -> int:
    """The file's size in bytes."""
    correct = "correct the path in shots.csv"
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise FootageMissing("there is no such file", remedy=correct, file=path) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FootageMissing(
            f"the file cannot be reached ({reason_of(error)})", remedy=correct, file=path
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise FootageMissing(
            "this is a folder",
            remedy="name a video file, or an image sequence such as folder/shot.%04d.png",
            file=path,
        )
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device would never end
        raise FootageUnreadable("this is not a file", remedy="name a video file", file=path)
    if status.st_size == 0:
        raise FootageEmpty("the file has no bytes", remedy=COPY_AGAIN, file=path)
    return status.st_size


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
            remedy=COPY_AGAIN,
            file=path,
        )


def _check_boxes(path: Path, size: int) -> None:
    """MP4 and MOV are a row of boxes with their lengths, and the one with the index is needed.

    Raises FootageTruncated; files of other kinds pass.
    """
    position = 0
    indexed = False
    with path.open("rb") as file:
        for _ in range(_MAX_BOXES):
            file.seek(position)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if position == 0 and kind not in {b"ftyp", b"wide", b"mdat", b"free", b"skip"}:
                return
            indexed |= kind in {b"moov", b"moof"}
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8:  # the end; or 0, a last box that reaches to the end
                break
            if position + length > size and kind in {b"moov", b"moof", b"mdat"}:
                raise _cut_short(path, size, f"inside its '{kind.decode()}' box")
            position += length
    if not indexed:
        raise _cut_short(path, size, "before its index (moov)")


def _cut_short(path: Path, size: int, where: str) -> FootageTruncated:
    return FootageTruncated(
        f"the file ends after {size} bytes, {where}",
        remedy=f"the recording or the copy was cut short; {COPY_AGAIN}",
        file=path,
    )
