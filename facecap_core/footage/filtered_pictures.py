"""Filtered picture: a decoded one's luma, made for several in a row.

Decoder and filter throw each other out of the processor's caches: filtered one by one, the pictures of
a 1200×1600 video cost half as much again as eight in a row do.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import NamedTuple

import av

from facecap_core.errors import FootageError
from facecap_core.footage.orientation import LumaArray
from facecap_core.footage.video_file import TimedPicture

_HELD_BYTES = 24_000_000  # eight pictures of 1200×1600
_HELD_PICTURES = 8

Filter = Callable[[av.VideoFrame], LumaArray]


class FilteredPicture(NamedTuple):
    """A picture's luma uint8 [y=320, x=240], and its time stamp in ticks."""

    luma: LumaArray
    pts: int | None


def filtered(
    pictures: Generator[TimedPicture, None, None], make_filter: Callable[[av.VideoFrame], Filter]
) -> Generator[FilteredPicture, None, None]:
    """The pictures' luma; those before a damaged one come before its error.

    Args:
        make_filter: gives, for a first picture, what makes luma of that and the next ones.
    """
    filter_: Filter | None = None
    held: list[TimedPicture] = []
    error: FootageError | None = None
    with closing(pictures):
        while error is None:
            try:
                picture = next(pictures, None)
            except FootageError as raised:
                picture, error = None, raised
            if picture is not None:
                filter_ = filter_ or make_filter(picture.picture)
                held.append(picture)
            elif not held:
                break
            if picture is None or len(held) >= _most_held(picture.picture):
                assert filter_ is not None
                for one, pts in held:
                    yield FilteredPicture(filter_(one), pts)
                held.clear()
    if error is not None:
        raise error


def _most_held(picture: av.VideoFrame) -> int:
    size = sum(plane.buffer_size for plane in picture.planes)
    return min(_HELD_PICTURES, _HELD_BYTES // size)
