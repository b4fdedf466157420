"""Hostile stores: arrays, models and caches of a stranger's making are refused, and nothing is unpickled."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from facecap_core.errors import FacecapError, ModelError, StoreError
from facecap_core.learning.model import load_model
from facecap_core.pointcaches.npy import NpyCache
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import GroupReader


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


@pytest.fixture
def bomb(tmp_path):
    path = tmp_path / "went off"
    data = pickle.dumps(Bomb(path))
    pickle.loads(data)  # noqa: S301 the test of the test: it does go off
    assert path.exists()
    path.unlink()
    yield data
    assert not path.exists(), "something was unpickled"


def store_with(folder, change, data):
    """A group like ours whose array's metadata is changed and whose first chunk is `data`."""
    path = folder / "shot.zarr"
    with new_group(path) as group:
        array = group.positions(4)
        array.append(np.zeros((3, 4, 3), np.float32))
    inside = Path(os.path.realpath(path)) / "positions"
    metadata = json.loads((inside / "zarr.json").read_text())
    metadata.update(change)
    (inside / "zarr.json").write_text(json.dumps(metadata))
    (inside / "c.0.0.0").write_bytes(data)
    return path


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


@pytest.mark.parametrize(
    "change",
    [
        {"codecs": [{"name": "numcodecs.pickle", "configuration": {}}]},
        {"codecs": [{"name": "pickle"}]},
        {"codecs": [{"name": "numcodecs.pcodec", "configuration": {"id": "pickle"}}]},
        {"codecs": [BYTES, {"name": "numcodecs.zlib", "configuration": {"id": "pickle"}}]},
        {"codecs": [BYTES, {"name": "numcodecs.bz2", "configuration": {}}]},
        {"data_type": "object"},
        {"data_type": "|O"},
        {"data_type": "string", "fill_value": "", "codecs": [{"name": "vlen-utf8"}]},
    ],
    ids=lambda change: re.sub(r"\W+", " ", json.dumps(change)),
)
def test_an_array_of_a_strangers_making_is_refused(tmp_path, bomb, change):
    path = store_with(tmp_path, change, bomb)
    with pytest.raises(StoreError):
        GroupReader(path).read("positions")


def test_zarr_v2_whose_filters_may_unpickle_is_not_read(tmp_path, bomb):
    path = tmp_path / "old.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs.update(schema_version=1, frames=1)
    array = path / "positions"
    array.mkdir()
    filters = [{"id": "pickle", "protocol": 5}]
    fields = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "compressor": None}
    fields.update(filters=filters, fill_value=None, order="C", dimension_separator=".")
    (array / ".zarray").write_text(json.dumps(fields))
    (array / "0").write_bytes(bomb)
    with pytest.raises(StoreError):
        GroupReader(path)
    mixed = store_with(tmp_path, {}, b"")
    inside = Path(os.path.realpath(mixed)) / "positions"
    shutil.rmtree(inside)
    shutil.copytree(array, inside)
    with pytest.raises(StoreError):
        GroupReader(mixed).read("positions")


def test_a_pickle_in_place_of_a_model_or_a_cache_is_refused(tmp_path, bomb):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(bomb)
    (folder / "model.json").write_bytes(bomb)
    with pytest.raises((ModelError, UnicodeDecodeError)):
        load_model(folder, "cpu")
    cache = tmp_path / "cache.npy"
    np.save(cache, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FacecapError):
        NpyCache(cache, vertex_count=4)
