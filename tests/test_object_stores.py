"""Stores in a bucket: whole or absent, one winner of many, damage found, errors with their remedy."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import uuid
from datetime import timedelta

import numpy as np
import pytest
from s3_server import BUCKET, s3_server

from facecap_core.errors import StoreError
from facecap_core.stores import object_versions, objects, owners
from facecap_core.stores.groups import GroupReader, new_group, stored
from facecap_core.stores.manifests import Damage, size_of, verify
from facecap_core.stores.object_folder import ObjectFolder, absent
from facecap_core.stores.object_manifests import manifest_key, published, version_key
from facecap_core.stores.object_versions import remove_objects
from facecap_core.stores.objects import Bucket

FRAMES = 150  # three chunks

WRITER = """\
import os, sys
import numpy as np
from facecap_core import failpoints
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.stores.groups import new_group

url, value, step = sys.argv[1:]

def reached(name):
    if name == step:
        print("there", flush=True)
        sys.stdin.readline()

failpoints.arm(reached)
with new_group(ObjectFolder.parse(url), {"value": value}) as group:
    array = group.array(
        "positions", row_shape=(4, 3), dtype="float32", dimension_names=("f", "v", "x")
    )
    for _ in range(3):
        array.append(np.full((50, 4, 3), float(value), np.float32))
print("won" if group.won else "stepped back", flush=True)
"""


@pytest.fixture(scope="module")
def server():
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        # A network that never comes back is given up early here.
        patch.setattr(
            objects, "_RETRIES", {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}
        )
        objects._client.cache_clear()
        yield server
    objects._client.cache_clear()


@pytest.fixture
def folder(server):
    yield ObjectFolder.parse(f"s3://{BUCKET}/farm/{uuid.uuid4().hex}/ada/shot.zarr")
    server.mend()


def write(folder, value, frames=FRAMES):
    with new_group(folder, {"value": str(value)}) as group:
        array = group.array(
            "positions", row_shape=(4, 3), dtype="float32", dimension_names=("f", "v", "x")
        )
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
    return version_key(folder, published(folder).manifest.version) + "positions/c/1/0/0"


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
        array = group.array(
            "positions", row_shape=(11, 3), dtype="float32", dimension_names=("f", "v", "x")
        )
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
        array = group.array(
            "positions", row_shape=(4, 3), dtype="float32", dimension_names=("f", "v", "x")
        )
        array.append(np.zeros((200, 4, 3), np.float32))
        raise RuntimeError("power cut")
    assert value_of(folder) == 1
    assert versions(folder) == {published(folder).manifest.version}


def test_nothing_is_published_that_the_bucket_does_not_list(folder):
    write(folder, 1)
    with pytest.raises(StoreError, match="does not list it"), new_group(folder) as group:
        array = group.array(
            "positions", row_shape=(4, 3), dtype="float32", dimension_names=("f", "v", "x")
        )
        array.append(np.zeros((FRAMES, 4, 3), np.float32))
        (new,) = versions(folder) - {published(folder).manifest.version}
        Bucket(BUCKET).delete([version_key(folder, new) + "positions/c/0/0/0"])
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


@pytest.mark.parametrize("what", ["altered", "truncated", "missing"])
def test_damage_is_named_and_rebuilt(folder, what):
    write(folder, 1)
    bucket, key = Bucket(BUCKET), chunk_key(folder)
    content = bytearray(bucket.get(key)[0])
    if what == "altered":
        content[len(content) // 2] ^= 4
        bucket.put(key, bytes(content))
    elif what == "truncated":
        bucket.put(key, bytes(content[: len(content) // 2]))
    else:
        bucket.delete([key])
    for contents in (True, False):
        assert verify(folder, contents=contents) == [Damage("positions/c/1/0/0", what, (64, 127))]
    assert stored(folder, {"value": "1"}) is None
    with pytest.raises(StoreError) as caught:
        GroupReader(folder).read("positions")
    assert not caught.value.transient
    assert write(folder, 1)
    assert verify(folder) == []
    assert value_of(folder) == 1


def test_a_damaged_manifest_is_found_and_replaced(folder):
    write(folder, 1)
    Bucket(BUCKET).put(manifest_key(folder), b"{}")
    assert verify(folder) == [Damage("manifest", "altered")]
    with pytest.raises(StoreError, match=r"manifest\.json cannot be read"):
        GroupReader(folder)
    assert write(folder, 1)
    assert value_of(folder) == 1


def test_what_is_removed_is_gone(folder):
    write(folder, 1)
    remove_objects(folder)
    assert not folder.exists()
    assert versions(folder) == set()


@pytest.mark.parametrize("method", ["PUT", "GET"])
@pytest.mark.parametrize(
    ("verdict", "message", "transient"),
    [("refuse", "does not answer", True), ("deny", "access is denied", False)],
)
def test_a_failing_store_is_no_absent_shot(folder, server, method, verdict, message, transient):
    write(folder, 1)
    server.fail(lambda asked, _: verdict if asked == method else None)
    with pytest.raises(StoreError, match=message) as caught:
        if method == "PUT":
            write(folder, 2)
        else:
            GroupReader(folder).read("positions")
    assert caught.value.transient == transient
    assert caught.value.fault.remedy
    assert caught.value.fault.file.startswith(f"s3://{BUCKET}/")
    server.mend()
    assert value_of(folder) == 1


def test_a_bucket_that_is_not_there_is_named(server):
    with pytest.raises(StoreError, match="there is no bucket nowhere") as caught:
        write(ObjectFolder.parse("s3://nowhere/x.zarr"), 1)
    assert not caught.value.transient
    with pytest.raises(StoreError, match="there is no bucket nowhere"):
        objects.check_bucket("nowhere", "farm")
    objects.check_bucket(BUCKET, "farm")


def test_a_server_that_is_not_there_is_transient(monkeypatch, server):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    objects._client.cache_clear()
    with pytest.raises(StoreError, match="does not answer") as caught:
        stored(ObjectFolder.parse(f"s3://{BUCKET}/x.zarr"), {})
    assert caught.value.transient
    objects._client.cache_clear()


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
