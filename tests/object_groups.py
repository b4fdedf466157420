"""Groups in a bucket, each of one value throughout."""

from __future__ import annotations

import numpy as np
from s3_server import BUCKET

from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import GroupReader
from facecap_core.stores.object_manifests import published, version_key
from facecap_core.stores.objects import Bucket

FRAMES = 150  # three chunks


def write(folder, value, frames=FRAMES):
    with new_group(folder, {"value": str(value)}) as group:
        array = group.positions(4)
        array.append(np.full((frames, 4, 3), value, np.float32))
    return group.won


def value_of(folder):
    """What the visible group holds throughout; None where there is none."""
    if not folder.exists():
        return None
    rows = GroupReader(folder).read("positions")
    assert rows.shape == (FRAMES, 4, 3)
    (value,) = set(rows.flat)
    return value


def versions(folder):
    base = version_key(folder)
    found = Bucket(BUCKET).list(base)
    return {listed.key.removeprefix(base).partition("/")[0] for listed in found}


def chunk_key(folder):
    return version_key(folder, published(folder).manifest.version) + "positions/c.1.0.0"
