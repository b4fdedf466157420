"""Stores: round trips, whole or absent, damage is found, others can read them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import zarr

from facecap_core.errors import StoreError
from facecap_core.stores.group_writer import FRAMES_PER_CHUNK, new_group
from facecap_core.stores.groups import GroupReader, stored


def write(path, rows, batch):
    with new_group(path) as group:
        positions = group.positions(rows.shape[1])
        for start in range(0, len(rows), batch):
            positions.append(rows[start : start + batch])
        group.set_attributes({"units": "cm"})


@pytest.mark.parametrize(
    "frames", [1, FRAMES_PER_CHUNK - 1, FRAMES_PER_CHUNK, 3 * FRAMES_PER_CHUNK + 5]
)
@pytest.mark.parametrize("batch", [1, 7, 200])
def test_what_is_written_is_read(tmp_path, frames, batch):
    rows = np.random.default_rng(frames).normal(size=(frames, 11, 3)).astype(np.float32)
    write(tmp_path / "a.zarr", rows, batch)
    reader = GroupReader(tmp_path / "a.zarr")
    assert reader.frames == frames
    assert reader.attributes["units"] == "cm"
    np.testing.assert_array_equal(reader.read("positions"), rows)
    np.testing.assert_array_equal(np.concatenate(list(reader.chunks("positions"))), rows)


def test_plain_zarr_reads_it_with_dimension_names(tmp_path):
    rows = np.zeros((5, 4, 3), np.float32)
    write(tmp_path / "a.zarr", rows, 5)
    array = zarr.open_group(tmp_path / "a.zarr", mode="r")["positions"]
    assert array.metadata.zarr_format == 3
    assert array.metadata.dimension_names == ("frame", "vertex", "xyz")
    np.testing.assert_array_equal(array[:], rows)


def test_an_error_leaves_the_old_array(tmp_path):
    old = np.ones((3, 2, 3), np.float32)
    write(tmp_path / "a.zarr", old, 3)
    with pytest.raises(RuntimeError), new_group(tmp_path / "a.zarr") as group:
        array = group.positions(2)
        array.append(np.zeros((200, 2, 3), np.float32))
        raise RuntimeError("power cut")
    np.testing.assert_array_equal(GroupReader(tmp_path / "a.zarr").read("positions"), old)


def test_a_killed_writer_leaves_nothing_visible_and_is_swept(tmp_path):
    script = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from facecap_core.stores.group_writer import new_group\n"
        "with new_group(Path(sys.argv[1])) as group:\n"
        "    a = group.array('positions', row_shape=(2, 3), dtype='float32', dimension_names=('f', 'v', 'x'))\n"
        "    a.append(np.zeros((500, 2, 3), 'float32'))\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "a.zarr"
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    assert not path.exists()
    assert stored(path, {}) is None
    write(path, np.zeros((3, 2, 3), np.float32), 3)
    versions = {name for name in os.listdir(tmp_path / ".versions") if "@" in name}
    current = os.path.basename(os.path.realpath(path))
    assert versions == {current, current + ".json"}


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_damage_is_found(tmp_path, damage):
    rows = np.random.default_rng(0).normal(size=(200, 5, 3)).astype(np.float32)
    write(tmp_path / "a.zarr", rows, 200)
    chunk = tmp_path / "a.zarr" / "positions" / "c.1.0.0"
    content = bytearray(chunk.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 4
        chunk.write_bytes(content)
    elif damage == "truncate":
        chunk.write_bytes(content[: len(content) // 2])
    else:
        chunk.unlink()
    with pytest.raises(StoreError):
        GroupReader(tmp_path / "a.zarr").read("positions")


def test_an_absent_array_is_a_named_error(tmp_path):
    with pytest.raises(StoreError, match="not in the store"):
        GroupReader(tmp_path / "missing.zarr")
