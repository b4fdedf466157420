"""Expectation: how well the errors that a model expects of its frames agree with those that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from facecap_core.errors import StoreError
from facecap_core.evaluation.shot_measures import ShotMeasures
from facecap_core.evaluation.subject import Subject
from facecap_core.ranks import auroc_of_worst, spearman
from facecap_core.reports.figures import BLUE, INK, STYLE, grid, svg
from facecap_core.stores.groups import open_vertices

GROUPS = 10


@dataclass(frozen=True, eq=False)
class Expectation:
    """Expected and measured RMSE in mm of the same frames, float64 [frame]."""

    expected_mm: np.ndarray
    measured_mm: np.ndarray
    shots: tuple[str, ...]

    @property
    def rank_correlation(self) -> float:
        """Spearman's: 1 where the frames are put in their true order, 0 for no relation."""
        return spearman(self.expected_mm, self.measured_mm)

    @property
    def auroc(self) -> float:
        """How often a frame of the worst tenth is expected to be worse than one of the others."""
        return auroc_of_worst(self.expected_mm, self.measured_mm)


def read_expectation(subject: Subject, shots: Sequence[ShotMeasures]) -> Expectation | None:
    """What the vertex stores of measured shots expect; None where this model has solved none of them so."""
    expected, measured, names = [], [], []
    for shot in shots:
        path = subject.production.paths.vertices(subject.actor, shot.shot)
        try:
            store = open_vertices(path)
            same = store.attributes.get("model") == subject.model.facts["model"]
            if not same or not store.has("predicted_rmse_mm"):
                continue
            told = store.read("predicted_rmse_mm").astype(np.float64)
        except StoreError:
            continue  # not solved, or not whole: the page tells of what there is
        if len(told) == len(shot) and np.isfinite(told).all():
            expected.append(told)
            measured.append(shot.rmse_mm)
            names.append(shot.shot)
    if not names:
        return None
    return Expectation(np.concatenate(expected), np.concatenate(measured), tuple(names))


def expectation_chart(found: Expectation) -> str:
    """Measured error over expected error, in groups of equally many frames, as SVG."""
    order = np.argsort(found.expected_mm, kind="stable")
    groups = [group for group in np.array_split(order, GROUPS) if len(group)]
    x = np.array([found.expected_mm[group].mean() for group in groups])
    low, middle, high = (
        np.array([np.quantile(found.measured_mm[group], part) for group in groups])
        for part in (0.1, 0.5, 0.9)
    )
    top = 1.08 * float(max(x.max(), high.max()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 4.0), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, top], [0, top], color=INK, linewidth=0.8, linestyle=(0, (5, 3)))
        axes.vlines(x, low, high, color=BLUE, linewidth=2.0, alpha=0.6)
        axes.plot(x, middle, "o", color=BLUE, markersize=6)
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.set_xlabel("expected RMSE (mm)")
        axes.set_ylabel("measured RMSE (mm)")
        grid(axes)
        return svg(figure, "expectation")
