"""Object versions: how a group in a bucket comes into being or is replaced, whole or not at all."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from facecap_core.errors import StoreError
from facecap_core.failpoints import reach
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.stores.object_manifests import (
    ObjectManifest,
    Published,
    manifest_key,
    published,
    version_key,
)
from facecap_core.stores.object_stores import NewVersion
from facecap_core.stores.objects import Bucket, Conflict, Listed
from facecap_core.stores.owners import abandoned, owner

STALE_SECONDS = 3600.0  # readers of a replaced version have this long to finish
TRIES = 4


@dataclass
class StagedObjects:
    """A version to fill; `won` turns False when an equal group had become visible meanwhile."""

    store: NewVersion
    version: str
    won: bool = True
    in_doubt: bool = False
    """Whether a request to publish it may still be under way."""


@contextlib.contextmanager
def whole_objects(
    final: ObjectFolder, *, equal: Callable[[ObjectFolder], bool] | None
) -> Iterator[StagedObjects]:
    """A version to fill; when the block ends without an error it is what `final` shows, all at once.

    Its objects are sent under names that nobody looks at. One manifest is written last, on condition that
    the manifest is still the one that was looked at before: a reader finds the old version or the new one.

    Args:
        equal: of several writers of the same thing one wins: when this says of what is visible that it is
            as good as ours, ours is dropped.

    Raises:
        StoreError: the bucket cannot be written.
    """
    bucket = Bucket(final.bucket)
    version = f"{owner()}.{uuid.uuid4().hex[:12]}"
    staged = StagedObjects(NewVersion(final, version), version)
    try:
        reach("directory.made")
        yield staged
        reach("directory.filled")
        versions = _versions(bucket, final)
        _check_sent(staged, versions.get(version, []), final)
        reach("directory.synced")
        replaced = _publish(bucket, final, staged, set(versions), equal)
    except BaseException:
        if not staged.in_doubt:
            # The error that is under way matters more; what is left is swept by a later writer.
            with contextlib.suppress(StoreError):
                _delete_version(bucket, final, version)
        raise
    if staged.won:
        reach("directory.visible")
        with contextlib.suppress(StoreError):
            _sweep(bucket, versions, keep=version, replaced=replaced)


def _publish(
    bucket: Bucket,
    final: ObjectFolder,
    staged: StagedObjects,
    present: set[str],
    equal: Callable[[ObjectFolder], bool] | None,
) -> Mapping[str, float]:
    """Make a version the visible one, or step back; returns when earlier versions were replaced."""
    failures = 0
    while True:
        before = published(final)
        if before and before.manifest and before.manifest.version == staged.version:
            staged.in_doubt = False  # an earlier try had come through, only its answer was lost
            return before.manifest.replaced
        if before is not None and equal is not None and equal(final):
            staged.won = False
            if not staged.in_doubt:
                _delete_version(bucket, final, staged.version)
            return {}
        manifest = ObjectManifest(
            staged.version, dict(staged.store.files), _replaced(before, present)
        )
        try:
            bucket.put(
                manifest_key(final),
                manifest.to_json(),
                create=before is None,
                replacing=before.e_tag if before else None,
            )
            staged.in_doubt = False
            return manifest.replaced
        except Conflict:
            continue  # somebody was faster, or an earlier try of ours: look again
        except StoreError as error:
            staged.in_doubt = staged.in_doubt or error.transient
            failures += 1
            if not error.transient or failures == TRIES:
                raise


def _replaced(before: Published | None, present: set[str]) -> dict[str, float]:
    if before is None or before.manifest is None:
        return {}
    known = {name: when for name, when in before.manifest.replaced.items() if name in present}
    return {**known, before.manifest.version: time.time()}


def _versions(bucket: Bucket, final: ObjectFolder) -> dict[str, list[Listed]]:
    """Every object below `versions/`, by version."""
    base = version_key(final)
    found: dict[str, list[Listed]] = {}
    for listed in bucket.list(base):
        found.setdefault(listed.key.removeprefix(base).partition("/")[0], []).append(listed)
    return found


def _check_sent(staged: StagedObjects, present: list[Listed], final: ObjectFolder) -> None:
    """Nothing is published that the bucket does not list as it was sent."""
    sizes = {listed.key: listed.size for listed in present}
    for name, facts in staged.store.files.items():
        if sizes.get(staged.store.base + name) != facts.size:
            error = StoreError(
                f"{name}: was sent, but the bucket does not list it",
                remedy="run the same command again",
                file=str(final),
            )
            error.transient = True
            raise error


def _delete_version(bucket: Bucket, final: ObjectFolder, version: str) -> None:
    bucket.delete(listed.key for listed in bucket.list(version_key(final, version)))


def _sweep(
    bucket: Bucket,
    versions: Mapping[str, list[Listed]],
    *,
    keep: str,
    replaced: Mapping[str, float],
) -> None:
    """Remove versions replaced an hour ago, and what dead writers left."""
    now = time.time()
    for version, objects in versions.items():
        if version == keep:
            continue
        if version in replaced:
            stale = now - replaced[version] > STALE_SECONDS
        else:
            newest = max(listed.modified.timestamp() for listed in objects)
            stale = abandoned(version.partition(".")[0], now - newest)
        if stale:
            bucket.delete(listed.key for listed in objects)
