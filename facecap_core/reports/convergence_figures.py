"""Convergence figures: the runs that a page shows, a convolutional one as Figure 8 and a fully connected as 9."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facecap_core.errors import ModelError
from facecap_core.evaluation.subject import Subject
from facecap_core.learning.model import read_model_facts
from facecap_core.learning.validated import validated_on
from facecap_core.reports.convergence import (
    Level,
    convergence,
    final_validation_cm2,
    losses_cm2,
    read_epochs,
)
from facecap_core.reports.figures import BLUE

KINDS = ("convolutional", "fully-connected")


def convergence_figures(subject: Subject) -> list[dict[str, Any]]:
    """Charts of the model's own run, and of the actor's newest fully connected model beside it.

    A convolutional model's final validation loss is a dashed line in Figure 9, where both kinds of model
    have the same validation shots.

    Raises:
        ModelError: the model's metrics.jsonl is missing or damaged.
    """
    facts, models = subject.model.facts, subject.production.paths.models(subject.actor)
    own = kind_of(facts)
    other = newest_of_kind(models, KINDS[own == KINDS[0]], facts)
    charts = []
    convolutional: Path | None = subject.directory
    connected = other
    if own == KINDS[0]:
        charts += _chart(8, subject.directory, facts)
    else:
        convolutional, connected = other, subject.directory
    if connected is not None:
        charts += _chart(9, connected, read_model_facts(connected), beside=convolutional)
    return charts


def kind_of(facts: Mapping[str, Any]) -> str:
    """`convolutional` or `fully-connected`."""
    return str(facts["config"]["network"].get("kind", KINDS[0]))


def newest_of_kind(models: Path, kind: str, like: Mapping[str, Any]) -> Path | None:
    """The newest model of this kind in a folder of models, with the validation frames and targets of `like`."""
    found: list[tuple[str, Path]] = []
    for path in sorted(models.glob("*/model.json")):
        if path.parent.name.startswith("."):
            continue
        try:
            facts = read_model_facts(path.parent)
            if kind_of(facts) == kind and _held_against(facts) == _held_against(like):
                found.append((str(facts["made"]["date"]), path.parent))
        except (ModelError, KeyError, TypeError):
            continue  # in the making, or another version's
    return max(found)[1] if found else None


def _held_against(facts: Mapping[str, Any]) -> tuple[str, str]:
    return validated_on(facts), str(facts["config"].get("targets", "original"))


def _chart(
    figure: int, directory: Path, facts: Mapping[str, Any], *, beside: Path | None = None
) -> list[dict[str, Any]]:
    rows = read_epochs(directory)
    if not rows:
        return []
    share = facts["animated_count"] / facts["vertex_count"]
    known = facts["validation"]
    levels = [
        Level(label, float(losses_cm2(known[key], share)))
        for label, key in (("mean shape", "mean_shape_rmse_mm"), ("PCA floor", "pca_floor_rmse_mm"))
        if known.get(key) is not None
    ]
    reached = final_validation_cm2(read_epochs(beside)) if beside else None
    if reached:
        levels.append(Level("convolutional network", reached, (6, 3), BLUE))
    chart = convergence(rows, levels, animated_share=share, name=f"convergence{figure}")
    return [
        {
            "figure": figure,
            "chart": chart,
            "epochs": f"{rows[-1].epoch:g}",
            "model": facts["model"],
            "beside": read_model_facts(beside)["model"] if reached and beside else "",
        }
    ]
