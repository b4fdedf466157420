"""Hardware decoder: whether a device of the machine decodes a video faster to the same pictures.

H.264 and HEVC define every bit of a decoded picture, so that a device's are the processor's; that is
looked at all the same. What a device cannot tell is damage inside of pictures: it hides it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.codec.hwaccel import hwdevices_available

from facecap_core.errors import FootageError
from facecap_core.footage.filtered_pictures import Filter
from facecap_core.footage.orientation import LumaArray
from facecap_core.footage.video_container import open_video
from facecap_core.footage.video_file import reason_of

DEVICE = "cuda"  # NVDEC
_COMPARED_PICTURES = 48


@dataclass(frozen=True)
class Choice:
    """The device to decode with (None: the processor), and why, for the log."""

    device: str | None
    reason: str


_choices: dict[tuple[object, ...], Choice] = {}


def choose_device(
    path: Path, make_filter: Callable[[av.VideoFrame], Filter], device: str = DEVICE
) -> Choice:
    """Decode the first pictures both ways and choose; once a process for each kind of video.

    Raises the errors of `open_video`.
    """
    if device not in hwdevices_available():
        return Choice(None, f"FFmpeg was built without {device}")
    with open_video(path) as video:
        context = video.stream.codec_context
        kind = (device, video.codec, context.pix_fmt, context.width, context.height)
    if kind not in _choices:
        _choices[kind] = _compare(path, make_filter, device)
    return _choices[kind]


def _compare(path: Path, make_filter: Callable[[av.VideoFrame], Filter], device: str) -> Choice:
    try:
        by_device, rate = _decode(path, make_filter, device)
    except FootageError as error:
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        return Choice(None, f"{device} does not decode it: {reason_of(cause)}")
    try:
        by_processor, processor_rate = _decode(path, make_filter, None)
    except FootageError:
        return Choice(None, "its first pictures are damaged")
    if not np.array_equal(by_device, by_processor):
        return Choice(None, f"{device} decodes it to other pictures")
    rates = f"{device} {rate:.0f} frames/s, one thread {processor_rate:.0f}"
    return Choice(device if rate > processor_rate else None, rates)


def _decode(
    path: Path, make_filter: Callable[[av.VideoFrame], Filter], device: str | None
) -> tuple[LumaArray, float]:
    """The first pictures' luma, and how many come in a second once the first has come."""
    with open_video(path, device=device) as video, closing(video.pictures()) as pictures:
        first = next(pictures).picture
        filter_ = make_filter(first)
        luma = [filter_(first)]
        began = time.perf_counter()
        luma += [filter_(picture) for picture, _ in islice(pictures, _COMPARED_PICTURES)]
        return np.stack(luma), (len(luma) - 1) / max(time.perf_counter() - began, 1e-9)
