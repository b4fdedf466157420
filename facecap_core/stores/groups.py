"""Stores: the Zarr arrays of a production, which appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from facecap_core.errors import StoreError
from facecap_core.failpoints import reach
from facecap_core.stores.manifests import verify
from facecap_core.stores.object_folder import ArrayFolder, ObjectFolder
from facecap_core.stores.object_stores import open_objects
from facecap_core.stores.object_versions import StagedObjects, whole_objects
from facecap_core.stores.versions import Staged, whole_directory

SCHEMA_VERSION = 1
CODECS = frozenset({"bytes", "zstd"})  # the only ones we write
NUMBERS = "fiu"
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
        """Begin an array of rows of this shape; its dimensions are named in the store, the rows' own first."""
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


class GroupReader:
    """A complete group, pinned to the version that was there when it was opened."""

    def __init__(self, path: ArrayFolder) -> None:
        self.path = path if isinstance(path, ObjectFolder) else Path(path)
        try:
            if isinstance(path, ObjectFolder):
                self._group = open_objects(path)
            else:
                # Resolving the link once keeps a reader on one version while a new one is published.
                self._group = zarr.open_group(os.path.realpath(path), mode="r", zarr_format=3)
            self.attributes: dict[str, Any] = dict(self._group.attrs)
        except StoreError:
            raise
        except Exception as error:  # what Zarr makes of a damaged zarr.json is anything
            raise StoreError(
                "is not in the store", remedy="run the ingest or inference of this shot", file=path
            ) from error
        if (
            self.attributes.get("schema_version") != SCHEMA_VERSION
            or "frames" not in self.attributes
        ):
            raise StoreError(
                f"has schema {self.attributes.get('schema_version')}, this version reads {SCHEMA_VERSION}",
                remedy="run the ingest or inference of this shot again",
                file=path,
            )
        frames = self.attributes["frames"]
        if not isinstance(frames, int) or frames < 0:
            raise StoreError(
                f"says that it has {frames!r} frames",
                remedy="delete it and run the ingest or inference of this shot again",
                file=path,
            )

    @property
    def frames(self) -> int:
        return int(self.attributes["frames"])

    def has(self, name: str) -> bool:
        """Whether there is an array of this name, whole or damaged."""
        return name in self._group

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._array(name).shape)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows [start, stop) of an array.

        Raises:
            StoreError: the array or one of its chunks is missing or damaged.
        """
        array = self._array(name)
        try:
            rows = np.asarray(array[start:stop])
        except StoreError:
            raise
        except Exception as error:  # codecs raise RuntimeError, ValueError and others
            raise StoreError(
                f"{name}, frames {start} to {stop if stop is not None else self.frames}: damaged ({error})",
                remedy="delete it and run the ingest or inference of this shot again",
                file=self.path,
            ) from error
        return rows

    def chunks(self, name: str) -> Iterator[np.ndarray]:
        """The array in pieces of whole chunks along its first axis; raises as `read`."""
        rows = self._array(name).chunks[0]
        for start in range(0, self.shape(name)[0], rows):
            yield self.read(name, start, min(start + rows, self.shape(name)[0]))

    def _array(self, name: str) -> Any:
        try:
            array: Any = self._group[name]
        except KeyError as error:
            raise StoreError(f"has no array {name}", file=self.path) from error
        except (ValueError, TypeError) as error:  # a codec or a type that Zarr does not know
            raise self._foreign(name, str(error)) from error
        # Decoders of other types and codecs may ask for endless memory, or in time unpickle.
        codecs = {str(codec.to_dict().get("name")) for codec in array.metadata.codecs}
        if not codecs <= CODECS or array.dtype.kind not in NUMBERS:
            raise self._foreign(name, f"{array.dtype}, {', '.join(sorted(codecs))}")
        if array.nchunks_initialized != array.nchunks:
            raise StoreError(
                f"{name}: {array.nchunks - array.nchunks_initialized} chunks are missing",
                remedy="delete it and run the ingest or inference of this shot again",
                file=self.path,
            )
        return array

    def _foreign(self, name: str, what: str) -> StoreError:
        return StoreError(
            f"{name} is not an array of this program's making ({what})",
            remedy="delete it and run the ingest or inference of this shot again",
            file=self.path,
        )


def stored(path: ArrayFolder, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The attributes of a group made from the same, every byte of it verified; None where there is none.

    Raises:
        StoreError: the object store does not answer.
    """
    try:
        attributes = GroupReader(path).attributes
    except StoreError as error:
        if error.transient:
            raise
        return None
    if any(attributes.get(name) != value for name, value in identity.items()):
        return None
    return None if verify(path) else attributes


def open_frames(path: ArrayFolder) -> GroupReader:
    """A frame store: `luma` uint8 [frame, y, x], `pts_seconds` float64 [frame]."""
    return GroupReader(path)


def open_targets(path: ArrayFolder) -> GroupReader:
    """A target store: `positions` float32 [frame, vertex, xyz] in the production's units."""
    return GroupReader(path)


def is_of_mesh(store: GroupReader, topology_sha256: str, vertices: int) -> bool:
    """Whether a store's positions are of this mesh: one of another may have as many vertices, in another order."""
    told = store.attributes.get("topology_sha256", topology_sha256)
    return bool(told == topology_sha256 and store.shape("positions")[1] == vertices)


def open_vertices(path: ArrayFolder) -> GroupReader:
    """A vertex store: `positions` float32 [frame, vertex, xyz]; `confidence`, `predicted_rmse_mm` and
    `novelty` float32 [frame]."""
    return GroupReader(path)
