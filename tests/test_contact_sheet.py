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
    assert {40, 29, 51} < set(chosen["best"]), "not neighbours"
    assert chosen["worst"] == [99, 88, 0, 77]
    middle = np.median(badness)
    assert all(abs(badness[frame] - middle) <= 11 for frame in chosen["median"])
    assert choose(np.zeros(2), apart=10)["worst"], "there may be fewer frames than places"
    few = choose(np.arange(12.0), apart=10)
    assert few["worst"][0] == 11
    assert len(set(few["worst"])) == 4, "nearer to each other where there is no room"


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 9, 12, 16, 24, 40, 61, 300])
def test_no_frame_is_better_than_one_that_the_sheet_calls_better(frames, smooth):
    rng = np.random.default_rng(frames)
    badness = rng.permutation(frames).astype(float)
    if smooth:  # the best frames beside each other, and the worst
        badness = np.cumsum(rng.normal(size=frames))
    chosen = choose(badness, apart=15)
    best, median, worst = (badness[chosen[kind]] for kind in ("best", "median", "worst"))
    assert best.max() <= median.min()
    assert median.max() <= worst.min()
    assert len(best) == len(worst) == min(4, max(1, round(frames / 3)))
    between = frames - 2 * len(best) if frames > 2 else frames
    assert len(set(chosen["median"])) == min(4, between)
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
