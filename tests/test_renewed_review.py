"""Renewed reviews: one is made anew where what it shows has changed, and is otherwise kept."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from solved_shots import review, solve
from tiny_production import make_production, write_cache

from facecap_core.ingest import ingest_targets
from facecap_core.productions.production import load_production
from facecap_core.template import read_template


@pytest.mark.parametrize(
    ("key", "texts"),
    [
        ("animated", ["0\n1\n2\n", "0\n1\n"]),
        (
            "regions",
            [
                f'{{"groups": {{"lips": {n}}}, "lip_pairs": [], "lid_pairs": []}}'
                for n in ([0], [1])
            ],
        ),
    ],
)
def test_a_review_is_made_anew_where_other_vertices_count(tmp_path, key, texts):
    folder = make_production(tmp_path / "show", bulk=1, frames=20)
    solve(folder, "bulk_0", 20)
    settings = (folder / "production.toml").read_text()
    settings = settings.replace("[actors.ada]\n", f'[actors.ada]\n{key} = "{key}"\n')
    (folder / "production.toml").write_text(settings)
    for text in texts:
        (folder / key).write_text(text)
        done = [review(folder, "bulk_0", "--sheet", "--out", str(tmp_path)) for _ in range(2)]
        reused = [json.loads(one.stdout)["shots"][0]["reused"] for one in done]
        assert reused == [False, True]


def test_a_review_is_made_anew_where_targets_of_its_own_shot_came_or_changed(tmp_path):
    folder = make_production(tmp_path / "show", train=2, frames=20)
    solve(folder, "train_0", 20)

    def reviewed():
        line = ["train_0", "--sheet", "--out", str(tmp_path)]
        (shot,) = json.loads(review(folder, *line).stdout)["shots"]
        return shot["reused"], shot["rmse_mm"] is not None

    def ingest(shot, seed=None):
        cache = folder / "caches" / f"{shot}.pc2"
        if seed is not None:
            write_cache(cache, 20, seed)
        targets = load_production(folder).paths.targets(shot)
        facts = {"template": read_template(folder / "template.obj"), "units": "cm"}
        ingest_targets(cache, fps=Fraction(30), destination=targets, **facts)

    assert reviewed() == (False, False)
    ingest("train_1")
    assert reviewed() == (True, False), "another shot was tracked"
    ingest("train_0")
    assert reviewed() == (False, True), "it has a target now"
    ingest("train_0")
    assert reviewed() == (True, True), "of the same cache"
    ingest("train_0", seed=9)
    assert reviewed() == (False, True), "its target is another one"
    ingest("train_1", seed=9)
    assert reviewed() == (True, True)
