"""Manifests: size and hash of every file of a stored folder, against which it is verified.

The manifest stands beside the folder's version, under `.versions`, because Zarr takes any file
inside a group for a damaged member of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from facecap_core.errors import StoreError
from facecap_core.files import TRANSIENT, files_in, sha256_of, write_bytes_atomically
from facecap_core.stores.damage import Damage, frames_of_part
from facecap_core.stores.object_folder import ArrayFolder, ObjectFolder

SUFFIX = ".json"


def write_manifest(folder: Path, path: Path) -> None:
    """Hash every file of a finished folder and write the list to `path`.

    Raises:
        StoreError: it cannot be written.
    """
    files = {}
    for file in files_in(folder):
        name = file.relative_to(folder).as_posix()
        files[name] = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
    text = json.dumps({"schema_version": 1, "files": files}, sort_keys=True, indent=0)
    write_bytes_atomically(path, text.encode(), new_folders=False)


def manifest_path(final: Path) -> Path:
    """Where the manifest of the version is that `final` names now."""
    resolved = Path(os.path.realpath(final))
    return resolved.with_name(resolved.name + SUFFIX)


def version_of(final: ArrayFolder) -> str:
    """The name of the version that `final` shows now: another one was made by another writer.

    Raises:
        StoreError: the bucket cannot be asked.
    """
    if isinstance(final, ObjectFolder):
        from facecap_core.stores.object_manifests import published  # which needs an extra

        found = published(final)
        return found.manifest.version if found and found.manifest else ""
    return Path(os.path.realpath(final)).name


def replaced(versions: Mapping[ArrayFolder, str]) -> set[ArrayFolder]:
    """Those of many folders that show another version by now; a bucket is asked for many at once.

    Raises:
        StoreError: the bucket cannot be asked.
    """
    with ThreadPoolExecutor(16) as pool:
        now = list(pool.map(version_of, versions))
    return {
        final for final, version in zip(versions, now, strict=True) if version != versions[final]
    }


def verify(final: ArrayFolder, *, contents: bool = True) -> list[Damage]:
    """Everything that is not as it was written, by file.

    Args:
        contents: read and hash every byte; without, only names and sizes are compared.
    """
    if isinstance(final, ObjectFolder):
        from facecap_core.stores.object_manifests import verify_objects  # which needs an extra

        return verify_objects(final, contents=contents)
    folder = Path(os.path.realpath(final))
    if not folder.is_dir():
        return [Damage("", "absent")]
    try:
        # Not resolved again: another version may have become visible since.
        listed = _listed(folder.with_name(folder.name + SUFFIX))
    except FileNotFoundError:
        return [Damage("", "no manifest")]
    except (OSError, ValueError, TypeError, KeyError):
        return [Damage("manifest", "altered")]
    found = []
    for name, (size, digest) in listed.items():
        what = _compare(folder / name, size, digest if contents else None)
        if what is not None:
            frames = frames_of_part(name, lambda other: (folder / other).read_bytes())
            found.append(Damage(name, what, frames))
    return found


def size_of(final: ArrayFolder) -> tuple[int, int]:
    """Number of files and of bytes that the manifest lists; zeros where there is none."""
    if isinstance(final, ObjectFolder):
        from facecap_core.stores.object_manifests import objects_size

        return objects_size(final)
    try:
        listed = _listed(manifest_path(final))
    except (OSError, ValueError, TypeError, KeyError):
        return 0, 0
    return len(listed), sum(size for size, _ in listed.values())


def listed_sha256(final: Path, name: str) -> str | None:
    """The SHA-256 of a folder's file as it was written, which is not read for it; None where no manifest has it."""
    try:
        return _listed(manifest_path(final))[name][1]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _listed(path: Path) -> dict[str, tuple[int, str]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["schema_version"] != 1:
        raise ValueError(content["schema_version"])
    files = content["files"]
    for name in files:
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(name)  # nothing of ours is outside its folder
    return {name: (int(f["bytes"]), str(f["sha256"])) for name, f in files.items()}


def _compare(
    path: Path, size: int, digest: str | None
) -> Literal["missing", "truncated", "altered"] | None:
    try:
        actual = path.stat().st_size
        if actual != size:
            return "truncated" if actual < size else "altered"
        return "altered" if digest is not None and sha256_of(path) != digest else None
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        unread = StoreError(
            f"cannot be read: {error.strerror}", remedy="check that the store is mounted", file=path
        )
        unread.transient = error.errno in TRANSIENT
        raise unread from error
