"""The made-up production: footage and point caches as a studio would hand them over, the same each time."""

from __future__ import annotations

import csv
import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from facecap_core.errors import Cancelled
from facecap_core.madeup.actor import MadeUpActor
from facecap_core.madeup.expressions import controls
from facecap_core.madeup.motion import CATEGORIES
from facecap_core.madeup.production import (
    PlannedShot,
    make_production,
    make_production_files,
    make_shot,
    shot_plan,
)
from facecap_core.madeup.shoot import (
    CROP,
    PICTURE_SIZE,
    VIEWS,
    Studio,
    imaging,
)
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.productions.production import load_production
from facecap_core.template import read_animated, read_template


@pytest.fixture(scope="module")
def actor() -> MadeUpActor:
    return MadeUpActor(2017)


def two_shots() -> list[PlannedShot]:
    return [
        PlannedShot("nell_rom_01", "rom", "train", 5, 2017, 0),
        PlannedShot("nell_character_01", "in-character", "", 4, 2017, 1),
    ]


def test_a_small_production_is_whole_and_repeatable(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        plan = two_shots()
        make_production_files(folder, plan)
        for shot in plan:
            make_shot(folder, shot)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digests.append(
            [
                (str(p.relative_to(folder)), hashlib.sha256(p.read_bytes()).hexdigest())
                for p in files
            ]
        )
    assert digests[0] == digests[1]
    settings = tomllib.loads((folder / "production.toml").read_text())
    assert settings["fps"] == "30"
    assert settings["actors"]["nell"]["cameras"]["center"]["crop"] == list(CROP)
    rows = list(csv.DictReader((folder / "shots.csv").open()))
    assert [row["cache"] for row in rows] == ["caches/nell_rom_01.pc2", ""]
    production = load_production(folder)
    assert set(production.shots) == {"nell_rom_01", "nell_character_01"}
    actor = production.actors["nell"]
    template = read_template(actor.template)
    assert actor.animated is not None
    assert len(read_animated(actor.animated, template.vertex_count)) > 3000
    for shot, cache in zip(
        two_shots(), ("caches/nell_rom_01", "truth/nell_character_01"), strict=True
    ):
        points = open_point_cache(folder / f"{cache}.pc2", vertex_count=template.vertex_count)
        assert points.frame_count == shot.frames
        nearest = np.abs(points.read(0, shot.frames) - template.positions).max(axis=(1, 2))
        assert nearest.max() < 5
        with av.open(str(folder / shot.footage)) as container:
            pictures = [frame.width for frame in container.decode(video=0)]
        assert pictures == [PICTURE_SIZE[0]] * shot.frames


def test_a_second_camera_films_the_same_and_changes_nothing_of_the_first(tmp_path: Path) -> None:
    shot = two_shots()[1]
    for name, cameras in (("one", ("center",)), ("two", ("center", "left"))):
        make_production_files(tmp_path / name, [shot], cameras=cameras)
        make_shot(tmp_path / name, shot, cameras)
    for path in (shot.footage, shot.cache, "actors/nell/template.obj", "bulk.txt"):
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
    assert not (tmp_path / "one" / shot.footage_of("left")).exists()
    production = load_production(tmp_path / "two")
    assert {name: c.crop for name, c in production.actors["nell"].cameras.items()} == {
        name: view.crop for name, view in VIEWS.items()
    }
    luma = {}
    for name, footage in production.shots[shot.name].footage.items():
        assert footage == tmp_path / "two" / shot.footage_of(name)
        with av.open(str(footage)) as container:
            luma[name] = np.stack([f.to_ndarray()[:720] for f in container.decode(video=0)])
    assert luma["left"].shape == luma["center"].shape == (shot.frames, 720, 540)
    assert np.abs(luma["left"].astype(int) - luma["center"]).mean() > 15


def test_each_camera_has_noise_of_its_own(actor: MadeUpActor) -> None:
    _, drawn = actor.scene(controls(), np.zeros((1, 3)), np.zeros((1, 3)))
    light = imaging(1, (1, 1))
    views = [VIEWS["center"], replace(VIEWS["center"], sensor=VIEWS["left"].sensor)]
    one, other = (next(Studio(actor, view=v).pictures(drawn, light, (1, 1))) for v in views)
    apart = one.astype(float) - other
    assert 0.5 < apart[:720].std() < 4


def test_plan_has_the_four_categories_and_scales() -> None:
    plan = shot_plan()
    by_split = {
        split: [s for s in plan if s.split == split] for split in ("train", "validation", "")
    }
    assert [len(shots) for shots in by_split.values()] == [8, 2, 12]
    assert {shot.category for shot in by_split["train"]} == set(CATEGORIES)
    assert len({shot.name for shot in plan}) == len(plan)
    assert sum(s.frames for s in shot_plan(scale=0.2)) < 0.3 * sum(s.frames for s in plan)


def test_a_production_can_be_cancelled(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        make_production(tmp_path, scale=0.05, on_progress=lambda progress: progress.done == 0)
    made = list((tmp_path / "footage").iterdir())
    assert len(made) == 1
