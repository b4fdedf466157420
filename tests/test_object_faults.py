"""Faults of a bucket: damage is named and rebuilt, a failing store is no absent shot."""

from __future__ import annotations

import uuid

import pytest
from object_groups import chunk_key, value_of, write
from s3_server import BUCKET

from facecap_core.errors import StoreError
from facecap_core.stores import objects
from facecap_core.stores.damage import Damage
from facecap_core.stores.groups import GroupReader, stored
from facecap_core.stores.manifests import verify
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.stores.object_manifests import manifest_key
from facecap_core.stores.objects import Bucket


@pytest.fixture
def folder(server):
    yield ObjectFolder.parse(f"s3://{BUCKET}/farm/{uuid.uuid4().hex}/ada/shot.zarr")
    server.mend()


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
        assert verify(folder, contents=contents) == [Damage("positions/c.1.0.0", what, (64, 127))]
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
