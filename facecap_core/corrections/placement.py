"""Placement: which frames of a shot those of a delivered file are."""

from __future__ import annotations

from dataclasses import dataclass

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.cache import PointCache


@dataclass(frozen=True)
class Placed:
    """`count` frames of the shot from `first` on are the file's from `row` on, all counted from 0."""

    first: int
    count: int
    row: int
    whole: bool  # the file has the whole shot, and no frames of it were named


def place_frames(
    cache: PointCache, frames: int, wanted: tuple[int, int] | None, start_frame: int
) -> Placed:
    """Where a file belongs in a shot of so many frames.

    Args:
        wanted: first and last frame that are corrected, None: not said. The file holds exactly these, or the
            whole shot, or by its own numbers more than these.
        start_frame: what the first frame of the shot is called in `wanted` and in the file.

    Raises:
        PointCacheError: these frames are not in the shot, or not in the file.
    """
    own = None if cache.start_frame is None else round(cache.start_frame)
    if wanted is None:
        if cache.frame_count == frames:
            return Placed(0, frames, 0, whole=True)
        remedy = "say which frames of the shot they are: --frames FIRST-LAST"
        if own is not None and 0 <= own - start_frame <= frames - cache.frame_count:
            remedy += f"; its own numbers are {own}-{own + cache.frame_count - 1}"
        raise PointCacheError(
            f"has {cache.frame_count} frames, the shot {frames}", remedy=remedy, file=cache.path
        )
    first, last = wanted[0] - start_frame, wanted[1] - start_frame
    if not 0 <= first <= last < frames:
        raise PointCacheError(
            f"frames {wanted[0]}-{wanted[1]} are not in the shot, whose frames are"
            f" {start_frame}-{start_frame + frames - 1}",
            remedy="name the first and the last one, and what the shot's first is called: --start-frame",
            file=cache.path,
        )
    count = last - first + 1
    if cache.frame_count == count:
        return Placed(first, count, 0, whole=False)
    if cache.frame_count == frames:
        return Placed(first, count, first, whole=False)
    if own is not None and own <= wanted[0] and wanted[1] < own + cache.frame_count:
        return Placed(first, count, wanted[0] - own, whole=False)
    raise PointCacheError(
        f"has {cache.frame_count} frames; {wanted[0]}-{wanted[1]} are {count}, the whole shot {frames}",
        remedy="export exactly the corrected frames, or the whole shot",
        file=cache.path,
    )
