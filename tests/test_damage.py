"""Damage: a byte flipped, cut off or deleted in any file of the store is found, named and mended."""

from __future__ import annotations

import json
import re

import pytest
from crashing import FOLDERS, FRAMES, REUSING, WORKS, seen, version_of, whole
from damaged_files import flip, truncate

from facecap_core.files import files_in
from facecap_core.stores.damage import Damage, frames_of_part
from facecap_core.stores.group_writer import FRAMES_PER_CHUNK
from facecap_core.stores.groups import stored
from facecap_core.stores.manifests import manifest_path, verify

FILES = {
    "frames": {
        "zarr.json": None,
        "luma/zarr.json": None,
        "luma/c.0.0.0": (0, 63),
        "luma/c.1.0.0": (64, 65),
        "pts_seconds/zarr.json": None,
        "pts_seconds/c.0": (0, 65),
    },
    "targets": {
        "zarr.json": None,
        "positions/zarr.json": None,
        "positions/c.0.0.0": (0, 63),
        "positions/c.1.0.0": (64, 65),
    },
    "vertices": {
        "zarr.json": None,
        "positions/zarr.json": None,
        "positions/c.0.0.0": (0, 63),
        "positions/c.1.0.0": (64, 65),
        "confidence/zarr.json": None,
        "confidence/c.0": (0, 65),
        "predicted_rmse_mm/zarr.json": None,
        "predicted_rmse_mm/c.0": (0, 65),
        "novelty/zarr.json": None,
        "novelty/c.0": (0, 65),
    },
    "model": {
        "weights.safetensors": None,
        "metrics.jsonl": None,
        "confidence.safetensors": None,
        "model.json": None,
    },
}
"""Every file of what each writer makes, and the frames in it."""
EVERY = [(name, part) for name, parts in FILES.items() for part in parts]


@pytest.fixture(scope="module")
def store(tmp_path_factory, inputs):
    """One store for all tests here: each mends what it damages."""
    store = tmp_path_factory.mktemp("store")
    for name in FILES:
        WORKS[name].do(inputs, store, "new")
    return store


def delete(file):
    file.unlink()


DAMAGES = {flip: "altered", truncate: "truncated", delete: "missing"}


@pytest.mark.parametrize("name", FOLDERS)
def test_no_file_is_left_out(store, name):
    final = store / WORKS[name].final
    assert {
        file.relative_to(final.resolve()).as_posix() for file in files_in(final.resolve())
    } == set(FILES[name])
    assert verify(final) == verify(final, contents=False) == []
    assert FRAMES_PER_CHUNK < FRAMES, "one chunk shows nothing about the numbers of the next"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("name", "part"), EVERY)
def test_every_damage_is_named_and_mended(store, inputs, name, part, damage):
    work = WORKS[name]
    final, before = store / work.final, version_of(store, work)
    damage(final / part)
    # A chunk's frames are told by its array's zarr.json.
    expected = [Damage(part, DAMAGES[damage], FILES[name][part])]
    assert verify(final) == expected
    assert verify(final, contents=False) == ([] if damage is flip else expected)
    if name in REUSING:
        assert stored(final, {}) is None
    assert not work.do(inputs, store, "new"), "the same work makes it anew"
    assert version_of(store, work) != before
    assert seen(store, work) == whole(inputs, work)["new"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_damaged_manifest_is_damage(store, inputs, name, damage):
    work = WORKS[name]
    final = store / work.final
    damage(manifest_path(final))
    assert verify(final)
    if damage is not flip:  # half of it lies in some file's hash
        what = Damage("", "no manifest") if damage is delete else Damage("manifest", "altered")
        assert verify(final) == verify(final, contents=False) == [what]
    if name in REUSING:
        assert stored(final, {}) is None
    assert not work.do(inputs, store, "new")
    assert seen(store, work) == whole(inputs, work)["new"]


@pytest.mark.parametrize("part", ["manifest", "zarr.json"])
def test_any_flipped_bit_is_found(store, part):
    final = store / WORKS["targets"].final
    file = manifest_path(final) if part == "manifest" else final / part
    content = file.read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        assert stored(final, {}) is None, (place, bytes(flipped[place - 20 : place + 20]))
    file.write_bytes(content)
    assert stored(final, {}) is not None


def test_a_version_that_is_gone_is_absent(store, inputs):
    work = WORKS["targets"]
    final = store / work.final
    hidden = final.resolve()
    hidden.rename(hidden.with_name("elsewhere"))
    assert verify(final) == [Damage("", "absent")]
    assert stored(final, {}) is None
    assert not work.do(inputs, store, "new")
    assert seen(store, work) == whole(inputs, work)["new"]


def test_damage_reads_as_a_sentence():
    assert re.fullmatch(
        r"luma/c\.1\.0\.0 \(frames 64 to 127\): truncated",
        str(Damage("luma/c.1.0.0", "truncated", (64, 127))),
    )


@pytest.mark.parametrize("part", ["luma/c.1.0.0", "luma/c/1/0/0"])
def test_frames_are_told_of_chunks_beside_each_other_and_of_older_ones_in_folders(part):
    facts = {"chunk_grid": {"configuration": {"chunk_shape": [64, 320, 240]}}, "shape": [100]}
    assert frames_of_part(part, {"luma/zarr.json": json.dumps(facts).encode()}.__getitem__) == (
        64,
        99,
    )
