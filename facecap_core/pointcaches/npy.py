"""NPY: a numpy array (frame, vertex, 3) of floats, in either memory order."""

from __future__ import annotations

import ast
import os

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.cache import (
    BinaryCache,
    as_float32,
    check_size,
    check_vertex_count,
)

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 4096
FLOATS = {f"{order}f{size}" for order in "<>" for size in (2, 4, 8)}
LARGEST_COUNT = 2**62


class NpyCache(BinaryCache):
    """An open NPY file of float16, float32 or float64. Nothing but shape and type is said by the format.

    The header is read here and not by numpy, so that neither a pickle nor a type of a stranger's making is
    ever built.
    """

    format = "NPY"

    def _read_header(self, vertex_count: int) -> None:
        path = self.path
        fields, self._start = self._fields()
        kind, fortran, shape = fields.get("descr"), fields.get("fortran_order"), fields.get("shape")
        if not isinstance(kind, str) or kind not in FLOATS:
            raise PointCacheError(
                f"holds {str(kind)[:60]!r}, not float16, float32 or float64",
                remedy="save positions.astype('float32')",
                file=path,
            )
        if not isinstance(shape, tuple) or not isinstance(fortran, bool):
            raise self._damaged()
        if not all(type(length) is int and 0 <= length < LARGEST_COUNT for length in shape):
            raise self._damaged()
        if len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise PointCacheError(
                f"has shape {str(shape)[:60]}, not (frame, vertex, 3)",
                remedy="reshape it so, with x y z last, and save it again",
                file=path,
            )
        self._dtype, self._fortran = np.dtype(kind), fortran
        check_size(
            os.fstat(self._file.fileno()).st_size,
            self._start + shape[0] * shape[1] * 3 * self._dtype.itemsize,
            path,
            f"{shape[0]} frames of {shape[1]} points as {self._dtype.name}",
        )
        check_vertex_count(shape[1], vertex_count, path)
        self.frame_count, self.vertex_count = shape[0], shape[1]

    def _fields(self) -> tuple[dict[object, object], int]:
        """What the header says, and where the numbers begin."""
        start = self._file.read(8)
        if not MAGIC.startswith(start[: len(MAGIC)]) or not start:
            raise PointCacheError(
                "not an NPY file",
                remedy="save the array with numpy.save, or name the file by its own format",
                file=self.path,
            )
        width = {1: 2, 2: 4, 3: 4}.get(start[6] if len(start) == 8 else 0)
        if width is None:
            raise self._damaged()
        length_bytes = self._file.read(width)
        length = int.from_bytes(length_bytes, "little")
        if len(length_bytes) < width or length > LONGEST_HEADER:
            raise self._damaged()
        text = self._file.read(length)
        if len(text) < length:
            raise self._damaged()
        try:
            fields = ast.literal_eval(text.decode("utf-8" if start[6] == 3 else "latin-1").strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise self._damaged() from None
        if not isinstance(fields, dict):
            raise self._damaged()
        return fields, 8 + width + length

    def _damaged(self) -> PointCacheError:
        return PointCacheError(
            "its NPY header is damaged", remedy="save the array again", file=self.path
        )

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        frames, vertices, size = stop - start, self.vertex_count, self._dtype.itemsize
        if not self._fortran:
            offset = self._start + start * vertices * 3 * size
            numbers = self._numbers(offset, frames * vertices * 3, self._dtype)
            return as_float32(numbers).reshape(frames, vertices, 3)
        # Frames lie innermost: one run of them for every coordinate of every vertex.
        positions = np.empty((frames, vertices, 3), np.float32)
        for run in range(3 * vertices):
            offset = self._start + (run * self.frame_count + start) * size
            axis, vertex = divmod(run, vertices)
            positions[:, vertex, axis] = as_float32(self._numbers(offset, frames, self._dtype))
        return positions
