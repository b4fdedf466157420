"""Same inputs: what changed in the files of a shot is noticed wherever results would be taken over."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from made_jobs import run_job
from test_scene_pointcaches import add_usd_mesh, usd_stage
from tiny_model import save_tiny_model
from tiny_production import make_production, write_shots

from facecap_core.errors import StoreError
from facecap_core.evaluation.clips import clips
from facecap_core.evaluation.subject import open_subject
from facecap_core.ingest import ingest_targets
from facecap_core.learning.presets import resolve
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_targets
from facecap_core.template import read_template
from jobs.planning import plan_infer, plan_ingest, plan_train
from jobs.request import job_id

FRAMES, VERTICES = 100, 5000  # 6 MB


def template_of(path, vertices):
    path.write_text("v 0 0 0\n" * vertices + "f 1 2 3\n")
    return read_template(path)


def ingest(cache, template, store):
    """Whether it was taken over, and the positions in the store."""
    result = ingest_targets(
        cache, template=template, units="cm", fps=Fraction(30), destination=store
    )
    return result.reused, open_targets(store).read("positions")


def test_a_cache_of_which_one_number_changed_is_read_again(tmp_path):
    template = template_of(tmp_path / "t.obj", VERTICES)
    positions = np.zeros((FRAMES, VERTICES, 3), np.float32)
    for vertex in (None, 1664):
        if vertex is not None:
            positions[1, vertex, 0] = 1
        write_pc2(tmp_path / "a.pc2", positions)
        reused, found = ingest(tmp_path / "a.pc2", template, tmp_path / "targets.zarr")
        assert not reused
        assert np.array_equal(found, positions)
    assert ingest(tmp_path / "a.pc2", template, tmp_path / "targets.zarr")[0]


def test_another_mesh_of_the_same_file_is_another_cache(tmp_path):
    template = template_of(tmp_path / "t.obj", 3)
    meshes = {"/raw": np.zeros((4, 3, 3), np.float32), "/smooth": np.ones((4, 3, 3), np.float32)}
    stage = usd_stage(tmp_path / "a.usda")
    for name, positions in meshes.items():
        add_usd_mesh(stage, name, positions, faces=[[0, 1, 2]])
    stage.Save()
    for name, positions in meshes.items():
        cache = f"{tmp_path}/a.usda#{name}"
        reused, found = ingest(cache, template, tmp_path / "targets.zarr")
        assert not reused
        assert np.array_equal(found, positions)


def test_a_model_is_not_measured_on_pictures_of_another_crop(folder):
    settings = folder / "production.toml"
    text = settings.read_text()
    production = load_production(folder)
    model = production.paths.model("ada", "m")
    save_tiny_model(model, read_template(folder / "template.obj"))
    for crop, fits in (("[0, 0, 48, 64]", True), ("[0, 0, 24, 32]", False)):
        settings.write_text(text.replace("[0, 0, 48, 64]", crop))
        production = load_production(folder)
        run_job(production, plan_ingest(production, actor="ada", shots=None, camera=None), "ingest")
        subject = open_subject(production, "ada", "m")
        (shot,) = subject.shots(["train_0"])
        if fits:
            assert len(next(clips(subject, shot))) == 2
        else:
            with pytest.raises(StoreError, match=r"train_0 was ingested with the crop \[0, 0, 24"):
                next(clips(subject, shot))


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=1, bulk=1, frames=2)


def ingest_job(folder, cache="caches/train_0.pc2"):
    write_shots(folder, [("train_0", "ada", "rom", "train", cache, "footage/train_0.mp4")])
    return job_id(plan_ingest(load_production(folder), actor="ada", shots=None, camera=None))


def test_a_cache_with_another_mesh_named_is_another_job(folder):
    assert ingest_job(folder, "a.usd#/raw") != ingest_job(folder, "a.usd#/smooth")


def test_a_sign_in_a_name_hides_no_change(folder):
    cache = folder / "caches/take#2.pc2"
    (folder / "caches/train_0.pc2").rename(cache)
    before = ingest_job(folder, "caches/take#2.pc2")
    cache.write_bytes(cache.read_bytes() + b"x")
    assert ingest_job(folder, "caches/take#2.pc2") != before


def test_a_large_cache_of_which_one_number_changed_is_another_training(folder):
    def job():
        request = plan_train(load_production(folder), actor="ada", config=resolve("demo"))
        return job_id(request)

    positions = np.zeros((FRAMES, VERTICES, 3), np.float32)
    write_pc2(folder / "caches/train_0.pc2", positions)
    before = job()
    assert job() == before
    positions[1, 1664, 0] = 1
    write_pc2(folder / "caches/train_0.pc2", positions)
    assert job() != before


def test_regions_by_which_a_loss_weighs_make_another_training(folder):
    settings = folder / "production.toml"
    settings.write_text(
        settings.read_text().replace('template.obj"', 'template.obj"\nregions = "r.json"')
    )

    def job(lips, loss):
        (folder / "r.json").write_text(json.dumps({"groups": {"lips": lips}}))
        config = resolve("demo", [loss] if loss else [])
        return job_id(plan_train(load_production(folder), actor="ada", config=config))

    weighed = 'loss.regions={"lips": 4}'
    assert job([0, 1], weighed) != job([0, 2], weighed)
    assert job([0, 1], "") == job([0, 2], ""), "which decide nothing there"


@pytest.mark.parametrize("stabilised", [True, False])
def test_other_landmarks_make_other_vertices_where_the_model_needs_them(folder, stabilised):
    settings = folder / "production.toml"
    settings.write_text(settings.read_text() + 'landmarks = "{shot}.npy"\n')
    model = folder / "store/models/ada/m-1"
    model.mkdir(parents=True)
    facts = {"cameras": ["center"], "config": {"stabilised_input": stabilised}}
    (model / "model.json").write_text(json.dumps(facts))

    def job(shift):
        np.save(folder / "bulk_0.npy", np.zeros(3 + shift) + 1.0)
        return job_id(plan_infer(load_production(folder), actor="ada", shots=None, model=None))

    assert (job(0) != job(1)) is stabilised
