"""A production whose arrays are in a bucket: settings, checks, the whole way, the same bytes as on disk."""

from __future__ import annotations

import uuid
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from s3_server import BUCKET
from tiny_model import tiny_config
from tiny_production import SETTINGS, make_production

from facecap_core.checks.production_check import check_production
from facecap_core.errors import ProductionError, StoreError
from facecap_core.inference import infer_shot
from facecap_core.ingest import ingest_frames, ingest_targets
from facecap_core.learning.actor_training import train_actor
from facecap_core.productions.production import load_production
from facecap_core.scoring import score_shot
from facecap_core.stores import objects
from facecap_core.stores.groups import GroupReader
from facecap_core.stores.manifests import verify
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.stores.object_manifests import published, version_key
from facecap_core.stores.objects import Bucket
from facecap_core.template import read_template
from jobs.ledger import Ledger
from jobs.planning import plan_ingest
from jobs.preflight import missing_shots, preflight
from jobs.records import Options
from jobs.verification import verify_job


def with_arrays(folder, arrays):
    """Set the key `arrays` of a production."""
    settings = SETTINGS.replace('store = "store"\n', f'store = "store"\narrays = "{arrays}"\n')
    (folder / "production.toml").write_text(settings)
    return folder


def request_of(production):
    """To ingest every shot of it."""
    return plan_ingest(production, actor=None, shots=list(production.shots), camera=None)


@pytest.fixture
def bucket_folder(server):
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ("gs://bucket/farm", "is no s3://bucket/prefix"),
        ("/mnt/fast", "is no s3://bucket/prefix"),
        ("s3://", "is no bucket's name"),
        ("s3://Bucket", "is no bucket's name"),
        ("s3://bucket/../other", "cannot be part of a prefix"),
        ("s3://bucket//farm", "cannot be part of a prefix"),
    ],
)
def test_what_cannot_hold_arrays_is_refused_with_its_line(tmp_path, arrays, message):
    folder = with_arrays(make_production(tmp_path / "tiny"), arrays)
    with pytest.raises(ProductionError) as caught:
        load_production(folder)
    (fault,) = caught.value.faults
    assert message in fault.message
    assert (fault.file, fault.line) == (str(folder / "production.toml"), 5)
    assert 'arrays = "s3://bucket/prefix"' in fault.remedy


def test_arrays_go_to_the_bucket_and_the_rest_stays(tmp_path):
    production = load_production(
        with_arrays(make_production(tmp_path / "tiny"), "s3://bucket/farm/")
    )
    paths = production.paths
    assert str(paths.frames("a", "center")) == "s3://bucket/farm/frames/a/center.zarr"
    assert str(paths.targets("a")) == "s3://bucket/farm/targets/a.zarr"
    assert str(paths.vertices("ada", "a")) == "s3://bucket/farm/vertices/ada/a.zarr"
    for path in (paths.model("ada", "m"), paths.training_state("ada", "m"), paths.jobs):
        assert isinstance(path, Path)
        assert path.is_relative_to(tmp_path / "tiny" / "store")


def test_a_missing_bucket_is_found_before_anything_is_computed(tmp_path, server):
    folder = with_arrays(make_production(tmp_path / "tiny", bulk=1, frames=2), "s3://nowhere/farm")
    production = load_production(folder)
    (fault,) = check_production(production).faults
    assert fault.message == "arrays: there is no bucket nowhere"
    assert (fault.file, fault.line) == (str(folder / "production.toml"), 5)
    with pytest.raises(StoreError, match="there is no bucket nowhere"):
        preflight(production, request_of(production), Options(), None)


def test_a_missing_extra_is_named_before_anything_is_computed(tmp_path, monkeypatch):
    folder = with_arrays(make_production(tmp_path / "tiny", bulk=1, frames=2), "s3://bucket/farm")
    monkeypatch.setattr(objects.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StoreError, match="obstore") as caught:
        load_production(folder).paths.check_arrays()
    assert caught.value.fault.remedy == "pip install -e '.[s3]'"


def whole_way(folder):
    """Ingest, train and infer; returns the production."""
    production = load_production(folder)
    paths, actor = production.paths, production.actors["ada"]
    for shot in production.shots.values():
        ingest_frames(
            shot.footage["center"],
            crop=actor.cameras["center"].crop,
            fps=Fraction(30),
            destination=paths.frames(shot.name, "center"),
        )
        if shot.cache:
            ingest_targets(
                shot.cache,
                template=read_template(actor.template),
                units="cm",
                fps=Fraction(30),
                destination=paths.targets(shot.name),
            )
    train_actor(production, "ada", tiny_config(), model="m", device="cpu", threads=1)
    infer_shot(
        paths.model("ada", "m"),
        production.shots["bulk_0"].footage,
        fps=Fraction(30),
        destination=paths.vertices("ada", "bulk_0"),
        device="cpu",
        threads=1,
    )
    return production


def stored_bytes(place):
    """Every chunk and the metadata of every array, by name; the group's own holds the date."""
    if isinstance(place, ObjectFolder):
        base = version_key(place, published(place).manifest.version)
        bucket = Bucket(place.bucket)
        found = {x.key.removeprefix(base): bucket.get(x.key)[0] for x in bucket.list(base)}
    else:
        real = place.resolve()
        files = [path for path in real.rglob("*") if path.is_file()]
        found = {path.relative_to(real).as_posix(): path.read_bytes() for path in files}
    del found["zarr.json"]
    return found


def test_the_whole_way_gives_the_bytes_that_it_gives_on_disk(tmp_path, bucket_folder):
    local = make_production(tmp_path / "local", train=1, validation=1, bulk=1, frames=70)
    remote = make_production(tmp_path / "remote", train=1, validation=1, bulk=1, frames=70)
    on_disk = whole_way(local)
    in_bucket = whole_way(with_arrays(remote, bucket_folder))
    for place in (
        lambda paths: paths.frames("train_0", "center"),
        lambda paths: paths.targets("train_0"),
        lambda paths: paths.vertices("ada", "bulk_0"),
    ):
        there = place(in_bucket.paths)
        assert verify(there) == []
        assert stored_bytes(there) == stored_bytes(place(on_disk.paths))
    weights = [p.paths.model("ada", "m") / "weights.safetensors" for p in (on_disk, in_bucket)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not (remote / "store" / "frames").exists()
    assert not (remote / "store" / "vertices").exists()
    errors = score_shot(
        in_bucket.paths.vertices("ada", "bulk_0"),
        remote / "caches" / "train_0.pc2",
        template=read_template(in_bucket.actors["ada"].template),
        animated=np.arange(4),
        mm_per_unit=10.0,
    )
    assert errors.shape == (70,)


def test_the_same_footage_is_not_decoded_twice(tmp_path, bucket_folder):
    folder = with_arrays(make_production(tmp_path / "tiny", bulk=1, frames=5), bucket_folder)
    production = load_production(folder)
    place, footage = production.paths.frames("bulk_0", "center"), folder / "footage" / "bulk_0.mp4"
    reused = [
        ingest_frames(footage, crop=(0, 0, 48, 64), fps=Fraction(30), destination=place).reused
        for _ in range(2)
    ]
    assert reused == [False, True]
    assert GroupReader(place).frames == 5


def test_a_solved_shot_whose_objects_are_gone_is_missing(tmp_path, bucket_folder):
    folder = with_arrays(make_production(tmp_path / "tiny", bulk=2, frames=5), bucket_folder)
    production = load_production(folder)
    request = request_of(production)
    ledger = Ledger.create(production.paths.jobs, request)
    for name in request.shots:
        ingest_frames(
            production.shots[name].footage["center"],
            crop=(0, 0, 48, 64),
            fps=Fraction(30),
            destination=production.paths.frames(name, "center"),
        )
        ledger.write(ledger.shot(name).model_copy(update={"state": "solved"}))
    assert missing_shots(production, request, ledger) == []
    place = production.paths.frames("bulk_1", "center")
    Bucket(place.bucket).delete([place.key + "/manifest.json"])
    assert missing_shots(production, request, ledger) == ["bulk_1"]


def test_a_damaged_object_is_named_by_shot_and_frames(tmp_path, bucket_folder):
    folder = with_arrays(make_production(tmp_path / "tiny", bulk=1, frames=70), bucket_folder)
    production = load_production(folder)
    request = request_of(production)
    ledger = Ledger.create(production.paths.jobs, request)
    place = production.paths.frames("bulk_0", "center")
    ingest_frames(
        production.shots["bulk_0"].footage["center"],
        crop=(0, 0, 48, 64),
        fps=Fraction(30),
        destination=place,
    )
    ledger.write(ledger.shot("bulk_0").model_copy(update={"state": "solved"}))
    (whole,) = verify_job(production, ledger)
    assert (whole.files, whole.damages) == (6, [])
    version = published(place).manifest.version
    Bucket(place.bucket).delete([version_key(place, version) + "luma/c.1.0.0"])
    (verified,) = verify_job(production, ledger)
    (damage,) = verified.damages
    assert (damage.shot, damage.store) == ("bulk_0", "frames/center")
    assert (damage.part, damage.what, damage.frames) == ("luma/c.1.0.0", "missing", (64, 69))
