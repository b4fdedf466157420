"""PC2: the point cache of 3ds Max, Maya, Blender and Marvelous Designer (little endian, no topology)."""

from __future__ import annotations

import math
import os
import struct
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
from facecap_core.pointcaches.whole_file import Positions, float_blocks, whole_file

MAGIC = b"POINTCACHE2\0"
# magic, version, points, start frame, sample rate (frames per sample), samples; then x y z of all points of all samples
HEADER = struct.Struct("<12siiffi")


class Pc2Cache(BinaryCache):
    """An open PC2 file. The format knows neither frame rate, units, axes nor faces."""

    format = "PC2"

    def _read_header(self, vertex_count: int) -> None:
        path = self.path
        header = self._file.read(HEADER.size)
        if not MAGIC.startswith(header[: len(MAGIC)]) or not header:
            raise PointCacheError(
                "not a PC2 file: it does not begin with POINTCACHE2",
                remedy="export the cache as PC2, or name it by its own format",
                file=path,
            )
        if len(header) < HEADER.size:
            raise PointCacheError(
                f"is cut short within the header, after {len(header)} bytes",
                remedy="export it again",
                file=path,
            )
        _, version, points, start_frame, sample_rate, samples = HEADER.unpack(header)
        if version != 1:
            raise PointCacheError(
                f"PC2 version {version}", remedy="export version 1, the only one known", file=path
            )
        if points <= 0 or samples <= 0 or not math.isfinite(start_frame):
            raise PointCacheError(
                f"the header says {points} points, {samples} samples, start frame {start_frame}",
                remedy="export it again",
                file=path,
            )
        check_size(
            os.fstat(self._file.fileno()).st_size,
            HEADER.size + 12 * points * samples,
            path,
            f"{samples} samples of {points} points",
        )
        check_vertex_count(points, vertex_count, path)
        self.frame_count, self.vertex_count, self.start_frame = samples, points, start_frame
        if sample_rate != 1.0:
            # Some exporters write their frame rate here, so the number of frames must decide.
            self.notes = (
                f"the header's sample rate is {sample_rate:g}; one sample a frame is assumed",
            )

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        offset, count = start * 12 * self.vertex_count, (stop - start) * self.vertex_count * 3
        numbers = self._numbers(HEADER.size + offset, count, np.dtype("<f4"))
        return as_float32(numbers).reshape(-1, self.vertex_count, 3)


def write_pc2(path: str | Path, positions: Positions, *, start_frame: float = 0.0) -> None:
    """Write positions [frame, vertex, xyz] (a numpy or Zarr array, streamed) as PC2, whole or not at all.

    Raises `PointCacheError` for other shapes, no frames, and values that are not finite.
    """
    path = Path(path)
    with whole_file(path) as file:
        for number, block in enumerate(float_blocks(positions, path)):
            if number == 0:
                frames, points = positions.shape[:2]
                file.write(HEADER.pack(MAGIC, 1, points, start_frame, 1.0, frames))
            file.write(np.ascontiguousarray(block, "<f4").data)
