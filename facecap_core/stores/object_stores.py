"""Object stores: what Zarr sees of one version of a group in a bucket, while it is made and afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from typing import Any

import zarr
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import ObjectStore

from facecap_core.errors import StoreError
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.stores.object_manifests import ObjectFacts, published, version_key
from facecap_core.stores.objects import Bucket

REMEDY = "run the ingest or inference of this shot again"


class _VersionStore(ObjectStore[Any]):
    """The objects of one version under the names that Zarr knows them by, listed without a request."""

    def __init__(
        self, folder: ObjectFolder, version: str, files: dict[str, ObjectFacts], *, read_only: bool
    ) -> None:
        self.bucket = Bucket(folder.bucket)
        super().__init__(self.bucket.client, read_only=read_only)
        self.folder = folder
        self.base = version_key(folder, version)
        self.files = files

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _VersionStore) and other.base == self.base

    __hash__ = None  # type: ignore[assignment]  # as of every Zarr store

    def __str__(self) -> str:
        return str(self.folder)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if key not in self.files:
            return None
        with self.bucket.told(self.base + key):
            found = await super().get(self.base + key, prototype, byte_range)
        if found is None:
            raise StoreError(f"{key}: missing", remedy=REMEDY, file=str(self.folder))
        return found

    async def exists(self, key: str) -> bool:
        return key in self.files

    async def getsize(self, key: str) -> int:
        if key not in self.files:
            raise FileNotFoundError(key)
        return self.files[key].size

    def list(self) -> AsyncGenerator[str, None]:
        return self.list_prefix("")

    async def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        for key in list(self.files):
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        start = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        below = (key.removeprefix(start) for key in list(self.files) if key.startswith(start))
        for name in sorted({key.partition("/")[0] for key in below}):
            yield name


class NewVersion(_VersionStore):
    """A version in the making, which keeps size and hash of everything that it sent."""

    def __init__(self, folder: ObjectFolder, version: str) -> None:
        super().__init__(folder, version, {}, read_only=False)

    async def set(self, key: str, value: Buffer) -> None:
        import obstore

        data = value.as_buffer_like()
        with self.bucket.told(self.base + key):
            # In one request, since a writer that is killed would leave parts that nobody lists.
            answer = await obstore.put_async(self.store, self.base + key, data, use_multipart=False)
        self.files[key] = ObjectFacts(
            len(value), hashlib.sha256(data).hexdigest(), str(answer["e_tag"])
        )

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        if key not in self.files:  # nobody else writes here
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        if self.files.pop(key, None) is not None:
            with self.bucket.told(self.base + key):
                await super().delete(self.base + key)

    async def delete_dir(self, prefix: str) -> None:
        start = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        for key in [key for key in self.files if key.startswith(start)]:
            await self.delete(key)


def open_objects(folder: ObjectFolder) -> zarr.Group:
    """The group that is visible now; it stays on this version while a new one is published.

    Raises:
        KeyError: there is none. StoreError: it is damaged, or the bucket cannot be asked.
    """
    found = published(folder)
    if found is None:
        raise KeyError(str(folder))
    if found.manifest is None:
        raise StoreError("manifest.json cannot be read", remedy=REMEDY, file=str(folder))
    manifest = found.manifest
    store = _VersionStore(folder, manifest.version, manifest.files, read_only=True)
    return zarr.open_group(store, mode="r", zarr_format=3)
