"""MDD: the point cache of LightWave and Point Oven, read by Blender and Houdini (big endian, no topology)."""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.cache import (
    BinaryCache,
    as_float32,
    check_size,
    check_vertex_count,
)
from facecap_core.pointcaches.rates import FLOAT32_ROUNDING, rate_of_times
from facecap_core.pointcaches.whole_file import Positions, float_blocks, whole_file

HEADER = struct.Struct(">ii")  # frames, points; then a time in seconds per frame; then x y z
BIG_FLOAT = np.dtype(">f4")


class MddCache(BinaryCache):
    """An open MDD file. The format holds times, but neither units, axes nor faces.

    Blender's exporter writes the rest pose once more before the first frame and does not count it: such a
    file is longer by one frame, which is passed over.
    """

    format = "MDD"

    def _read_header(self, vertex_count: int) -> None:
        path = self.path
        header = self._file.read(HEADER.size)
        if len(header) < HEADER.size:
            raise PointCacheError(
                f"is cut short within the header, after {len(header)} bytes",
                remedy="export it again",
                file=path,
            )
        frames, points = HEADER.unpack(header)
        if frames <= 0 or points <= 0:
            raise PointCacheError(
                f"the header says {frames} frames of {points} points: damaged, or not an MDD file",
                remedy="export it again as MDD (big endian)",
                file=path,
            )
        self._start = HEADER.size + 4 * frames
        size = os.fstat(self._file.fileno()).st_size
        expected = self._start + 12 * points * frames
        notes = []
        if size == expected + 12 * points:
            self._start += 12 * points
            notes.append(
                "one more frame than its header says, as Blender writes: the first is passed over"
            )
        else:
            check_size(size, expected, path, f"{frames} frames of {points} points")
        check_vertex_count(points, vertex_count, path)
        times = self._numbers(HEADER.size, frames, BIG_FLOAT)
        with np.errstate(invalid="ignore"):  # a damaged time is told of below
            seconds = times.astype(np.float64)
        self.fps, remark = rate_of_times(seconds, FLOAT32_ROUNDING)
        if remark:
            notes.append(remark)
        if self.fps is not None:
            self.start_frame = round(float(seconds[0] * float(self.fps)), 3)
        self.frame_count, self.vertex_count, self.notes = frames, points, tuple(notes)

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        offset, count = start * 12 * self.vertex_count, (stop - start) * self.vertex_count * 3
        numbers = self._numbers(self._start + offset, count, BIG_FLOAT)
        return as_float32(numbers).reshape(-1, self.vertex_count, 3)


def write_mdd(
    path: str | Path, positions: Positions, fps: Fraction | float, *, start_frame: float = 0.0
) -> None:
    """Write positions [frame, vertex, xyz] (a numpy or Zarr array, streamed) as MDD, whole or not at all.

    The first time is start_frame / fps seconds. Raises `PointCacheError` for other shapes, no frames, and
    values that are not finite, and `ValueError` for a rate that is not above zero.
    """
    if not fps > 0:
        raise ValueError(f"fps must be above zero, not {fps}")
    path = Path(path)
    with whole_file(path) as file:
        for number, block in enumerate(float_blocks(positions, path)):
            if number == 0:
                frames, points = positions.shape[:2]
                file.write(HEADER.pack(frames, points))
                file.write(((np.arange(frames) + start_frame) / float(fps)).astype(BIG_FLOAT).data)
            file.write(block.astype(BIG_FLOAT, order="C").data)
