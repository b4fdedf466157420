"""The way of a correction, whole: exported, put right, brought back, learned and solved anew by jobs on a real Ray head."""

from __future__ import annotations

import json

import numpy as np
import pytest
from test_farm import SMALL
from tiny_production import make_production

from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.pointcaches.reader import open_point_cache

pytestmark = pytest.mark.cluster

FRAMES, FIRST, LAST = 40, 10, 19


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("way") / "tiny"
    return make_production(folder, train=2, validation=1, bulk=2, frames=FRAMES)


def exported(farm, folder, out, *more):
    """bulk_0 as a file that another program opens: float32 [frame, vertex, xyz]."""
    assert farm.main(folder, "export", "bulk_0", "--format", "pc2", "--out", out, *more) == 0
    with open_point_cache(folder / out / "bulk_0.pc2", vertex_count=4) as cache:
        return cache.read(0, cache.frame_count)


def test_from_an_artists_file_to_a_model_that_learned_it(farm, folder):
    trained = json.loads(farm.run(folder, "submit", "train", *SMALL, "--wait", "--json"))
    farm.run(folder, "submit", "infer", "--actor", "ada", "--wait")
    solved = exported(farm, folder, "out")
    fixed = solved.copy()
    fixed[FIRST : LAST + 1] += np.float32(0.05)
    write_pc2(folder / "fixed.pc2", fixed)
    told = json.loads(farm.run(folder, "correct", "bulk_0", "fixed.pc2", "--force", "--json"))
    assert told["corrections"][0]["ranges"] == [[FIRST, LAST]]
    assert np.array_equal(exported(farm, folder, "out"), fixed), "what was exported is made anew"
    assert np.array_equal(exported(farm, folder, "out2", "--as-solved"), solved)

    base = trained["model"]
    command = ["submit", "train", "--from", base, "--epochs", "1", "--wait", "--json"]
    tuned = json.loads(farm.run(folder, *command))
    shots = {shot["name"]: shot["state"] for shot in tuned["shots"]}
    assert shots["bulk_0"] == "solved", "its pictures are ingested"
    facts = json.loads((folder / f"store/models/ada/{tuned['model']}/model.json").read_text())
    assert (facts["training"]["base"]["model"], facts["training"]["corrected_frames"]) == (base, 10)
    compared = json.loads(
        farm.run(folder, "compare", base, tuned["model"], "--threshold-mm", "0", "--json")
    )
    assert {shot["shot"] for shot in compared["shots"]} == {"bulk_0", "bulk_1"}

    farm.run(folder, "submit", "infer", "--actor", "ada", "--model", tuned["model"], "--wait")
    anew = exported(farm, folder, "out")
    inside = slice(FIRST, LAST + 1)
    assert np.array_equal(anew[inside], fixed[inside]), "a new solve keeps what the artist did"
    assert not np.array_equal(anew[:FIRST], fixed[:FIRST])
    assert farm.main(folder, "review", "bulk_0") == 0
    assert farm.main(folder, "correct", "bulk_0", "--remove", "1") == 0
    as_solved = exported(farm, folder, "out2", "--as-solved")
    assert np.array_equal(exported(farm, folder, "out"), as_solved)
    assert farm.main(folder, "correct", "bulk_0", "--restore", "1") == 0
    assert np.array_equal(exported(farm, folder, "out"), anew)
    checked = json.loads(farm.run(folder, "verify", "--all", "--json"))
    assert checked["whole"]
    assert checked["corrections"]["files"] == 5
