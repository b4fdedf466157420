"""Point cache: the positions of one mesh, frame after frame, read as a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError


class PointCache(ABC):
    """An open point cache. Frames and vertices count from 0; positions are in the mesh's template order.

    What the file says of itself is given as attributes, None where the format or the file is silent, so that the
    caller can hold it against the production: `start_frame`, `fps`, `units` ("mm", "cm", "m", ...; a file
    with an unusual unit says for example "0.02 m") and `up_axis` ("X", "Y" or "Z"). Nothing is converted.
    `notes` holds what is odd but usable, one sentence each.
    """

    format: str
    path: Path
    frame_count: int
    vertex_count: int
    start_frame: float | None = None
    fps: Fraction | None = None
    units: str | None = None
    up_axis: str | None = None
    notes: tuple[str, ...] = ()

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Frames `start` to `stop` (exclusive): float32 [frame, vertex, xyz]; memory is that of the result.

        Raises `PointCacheError` when the file is damaged, has another topology there, or has a position that
        is not finite (frame and vertex are named), and `IndexError` for frames that are not in the cache.
        """
        if not 0 <= start <= stop <= self.frame_count:
            raise IndexError(f"frames {start} to {stop} of {self.frame_count}")
        positions = self._read(start, stop)
        bad = np.flatnonzero(~np.isfinite(positions).all(axis=2))
        if bad.size:
            frame, vertex = divmod(int(bad[0]), self.vertex_count)
            place = positions[frame, vertex]
            raise PointCacheError(
                f"frame {start + frame}, vertex {vertex}: position is not finite "
                f"({place[0]}, {place[1]}, {place[2]})",
                remedy="mend the track there and export it again",
                file=self.path,
            )
        return positions

    def batches(self, size: int) -> Iterator[NDArray[np.float32]]:
        """All frames in order, at most `size` at a time: float32 [frame, vertex, xyz]."""
        for start in range(0, self.frame_count, size):
            yield self.read(start, min(start + size, self.frame_count))

    @abstractmethod
    def _read(self, start: int, stop: int) -> NDArray[np.float32]: ...

    @abstractmethod
    def close(self) -> None:
        """Let go of the file; a closed cache cannot be read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class BinaryCache(PointCache):
    """A point cache in one open file, with a header and then numbers."""

    def __init__(self, path: Path, *, vertex_count: int) -> None:
        self.path = path
        self._file = open_binary(path)
        try:
            self._read_header(vertex_count)
        except BaseException:
            self._file.close()
            raise

    @abstractmethod
    def _read_header(self, vertex_count: int) -> None:
        """Set what the header says, and hold it against the size of the file.

        Raises `PointCacheError` where they disagree, and for another vertex count.
        """

    def _numbers(self, offset: int, count: int, dtype: np.dtype) -> NDArray:
        """`count` numbers at `offset` bytes, which the header has held against the size: one-dimensional.

        Read, not mapped: a mapped file that is cut short by another program ends this one with a bus error,
        and its pages count as our memory.
        """
        numbers = np.empty(count, dtype)
        try:
            self._file.seek(offset)
            got = self._file.readinto(numbers.view(np.uint8).data)  # type: ignore[attr-defined]
        except OSError as problem:
            raise PointCacheError(
                f"cannot be read: {problem}", remedy="check the disk, and try again", file=self.path
            ) from problem
        if got != numbers.nbytes:
            raise PointCacheError(
                "the file became shorter while it was read",
                remedy="wait until it is written, and try again",
                file=self.path,
            )
        return numbers

    def close(self) -> None:
        self._file.close()


def open_binary(path: Path) -> BinaryIO:
    """The file, opened for reading. Raises `PointCacheError` when it is absent or no plain file."""
    try:
        if path.is_file():  # a pipe would be waited for, for ever
            return path.open("rb")
        reason = "is not a plain file" if path.exists() else "does not exist"
    except (OSError, ValueError) as problem:
        reason = f"cannot be opened: {problem}"
    raise PointCacheError(f"the point cache {reason}", remedy="check the path", file=path)


def as_float32(numbers: NDArray) -> NDArray[np.float32]:
    """The same numbers; what float32 cannot hold becomes infinite, and `read` refuses it by name."""
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(np.float32, copy=False)


def check_vertex_count(found: int, wanted: int, path: Path) -> None:
    """Raises `PointCacheError` when the cache is of another mesh than the template."""
    if found != wanted:
        raise PointCacheError(
            f"has {found} points, the template has {wanted}",
            remedy="export the mesh that the template shows, with all its vertices in order",
            file=path,
        )


def check_size(found: int, wanted: int, path: Path, header: str) -> None:
    """Raises `PointCacheError` when the file is not as long as its header says."""
    if found != wanted:
        what = "is cut short" if found < wanted else "has more than its header says"
        raise PointCacheError(
            f"{what}: {header} take {wanted} bytes, the file has {found}",
            remedy="export it again, or copy it again if the copy was broken off",
            file=path,
        )
