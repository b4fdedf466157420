"""Slates: every letter above a review's pictures is drawn, and none runs into another."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from solved_shots import solve
from tiny_production import make_production

from facecap_core.productions.production import load_production
from facecap_core.reports.lettering import PITCH, Lettering
from facecap_core.reviews.measures import measure
from facecap_core.reviews.reviewed_shot import open_reviewed
from facecap_core.reviews.slate import Slate
from facecap_core.timecode import timecode


@pytest.mark.parametrize(
    "model", ["m1", "cpu_tuned_from_what_was_tracked_in_november_at_the_second_stage-5b2e8d01"]
)
def test_what_solved_a_shot_does_not_run_into_its_figures(tmp_path, model):
    folder = make_production(tmp_path / "show", bulk=1, frames=4)
    solve(folder, "bulk_0", 4, confidence=np.ones(4), model=model)
    shot = open_reviewed(load_production(folder), "bulk_0")
    luma = Slate(shot, measure(shot)).picture(next(shot.scenes()), 0).luma
    inked = (luma[:44] < 150).any(axis=0)
    assert inked[600:1262].any()
    assert not inked[460:470].any(), "between the unit of the error that is expected and the words"


@pytest.mark.parametrize("dropping", [False, True])
def test_every_character_of_a_timecode_is_drawn(dropping):
    text = timecode(107882, Fraction(30000, 1001), dropping=dropping)
    assert text == ("00:59:59;20" if dropping else "00:59:56:02")
    picture = np.full((16, PITCH * len(text)), 235, np.uint8)
    Lettering(video=True).write(picture, text, 0, 0)
    columns = picture.reshape(16, len(text), PITCH)
    assert (columns.min((0, 2)) < 128).all()
