"""Group writer: the Zarr arrays of a production in the making, which appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from facecap_core.errors import StoreError
from facecap_core.failpoints import reach
from facecap_core.stores.groups import SCHEMA_VERSION, stored
from facecap_core.stores.object_folder import ArrayFolder, ObjectFolder
from facecap_core.stores.object_versions import StagedObjects, whole_objects
from facecap_core.stores.versions import Staged, whole_directory

FRAMES_PER_CHUNK = 64  # 4.9 MB of luma, 3.8 MB of 5000 vertices: benchmarks/stores.py
_LEVELS = {"u": -1}  # pictures are noise to it: half the time of level 1 for a tenth more bytes


class ArrayWriter:
    """One array of a group in the making, filled in order along its first axis, in flat memory."""

    def __init__(
        self,
        group: zarr.Group,
        name: str,
        *,
        row_shape: tuple[int, ...],
        dtype: str,
        dimension_names: tuple[str, ...],
    ) -> None:
        self.name = name
        self.rows = 0
        scalar = not row_shape
        self._chunk_rows = 65536 if scalar else FRAMES_PER_CHUNK
        self._pending: list[np.ndarray] = []
        self._pending_rows = 0
        self._array: Any = group.create_array(
            name,
            shape=(0, *row_shape),
            chunks=(self._chunk_rows, *row_shape),
            dtype=dtype,
            # The default codec does not notice a flipped bit; with a checksum each chunk does.
            compressors=ZstdCodec(level=_LEVELS.get(np.dtype(dtype).kind, 1), checksum=True),
            fill_value=np.nan if np.dtype(dtype).kind == "f" else 0,
            dimension_names=dimension_names,
            # Beside each other: with "/" each chunk had two folders of its own to be made, listed and synced.
            chunk_key_encoding={"name": "default", "separator": "."},
            config={"write_empty_chunks": True},  # so that a missing chunk is always a fault
        )

    def append(self, rows: np.ndarray) -> None:
        """Add rows [row, ...]; only whole chunks are written."""
        self._pending.append(np.ascontiguousarray(rows))
        self._pending_rows += len(rows)
        while self._pending_rows >= self._chunk_rows:
            block = np.concatenate(self._pending) if len(self._pending) > 1 else self._pending[0]
            self._write(block[: self._chunk_rows])
            self._pending = [block[self._chunk_rows :].copy()]
            self._pending_rows = len(self._pending[0])

    def finish(self) -> None:
        """Write what is left over.

        Raises:
            StoreError: a chunk is missing.
        """
        if self._pending_rows:
            self._write(np.concatenate(self._pending))
            self._pending, self._pending_rows = [], 0
        if self._array.nchunks_initialized != self._array.nchunks:
            raise StoreError(
                f"{self.name}: {self._array.nchunks_initialized} of {self._array.nchunks} chunks written",
                remedy="check the disk and run the same command again",
                file=str(self._array.store_path),
            )

    def _write(self, rows: np.ndarray) -> None:
        start, self.rows = self.rows, self.rows + len(rows)
        self._array.resize((self.rows, *rows.shape[1:]))
        self._array[start : self.rows] = rows
        reach("chunk.written")


class GroupWriter:
    """A Zarr group in the making: its arrays and its attributes.

    `won` turns False at the end when another writer's equal group had become visible first.
    """

    def __init__(self, group: zarr.Group) -> None:
        self.won = True
        self._group = group
        self._attributes: dict[str, Any] = {}
        self.arrays: list[ArrayWriter] = []

    def array(
        self,
        name: str,
        *,
        row_shape: tuple[int, ...],
        dtype: str,
        dimension_names: tuple[str, ...],
    ) -> ArrayWriter:
        """Begin an array of rows of this shape; the first dimension named counts the rows."""
        writer = ArrayWriter(
            self._group, name, row_shape=row_shape, dtype=dtype, dimension_names=dimension_names
        )
        self.arrays.append(writer)
        return writer

    def luma(self) -> ArrayWriter:
        """Pictures as a network is given them: uint8 [frame, y=320, x=240]."""
        names = ("frame", "y", "x")
        return self.array("luma", row_shape=(320, 240), dtype="uint8", dimension_names=names)

    def pts_seconds(self) -> ArrayWriter:
        """The time of each picture: float64 [frame]."""
        return self.array("pts_seconds", row_shape=(), dtype="float64", dimension_names=("frame",))

    def positions(self, vertex_count: int) -> ArrayWriter:
        """A mesh a frame, as targets, vertices and corrections have it: float32 [frame, vertex, xyz]."""
        names = ("frame", "vertex", "xyz")
        row = (vertex_count, 3)
        return self.array("positions", row_shape=row, dtype="float32", dimension_names=names)

    def figure(self, name: str) -> ArrayWriter:
        """A number a frame: float32 [frame]."""
        return self.array(name, row_shape=(), dtype="float32", dimension_names=("frame",))

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes; they are written when the group is finished."""
        self._attributes.update(attributes)

    def finish(self) -> None:
        """Write what is left over of the arrays, then the attributes."""
        for array in self.arrays:
            array.finish()
        self.set_attributes({"frames": self.arrays[0].rows if self.arrays else 0})
        self._group.update_attributes(self._attributes)  # at once: each write costs milliseconds


@contextmanager
def new_group(
    final: ArrayFolder, identity: Mapping[str, Any] | None = None
) -> Iterator[GroupWriter]:
    """Make a group that appears at `final` when the block ends without an error.

    Args:
        identity: attributes that say what the group is made from; a group with the same ones that
            became visible meanwhile is left in place.

    Raises:
        StoreError: it cannot be written.
    """

    def equal(path: ArrayFolder) -> bool:
        return bool(identity) and stored(path, identity or {}) is not None

    whole: AbstractContextManager[Staged] | AbstractContextManager[StagedObjects]
    if isinstance(final, ObjectFolder):
        whole = whole_objects(final, equal=equal)
    else:
        whole = whole_directory(final, equal=equal)
    with whole as staged:
        place = staged.store if isinstance(staged, StagedObjects) else staged.path
        writer = GroupWriter(zarr.open_group(place, mode="w", zarr_format=3))
        writer.set_attributes({"schema_version": SCHEMA_VERSION, **(identity or {})})
        yield writer
        writer.finish()
    writer.won = staged.won
