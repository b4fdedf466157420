"""Object folder: a place in a bucket, joined by `/` like a path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)


@dataclass(frozen=True)
class ObjectFolder:
    """What `s3://bucket/prefix` names; what is in it is known to `object_manifests`."""

    url: str

    @classmethod
    def parse(cls, url: str) -> ObjectFolder:
        """Raises ValueError, with what is wrong, unless it is `s3://bucket` or `s3://bucket/prefix`."""
        if not url.startswith(SCHEME):
            raise ValueError("is no s3://bucket/prefix")
        bucket, *parts = url.removeprefix(SCHEME).rstrip("/").split("/")
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(f"{bucket!r} is no bucket's name")
        for part in parts:
            if not _PART.fullmatch(part) or part in (".", ".."):
                raise ValueError(f"{part!r} cannot be part of a prefix")
        return cls(SCHEME + "/".join([bucket, *parts]))

    def __truediv__(self, name: str) -> ObjectFolder:
        if not name or name in (".", "..") or "/" in name:
            raise ValueError(f"{name!r} cannot be the name of an object")
        return ObjectFolder(f"{self.url}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def bucket(self) -> str:
        return self.url.removeprefix(SCHEME).partition("/")[0]

    @property
    def key(self) -> str:
        """The place inside the bucket."""
        return self.url.removeprefix(SCHEME).partition("/")[2]

    def exists(self) -> bool:
        """Whether a complete group was published here.

        Raises:
            StoreError: the bucket cannot be asked.
        """
        from facecap_core.stores.object_manifests import is_published  # obstore is an extra

        return is_published(self)


ArrayFolder = Path | ObjectFolder
"""Where one group of arrays is: a folder of a file system, or of a bucket."""


def absent(folders: Iterable[ArrayFolder]) -> set[ArrayFolder]:
    """Those of many groups that are not there; a bucket is asked for many at once.

    Raises:
        StoreError: the bucket cannot be asked.
    """
    asked = list(folders)
    if all(isinstance(folder, Path) for folder in asked):
        return {folder for folder in asked if not folder.exists()}
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda folder: folder.exists(), asked))
    return {folder for folder, exists in zip(asked, found, strict=True) if not exists}
