"""Learning curve: error against minutes of training footage, over models that differ in nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from facecap_core.errors import ModelError
from facecap_core.learning.model import read_model_facts
from facecap_core.learning.validated import validated_on
from facecap_core.reports.figures import BLUE, INK, ORANGE, STYLE, grid, svg

UNALIKE = ("seed", "preset", "validate_every_epochs")  # settings that may differ


@dataclass(frozen=True)
class Trained:
    """A model on the curve."""

    model: str
    minutes: float  # of training footage
    rmse_mm: float  # on the validation shots
    this: bool


def trained_alike(models: Path, facts: Mapping[str, Any]) -> list[Trained]:
    """The models of a folder that were trained and validated as this one, by minutes of footage.

    At least this one, where it was validated; those that were fine-tuned from another model, or saw
    corrections, are of another kind.
    """
    found = []
    for path in sorted(models.glob("*/model.json")):
        if path.parent.name.startswith("."):
            continue
        try:
            other = read_model_facts(path.parent)
            if _kind(other) == _kind(facts) and other["validation"].get("rmse_mm") is not None:
                frames = int(other["training"]["frames"])
                found.append(
                    Trained(
                        model=str(other["model"]),
                        minutes=float(frames / Fraction(str(other["fps"])) / 60),
                        rmse_mm=float(other["validation"]["rmse_mm"]),
                        this=other["model"] == facts["model"],
                    )
                )
        except (ModelError, KeyError, TypeError, ValueError):
            continue  # in the making, or another version's
    return sorted(found, key=lambda one: (one.minutes, one.model))


def amounts(curve: Sequence[Trained]) -> int:
    """How many different amounts of footage there are."""
    return len({round(one.minutes, 2) for one in curve})


def learning_curve(curve: Sequence[Trained]) -> str:
    """RMSE over minutes, both logarithmic, as SVG; the page's own model is a square."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 3.0), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        minutes = [one.minutes for one in curve]
        axes.plot(minutes, [one.rmse_mm for one in curve], color=INK, linewidth=0.8)
        for one in curve:
            colour, shape = (ORANGE, "s") if one.this else (BLUE, "o")
            axes.plot([one.minutes], [one.rmse_mm], shape, color=colour, markersize=7)
            axes.annotate(
                f"{one.rmse_mm:.2f}",
                (one.minutes, one.rmse_mm),
                xytext=(0, 8),
                textcoords="offset points",
                ha="center",
            )
        axes.set_xlim(min(minutes) / 1.3, max(minutes) * 1.3)
        low, high = min(one.rmse_mm for one in curve), max(one.rmse_mm for one in curve)
        axes.set_ylim(low / 1.3, high * 1.4)
        ticks = sorted({round(one, 1) for one in minutes})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_yticks([low, high], [f"{low:.2g}", f"{high:.2g}"])
        axes.minorticks_off()
        axes.set_xlabel("minutes of training footage")
        axes.set_ylabel("validation RMSE (mm)")
        grid(axes)
        return svg(figure, "learning")


def _kind(facts: Mapping[str, Any]) -> tuple[Any, ...]:
    config = {name: value for name, value in facts["config"].items() if name not in UNALIKE}
    training = facts["training"]
    return (
        config,
        facts["cameras"],
        facts["topology_sha256"],
        facts["crop"],
        validated_on(facts),
        training.get("base"),
        training.get("corrections"),
    )
