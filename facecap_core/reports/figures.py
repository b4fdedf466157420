"""Figures: the charts of a report as inline SVG, and its pictures as data URIs."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from facecap_core.reports.validation import Mark, ShotErrors

# Okabe and Ito's colours can be told apart with any colour vision; both lie well on white and on dark.
BLUE, VERMILION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
ERROR_COLOURS = (
    "magma_r"  # even steps of lightness: legible in gray print and with any colour vision
)

# matplotlib knows no CSS: these stand for the colours of the page until the SVG is made.
_INK, _FAINT, _BAND, _PAPER = "#010101", "#020202", "#030303", "#fcfdfe"
_CSS = {
    _INK: "var(--ink)",
    _FAINT: "var(--line)",
    _BAND: "var(--band)",
    _PAPER: "var(--paper)",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, small, in the font of the page
    "svg.hashsalt": "facecap",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9.0,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.1,
}


@dataclass(frozen=True)
class EpochRow:
    """What metrics.jsonl says about one epoch; None where nothing was validated."""

    epoch: float
    training_loss_cm2: float | None
    validation_loss_cm2: float | None


_MARK_STYLE: dict[Any, Any] = {
    "best": (GREEN, "o"),
    "median": (BLUE, "s"),
    "worst": (VERMILION, "^"),
}


def error_over_time(
    shots: Sequence[ShotErrors], marks: Sequence[Mark], *, all_mm: float, name: str = "error"
) -> str:
    """RMSE of each validation frame, shots laid side by side in their order (Figure 6), as SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11.0, 3.1), layout="constrained")
        axes = figure.subplots()
        total = sum(len(shot.rmse_mm) for shot in shots)
        gap = max(1.0, total * 0.004)
        narrow = any(len(shot.shot) > 150 * len(shot.rmse_mm) / max(total, 1) for shot in shots)
        step = max(1.0, round_up(total / 14, steps=(1.0, 2.0, 5.0, 10.0))) if total else 1.0
        highest = max(
            (float(np.max(shot.rmse_mm)) for shot in shots if len(shot.rmse_mm)), default=1
        )
        ticks: list[tuple[float, str]] = []
        start = 0.0
        for index, shot in enumerate(shots):
            frames = len(shot.rmse_mm)
            if index % 2 == 0:
                axes.axvspan(start, start + max(frames - 1, 1), color=_BAND, linewidth=0)
            axes.plot(start + np.arange(frames), shot.rmse_mm, color=_INK, linewidth=0.8)
            axes.annotate(
                shot.shot,
                (start if narrow else start + frames / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="left" if narrow else "center",
                va="bottom",
                rotation=35 if narrow else 0,
            )
            ticks += [(start + at, f"{at:.0f}") for at in np.arange(0, frames, step)]
            for mark in marks:
                if mark.shot == shot.shot:
                    colour, shape = _MARK_STYLE[mark.kind]
                    axes.plot(
                        [start + mark.frame],
                        [shot.rmse_mm[mark.frame]],
                        shape,
                        color=colour,
                        markersize=6.5,
                        markeredgecolor=_PAPER,
                        markeredgewidth=0.9,
                        zorder=3,
                        clip_on=False,
                    )
            start += frames + gap
        axes.axhline(all_mm, color=_INK, linewidth=0.9, linestyle=(0, (5, 3)))
        handles = [
            axes.plot([], [], shape, color=colour, markersize=6, label=kind)[0]
            for kind, (colour, shape) in _MARK_STYLE.items()
        ]
        handles += axes.plot(
            [], [], color=_INK, linewidth=0.9, linestyle=(0, (5, 3)), label=f"all: {all_mm:.2f} mm"
        )
        axes.legend(handles=handles, loc="upper left", ncols=4, handletextpad=0.4)
        axes.set_xlim(0, max(start - gap - 1, 1))
        axes.set_ylim(0, highest * 1.22)
        axes.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
        axes.set_xlabel("frame of the shot")
        axes.set_ylabel("RMSE (mm)")
        _grid(axes)
        return svg(figure, name)


def convergence(
    rows: Sequence[EpochRow],
    *,
    mean_shape_mm: float | None,
    pca_floor_mm: float | None,
    animated_share: float = 1.0,
    name: str = "convergence",
) -> str:
    """Training and validation loss over epochs on a logarithmic axis (Figure 8), as SVG.

    The right axis is the same as an RMSE in mm over the animated vertices, see `rmse_mm_of_losses`; the
    baselines are such RMSEs too.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11.0, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.set_yscale("log")
        few = len(rows) <= 30
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
                marker="o" if few else "",
                markersize=3,
            )
        last = max((row.epoch for row in rows), default=1)
        losses = [
            loss
            for row in rows
            for loss in (row.training_loss_cm2, row.validation_loss_cm2)
            if loss is not None and loss > 0
        ]
        # A basis that holds every target has a floor of nearly zero, for which no decades are spent.
        lowest = min(losses, default=1e-4) / 4
        for label, rmse_mm in (("mean shape", mean_shape_mm), ("PCA floor", pca_floor_mm)):
            if rmse_mm is not None:
                loss = max(float(losses_cm2(rmse_mm, animated_share)), lowest)
                below = " (below)" if loss == lowest else ""
                axes.axhline(loss, color=_INK, linewidth=0.8, linestyle=(0, (2, 3)))
                axes.annotate(
                    f"{label}{below}",
                    (1.0, loss),
                    xycoords=("axes fraction", "data"),
                    xytext=(-4, 3),
                    textcoords="offset points",
                    ha="right",
                )
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
        _grid(axes)
        return svg(figure, name)


def rmse_mm_of_losses(loss_cm2: ArrayLike, animated_share: float = 1.0) -> np.ndarray:
    """RMSE in mm over the animated vertices, of losses in cm² over the coordinates of all vertices.

    `animated_share` is the part of the vertices that is animated; the others are taken to have no error.
    With a share of 1 this is 10 * sqrt(3 * loss).
    """
    return np.asarray(10.0 * np.sqrt(3.0 * np.maximum(loss_cm2, 0.0) / animated_share))


def losses_cm2(rmse_mm: ArrayLike, animated_share: float = 1.0) -> np.ndarray:
    """Losses in cm² of RMSEs in mm: the inverse of `rmse_mm_of_losses`."""
    return np.asarray(np.square(np.asarray(rmse_mm) / 10.0) / 3.0 * animated_share)


def colour_bar(highest_mm: float, *, name: str, label: str = "difference (mm)") -> str:
    """The scale of the heat maps, 0 to `highest_mm`, as SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 0.62), layout="constrained")
        axes = figure.subplots()
        ramp = error_colours(np.linspace(0.0, highest_mm, 256), highest_mm)[None]
        axes.imshow(ramp, aspect="auto", extent=(0, highest_mm, 0, 1))
        axes.set_yticks([])
        marks = np.linspace(0.0, highest_mm, 5)
        axes.set_xticks(marks, [*(f"{mark:g}" for mark in marks[:-1]), f"≥ {highest_mm:g}"])
        axes.set_xlim(0, highest_mm)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlabel(label)
        return svg(figure, name)


def error_colours(distance_mm: np.ndarray, highest_mm: float) -> np.ndarray:
    """Heat-map colours of distances [...], as float32 [..., rgb] between 0 and 1."""
    # The map's last, black colours would hide the shading of the mesh.
    share = 0.92 * np.clip(np.asarray(distance_mm) / highest_mm, 0.0, 1.0)
    return np.asarray(mpl.colormaps[ERROR_COLOURS](share)[..., :3], dtype=np.float32)


def scale_top_mm(rmse_mm: float) -> float:
    """A round top for heat maps: about four times the RMSE, so that usual differences have colour."""
    return round_up(max(4.0 * rmse_mm, 1e-3))


def jpeg(picture: np.ndarray, *, quality: int = 85) -> bytes:
    """A picture, uint8 [y, x] gray or [y, x, rgb], as JPEG."""
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    buffer = io.BytesIO()
    imsave(
        buffer,
        np.ascontiguousarray(picture),
        format="jpg",
        pil_kwargs={"quality": quality, "optimize": True},
    )
    return buffer.getvalue()


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as an address that needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def svg(figure: Figure, name: str) -> str:
    """A figure as an `<svg>` element for HTML, in the colours of the page, with ids of its own.

    `name` keeps the ids of one figure apart from those of the others on the page.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for placeholder, variable in _CSS.items():
        text = text.replace(placeholder, variable)
    # The size is the page's business; the shape is in the viewBox.
    return re.sub(r'^<svg\b[^>]*?(viewBox="[^"]*")[^>]*>', r"<svg \1 aria-hidden='true'>", text)


def _grid(axes: Axes) -> None:
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)


def round_up(
    value: float, *, steps: Sequence[float] = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
) -> float:
    """The least of `steps` times a power of ten that is not below a positive `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    for step in steps:
        if step * power >= value * (1 - 1e-9):
            return float(f"{step * power:.6g}")
    return float(10.0 * power)
