"""Contact sheets: the best, median and worst frames of a shot, the whole result from the side."""

from __future__ import annotations

import numpy as np
import pytest

from facecap_core.madeup.actor import MadeUpActor
from facecap_core.rasteriser import Rasteriser
from facecap_core.reviews.contact_sheet import choose
from facecap_core.reviews.panels import side_camera


def test_the_contact_sheet_has_the_best_median_and_worst_frames():
    badness = np.abs(np.arange(100) - 40.0)  # best at 40, worst at the end
    chosen = choose(badness, apart=10)
    assert chosen["best"] == [40, 29, 51, 18], "not neighbours"
    assert chosen["worst"] == [99, 88, 0, 77]
    middle = np.median(badness)
    assert all(abs(badness[frame] - middle) <= 11 for frame in chosen["median"])
    assert choose(np.zeros(2), apart=10)["worst"], "there may be fewer frames than places"
    few = choose(np.arange(5.0), apart=10)
    assert few["worst"][0] == 4
    assert len(set(few["worst"])) == 4, "nearer to each other where there is no room"


@pytest.mark.parametrize("frames", [3, 5, 9, 12, 16, 24, 40, 61])
def test_the_frames_of_a_short_shot_are_of_the_kind_that_the_sheet_says(frames):
    badness = np.random.default_rng(frames).permutation(frames).astype(float)  # ranks
    chosen = choose(badness, apart=15)
    half = max(4, (frames + 1) // 2)
    assert all(badness[frame] < half for frame in chosen["best"])
    assert all(badness[frame] >= frames - half for frame in chosen["worst"])
    assert {len(kind) for kind in chosen.values()} == {min(4, frames)}
    for kind, sign in (("best", 1), ("worst", -1)):
        assert chosen[kind] == sorted(chosen[kind], key=lambda frame: sign * badness[frame])


def test_the_result_from_the_side_is_whole():
    actor = MadeUpActor(5)
    rest = actor.template
    bounds = np.stack([rest.min(0) - [0.2, 1.5, 0.2], rest.max(0) + [0.2, 0, 0.4]])
    drawing = Rasteriser(actor.mask.triangles(), size=(120, 160))
    for moved in (rest, rest + (bounds[0] - rest.min(0)), rest + (bounds[1] - rest.max(0))):
        seen = drawing.look(moved.astype(np.float32), side_camera(rest, bounds, 120 / 160))
        face = drawing.shade(seen, background=(0.0, 0.0, 0.0)).numpy().max(axis=0) > 0
        edges = [face[0], face[-1], face[:, 0], face[:, -1]]
        assert not np.concatenate(edges).any()
        assert face.any(axis=0).mean() > 0.6, "and large"
