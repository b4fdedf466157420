"""Object manifests: the one object that names a group's version, with size and hash of all its objects.

A group at `<folder>` is the objects below `<folder>/versions/<version>/`, which nobody looks at until
`<folder>/manifest.json` names that version.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from facecap_core.stores.damage import Damage, frames_of_part
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.stores.objects import Bucket, Listed

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ObjectFacts:
    """One object as it was sent; the e_tag is what the store answered to that."""

    size: int
    sha256: str
    e_tag: str


@dataclass(frozen=True)
class ObjectManifest:
    """A version with its objects, and the versions before it that readers may still be on."""

    version: str
    files: dict[str, ObjectFacts]
    replaced: dict[str, float] = field(default_factory=dict)  # version: when, in seconds since 1970

    def to_json(self) -> bytes:
        files = {
            name: {"bytes": facts.size, "sha256": facts.sha256, "e_tag": facts.e_tag}
            for name, facts in self.files.items()
        }
        return json.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "version": self.version,
                "replaced": self.replaced,
                "files": files,
            },
            sort_keys=True,
            indent=0,
        ).encode()

    @classmethod
    def from_json(cls, text: bytes) -> ObjectManifest:
        """Raises ValueError where it is not ours."""
        try:
            facts: dict[str, Any] = json.loads(text)
            if facts["schema_version"] != SCHEMA_VERSION or "/" in facts["version"]:
                raise ValueError("another schema")
            files = {
                name: ObjectFacts(int(f["bytes"]), str(f["sha256"]), str(f["e_tag"]))
                for name, f in facts["files"].items()
            }
            replaced = {str(name): float(when) for name, when in facts["replaced"].items()}
            return cls(str(facts["version"]), files, replaced)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no manifest: {error!r}") from error


@dataclass(frozen=True)
class Published:
    """The manifest as it stands; None inside where it cannot be read."""

    e_tag: str
    manifest: ObjectManifest | None


def published(folder: ObjectFolder) -> Published | None:
    """What is visible now; None: nothing.

    Raises:
        StoreError: the bucket cannot be asked.
    """
    found = Bucket(folder.bucket).get(manifest_key(folder))
    if found is None:
        return None
    try:
        return Published(found[1], ObjectManifest.from_json(found[0]))
    except ValueError:
        return Published(found[1], None)


def is_published(folder: ObjectFolder) -> bool:
    """Whether there is a manifest, at the cost of one small request."""
    import obstore

    bucket = Bucket(folder.bucket)
    with bucket.told(folder.key):
        try:
            obstore.head(bucket.client, manifest_key(folder))
        except FileNotFoundError:
            return False
    return True


def verify_objects(folder: ObjectFolder, *, contents: bool) -> list[Damage]:
    """Everything that is not as it was written, by object.

    Args:
        contents: read and hash every byte; without, names, sizes and e_tags are compared, and only an
            object whose e_tag is another one is read.

    Raises:
        StoreError: the bucket cannot be asked.
    """
    found = published(folder)
    if found is None:
        return [Damage("", "absent")]
    if found.manifest is None:
        return [Damage("manifest", "altered")]
    base = version_key(folder, found.manifest.version)
    bucket = Bucket(folder.bucket)
    present = {listed.key.removeprefix(base): listed for listed in bucket.list(base)}
    damages = []
    for name, facts in found.manifest.files.items():
        what = _compare(bucket, base + name, facts, present.get(name), contents)
        if what is not None:
            frames = frames_of_part(name, lambda other: _content(bucket, base + other))
            damages.append(Damage(name, what, frames))
    return damages


def objects_size(folder: ObjectFolder) -> tuple[int, int]:
    """Number of objects and of bytes that the manifest lists; zeros where there is none."""
    found = published(folder)
    files = found.manifest.files if found and found.manifest else {}
    return len(files), sum(facts.size for facts in files.values())


def manifest_key(folder: ObjectFolder) -> str:
    """The key of the manifest that says which version is the group's."""
    return f"{folder.key}/manifest.json".lstrip("/")


def version_key(folder: ObjectFolder, version: str = "") -> str:
    """What the keys of a version begin with; without one, those of all versions."""
    return f"{folder.key}/versions/{version}".lstrip("/").rstrip("/") + "/"


def _content(bucket: Bucket, key: str) -> bytes:
    found = bucket.get(key)
    return found[0] if found else b""


def _compare(
    bucket: Bucket, key: str, facts: ObjectFacts, listed: Listed | None, contents: bool
) -> Literal["missing", "truncated", "altered"] | None:
    if listed is None:
        return "missing"
    if listed.size != facts.size:
        return "truncated" if listed.size < facts.size else "altered"
    if not contents and listed.e_tag == facts.e_tag:
        return None
    blocks = bucket.blocks(key)
    if blocks is None:
        return "missing"
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return None if digest.hexdigest() == facts.sha256 else "altered"
