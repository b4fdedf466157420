"""Shot choice: of all shots of an actor, the bulk ones that are not solved are told."""

from __future__ import annotations

import json

import pytest
from solved_shots import solve
from tiny_production import make_production
from typer.testing import CliRunner

from farm.app import app


@pytest.mark.parametrize("line", [["export", "--format", "npy"], ["flag"]])
def test_unsolved_bulk_shots_are_told_where_all_of_an_actor_are_meant(tmp_path, line):
    folder = make_production(tmp_path / "show", train=1, bulk=12, frames=4)

    def run(*shots):
        done = CliRunner().invoke(app, [*line, *shots, "--production", str(folder), "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)
        return done.stderr

    for shot in ("train_0", "bulk_0", "bulk_1"):
        solve(folder, shot, 4)
    assert (
        "not solved, so left out: bulk_2, bulk_3, bulk_4, bulk_5, bulk_6, bulk_7, bulk_8, bulk_9 and 2 more"
        " (farm submit infer --actor ada)\n"
    ) in run("--actor", "ada")
    assert "left out" not in run("bulk_0", "bulk_1")
    for number in range(2, 12):
        solve(folder, f"bulk_{number}", 4)
    assert "left out" not in run("--actor", "ada"), "tracked shots need no solve"
