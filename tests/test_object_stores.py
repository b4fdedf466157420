"""Stores in a bucket: whole or absent, one winner of many, nothing left over."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import uuid

import numpy as np
import pytest
from object_groups import FRAMES, value_of, versions, write
from s3_server import BUCKET

from facecap_core.errors import StoreError
from facecap_core.stores import object_versions, owners
from facecap_core.stores.damage import Damage
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import GroupReader, stored
from facecap_core.stores.manifests import size_of, verify
from facecap_core.stores.object_folder import ObjectFolder, absent
from facecap_core.stores.object_manifests import published, version_key
from facecap_core.stores.objects import Bucket

WRITER = """\
import os, sys
import numpy as np
from facecap_core import failpoints
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.stores.group_writer import new_group

url, value, step = sys.argv[1:]

def reached(name):
    if name == step:
        print("there", flush=True)
        sys.stdin.readline()

failpoints.arm(reached)
with new_group(ObjectFolder.parse(url), {"value": value}) as group:
    array = group.positions(4)
    for _ in range(3):
        array.append(np.full((50, 4, 3), float(value), np.float32))
print("won" if group.won else "stepped back", flush=True)
"""


@pytest.fixture
def folder(server):
    yield ObjectFolder.parse(f"s3://{BUCKET}/farm/{uuid.uuid4().hex}/ada/shot.zarr")
    server.mend()


def start(folder, value, step):
    """A writer in a process of its own, which waits at that step."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(value), step],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("frames", [1, 63, 64, 197])
@pytest.mark.parametrize("batch", [7, 200])
def test_what_is_written_is_read(folder, frames, batch):
    rows = np.random.default_rng(frames).normal(size=(frames, 11, 3)).astype(np.float32)
    with new_group(folder) as group:
        array = group.positions(11)
        for first in range(0, frames, batch):
            array.append(rows[first : first + batch])
        group.set_attributes({"units": "cm"})
    reader = GroupReader(folder)
    assert (reader.frames, reader.attributes["units"]) == (frames, "cm")
    np.testing.assert_array_equal(reader.read("positions"), rows)
    np.testing.assert_array_equal(reader.read("positions", frames // 2), rows[frames // 2 :])
    np.testing.assert_array_equal(np.concatenate(list(reader.chunks("positions"))), rows)
    assert verify(folder) == []
    files, size = size_of(folder)
    assert files == 2 + -(-frames // 64)
    assert size > 0


def test_plain_zarr_reads_the_version_that_the_manifest_names(folder):
    import zarr

    write(folder, 1)
    store = zarr.storage.ObjectStore(Bucket(BUCKET).client, read_only=True)
    version = version_key(folder, published(folder).manifest.version)
    group = zarr.open_group(store, path=version.rstrip("/"), mode="r")
    np.testing.assert_array_equal(group["positions"][:], 1)


def test_nothing_is_there_before_it_is_written(folder):
    assert not folder.exists()
    assert absent([folder]) == {folder}
    assert verify(folder) == [Damage("", "absent")]
    assert stored(folder, {}) is None
    with pytest.raises(StoreError, match="not in the store"):
        GroupReader(folder)


def test_the_manifest_is_the_last_object_written(folder, server):
    del server.requests[:]
    write(folder, 1)
    written = [path for method, path in server.requests if method == "PUT"]
    assert [path for path in written if path.endswith("manifest.json")] == written[-1:]


@pytest.mark.parametrize(
    "step",
    [
        "directory.made",
        "chunk.written",
        "directory.filled",
        "directory.synced",
        "directory.visible",
    ],
)
def test_a_killed_writer_leaves_the_old_or_the_new(folder, step):
    write(folder, 1)
    writer = start(folder, 2, step)
    assert writer.stdout.readline() == "there\n"
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    writer.stdin.close(), writer.stdout.close()
    assert value_of(folder) == (2 if step == "directory.visible" else 1)
    assert verify(folder) == []
    # The next writer takes away what the dead one left, and leaves what was visible until now.
    before = published(folder).manifest
    assert write(folder, 3)
    now = published(folder).manifest
    assert value_of(folder) == 3
    assert versions(folder) == {now.version, before.version, *before.replaced}


def test_a_reader_sees_the_old_or_the_new_while_it_is_replaced(folder):
    write(folder, 0)
    first, seen, done = GroupReader(folder), [], threading.Event()

    def read():
        while not done.is_set():
            seen.append(value_of(folder))

    thread = threading.Thread(target=read)
    thread.start()
    for value in range(1, 6):
        write(folder, value)
    done.set()
    thread.join()
    assert seen == sorted(seen)
    assert set(seen) <= set(range(6))
    assert set(first.read("positions").flat) == {0}  # it stays on its version


def test_of_four_writers_one_wins(folder):
    writers = [start(folder, 7, "directory.synced") for _ in range(4)]
    for writer in writers:
        assert writer.stdout.readline() == "there\n"
    for writer in writers:  # each has all of it in the bucket, and publishes now
        writer.stdin.write("\n")
        writer.stdin.flush()
    ends = sorted(writer.communicate()[0].strip() for writer in writers)
    assert ends == ["stepped back"] * 3 + ["won"]
    assert verify(folder) == []
    assert value_of(folder) == 7
    assert versions(folder) == {published(folder).manifest.version}


@pytest.mark.parametrize("other", [2, 3])
def test_a_writer_that_comes_between_is_noticed(folder, server, other):
    """Between looking at the manifest and replacing it another one is published."""
    write(folder, 1)
    between = []

    def fault(method, path):
        if method == "PUT" and path.endswith("manifest.json") and not between:
            between.append(True)
            between.append(write(folder, other))

    server.fail(fault)
    won = write(folder, 2)
    assert between == [True, True]
    assert won == (other != 2)  # an equal one is left in place, another one replaced
    assert value_of(folder) == 2
    assert verify(folder) == []


def test_a_lost_answer_to_the_manifest_is_no_loss(folder, server):
    lost = []

    def fault(method, path):
        if method == "PUT" and path.endswith("manifest.json") and not lost:
            lost.append(path)
            return "lose"
        return None

    server.fail(fault)
    assert write(folder, 1)
    assert lost
    assert value_of(folder) == 1
    assert versions(folder) == {published(folder).manifest.version}


def test_a_store_that_fails_at_the_end_leaves_the_old_one(folder, server):
    write(folder, 1)
    server.fail(lambda method, path: "refuse" if method == "PUT" and "manifest" in path else None)
    with pytest.raises(StoreError, match="does not answer") as caught:
        write(folder, 2)
    assert caught.value.transient
    server.mend()
    assert value_of(folder) == 1
    assert (
        len(versions(folder)) == 2
    )  # the last request may still come through: nothing is taken away
    assert write(folder, 2)
    assert value_of(folder) == 2


def test_an_error_of_the_work_takes_its_objects_away(folder):
    write(folder, 1)
    with pytest.raises(RuntimeError), new_group(folder) as group:
        array = group.positions(4)
        array.append(np.zeros((200, 4, 3), np.float32))
        raise RuntimeError("power cut")
    assert value_of(folder) == 1
    assert versions(folder) == {published(folder).manifest.version}


def test_nothing_is_published_that_the_bucket_does_not_list(folder):
    write(folder, 1)
    with pytest.raises(StoreError, match="does not list it"), new_group(folder) as group:
        array = group.positions(4)
        array.append(np.zeros((FRAMES, 4, 3), np.float32))
        (new,) = versions(folder) - {published(folder).manifest.version}
        Bucket(BUCKET).delete([version_key(folder, new) + "positions/c.0.0.0"])
    assert value_of(folder) == 1


def test_replaced_versions_are_kept_for_an_hour(folder, monkeypatch):
    for value in (1, 2, 3):
        write(folder, value)
    assert len(versions(folder)) == 3
    monkeypatch.setattr(object_versions, "STALE_SECONDS", -1.0)
    write(folder, 4)
    assert versions(folder) == {published(folder).manifest.version}


def test_what_another_machine_left_is_kept_for_a_day(folder, monkeypatch):
    key = version_key(folder, "elsewhere-1.0") + "zarr.json"
    Bucket(BUCKET).put(key, b"{}")
    write(folder, 1)
    assert "elsewhere-1.0" in versions(folder)
    monkeypatch.setattr(owners, "ABANDONED_SECONDS", -1.0)
    write(folder, 2)
    assert "elsewhere-1.0" not in versions(folder)


def test_a_folder_is_joined_and_sent_like_a_path():
    folder = ObjectFolder.parse("s3://bucket/farm/") / "vertices"
    assert str(folder / "a.zarr") == "s3://bucket/farm/vertices/a.zarr"
    assert (folder.bucket, folder.key, folder.name) == ("bucket", "farm/vertices", "vertices")
    assert pickle.loads(pickle.dumps(folder)) == folder  # noqa: S301
    for name in ("", ".", "..", "../x", "a/b"):
        with pytest.raises(ValueError, match="cannot be the name"):
            folder / name
    with pytest.raises(TypeError):
        os.fspath(folder)
