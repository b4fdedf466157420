"""Groups: the Zarr arrays of a production, read as they were when they were opened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from facecap_core.errors import StoreError
from facecap_core.stores.manifests import verify
from facecap_core.stores.object_folder import ArrayFolder, ObjectFolder
from facecap_core.stores.object_stores import open_objects

SCHEMA_VERSION = 1
CODECS = frozenset({"bytes", "zstd"})  # the only ones we write
NUMBERS = "fiu"


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
