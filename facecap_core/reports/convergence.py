"""Convergence: the losses of a training run over its epochs, as a chart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from facecap_core.errors import ModelError
from facecap_core.reports.figures import BLUE, INK, ORANGE, STYLE, grid, svg


@dataclass(frozen=True)
class EpochRow:
    """What metrics.jsonl says about one epoch; None where nothing was validated."""

    epoch: float
    training_loss_cm2: float | None
    validation_loss_cm2: float | None


@dataclass(frozen=True)
class Level:
    """A loss to draw as a horizontal line."""

    label: str
    loss_cm2: float
    dashes: tuple[float, float] = (2, 3)
    colour: str = INK


def read_epochs(directory: Path) -> list[EpochRow]:
    """metrics.jsonl of a model.

    Raises:
        ModelError: it is missing or damaged.
    """
    path = directory / "metrics.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        return [
            EpochRow(
                float(line["epoch"]), line["training_loss_cm2"], line.get("validation_loss_cm2")
            )
            for line in lines
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"is damaged: {error}", remedy="train again", file=path) from error


def final_validation_cm2(rows: Sequence[EpochRow]) -> float | None:
    """The last validation loss that was measured."""
    known = [row.validation_loss_cm2 for row in rows if row.validation_loss_cm2 is not None]
    return known[-1] if known else None


def convergence(
    rows: Sequence[EpochRow],
    levels: Sequence[Level],
    *,
    animated_share: float = 1.0,
    name: str = "convergence",
) -> str:
    """Training and validation loss over epochs on a logarithmic axis (Figures 8 and 9), as SVG.

    The right axis is the same as an RMSE in mm over the animated vertices, see `rmse_mm_of_losses`.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.set_yscale("log")
        _draw_losses(axes, rows)
        losses = [
            loss
            for row in rows
            for loss in (row.training_loss_cm2, row.validation_loss_cm2)
            if loss is not None and loss > 0
        ]
        # A basis that holds every target has a floor of nearly zero, for which no decades are spent.
        lowest = min(losses, default=1e-4) / 4
        for level in levels:
            loss = max(level.loss_cm2, lowest)
            below = " (below)" if loss == lowest else ""
            axes.axhline(loss, color=level.colour, linewidth=0.9, linestyle=(0, level.dashes))
            axes.annotate(
                f"{level.label}{below}",
                (1.0, loss),
                xycoords=("axes fraction", "data"),
                xytext=(-4, 3),
                textcoords="offset points",
                ha="right",
            )
        last = max((row.epoch for row in rows), default=1)
        axes.set_xlim(min((row.epoch for row in rows), default=0), max(last, 2))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss (cm²)")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
        right = axes.secondary_yaxis(
            "right",
            functions=(
                lambda loss: rmse_mm_of_losses(loss, animated_share),
                lambda rmse_mm: losses_cm2(rmse_mm, animated_share),
            ),
        )
        right.set_ylabel("RMSE (mm)")
        right.yaxis.set_major_formatter("{x:g}")
        right.yaxis.set_minor_formatter(
            FuncFormatter(lambda mm, _: f"{mm:g}" if f"{mm:e}"[0] in "235" else "")
        )
        grid(axes)
        return svg(figure, name)


def _draw_losses(axes: Axes, rows: Sequence[EpochRow]) -> None:
    for label, colour, points in (
        ("training", ORANGE, [(r.epoch, r.training_loss_cm2) for r in rows]),
        ("validation", BLUE, [(r.epoch, r.validation_loss_cm2) for r in rows]),
    ):
        known = [(epoch, loss) for epoch, loss in points if loss is not None and loss > 0]
        axes.plot(
            [epoch for epoch, _ in known],
            [loss for _, loss in known],
            color=colour,
            label=label,
            linewidth=1.5,
            marker="o" if len(rows) <= 30 else "",
            markersize=3,
        )


def rmse_mm_of_losses(loss_cm2: ArrayLike, animated_share: float = 1.0) -> np.ndarray:
    """RMSE in mm over the animated vertices, of losses in cm² over the coordinates of all vertices.

    `animated_share` is the part of the vertices that is animated; the others are taken to have no error.
    With a share of 1 this is 10 * sqrt(3 * loss).
    """
    return np.asarray(10.0 * np.sqrt(3.0 * np.maximum(loss_cm2, 0.0) / animated_share))


def losses_cm2(rmse_mm: ArrayLike, animated_share: float = 1.0) -> np.ndarray:
    """Losses in cm² of RMSEs in mm: the inverse of `rmse_mm_of_losses`."""
    return np.asarray(np.square(np.asarray(rmse_mm) / 10.0) / 3.0 * animated_share)
