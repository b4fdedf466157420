"""Frame charts: what was measured in each frame, the shots laid side by side, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facecap_core.evaluation.shot_measures import Aperture, ShotMeasures
from facecap_core.reports.figures import (
    BAND,
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    STYLE,
    VERMILION,
    grid,
    round_up,
    svg,
)
from facecap_core.reports.marks import Mark

# The colours of the dots in the paper's Figure 6; their shapes tell them apart without colour.
MARK_STYLE: dict[int, tuple[str, str, str]] = {
    4: (GREEN, "o", "Figure 4"),
    5: (ORANGE, "s", "Figure 5"),
    7: (VERMILION, "^", "Figure 7"),
}
_DASHED: Any = (0, (5, 3))


def error_over_time(shots: Sequence[ShotMeasures], marks: Sequence[Mark], *, all_mm: float) -> str:
    """RMSE of each frame with the frames that are shown elsewhere (Figure 6), as SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 3.1), layout="constrained")
        axes = figure.subplots()
        starts = _lay_out(axes, shots)
        highest = 0.0
        for shot in shots:
            at = starts[shot.shot] + np.arange(len(shot))
            axes.plot(at, shot.rmse_mm, color=INK, linewidth=0.8)
            highest = max(highest, float(shot.rmse_mm.max(initial=0.0)))
        for mark in marks:
            colour, shape, _ = MARK_STYLE[mark.figure]
            axes.plot(
                [starts[mark.shot] + mark.frame],
                [mark.rmse_mm],
                shape,
                color=colour,
                markersize=6.5,
                markeredgecolor=PAPER,
                markeredgewidth=0.9,
                zorder=3,
                clip_on=False,
            )
        axes.axhline(all_mm, color=INK, linewidth=0.9, linestyle=_DASHED)
        shown = {mark.figure for mark in marks}
        handles = [
            axes.plot([], [], shape, color=colour, markersize=6, label=label)[0]
            for number, (colour, shape, label) in MARK_STYLE.items()
            if number in shown
        ]
        handles += axes.plot(
            [], [], color=INK, linewidth=0.9, linestyle=_DASHED, label=f"all: {all_mm:.2f} mm"
        )
        axes.legend(handles=handles, loc="upper left", ncols=4, handletextpad=0.4)
        axes.set_ylim(0, (highest or 1) * 1.22)
        axes.set_ylabel("RMSE (mm)")
        return svg(figure, "error")


def errors_of_two(
    first: Sequence[ShotMeasures], second: Sequence[ShotMeasures], names: tuple[str, str]
) -> str:
    """RMSE of each frame of two models in one chart, as SVG; both of the same shots."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 3.1), layout="constrained")
        axes = figure.subplots()
        starts = _lay_out(axes, first)
        highest = 0.0
        for shots, label, colour, width in (
            (first, names[0], BLUE, 1.1),
            (second, names[1], ORANGE, 0.9),
        ):
            for shot in shots:
                at = starts[shot.shot] + np.arange(len(shot))
                axes.plot(at, shot.rmse_mm, color=colour, linewidth=width, label=label)
                highest = max(highest, float(shot.rmse_mm.max(initial=0.0)))
                label = "_"  # one line of the legend stands for all shots
        axes.legend(loc="upper left", ncols=2)
        axes.set_ylim(0, (highest or 1) * 1.22)
        axes.set_ylabel("RMSE (mm)")
        return svg(figure, "error")


def openings_over_time(shots: Sequence[ShotMeasures]) -> str | None:
    """How far mouth and eyes are open, target and result, as SVG; None where no pairs are known."""
    rows = [
        (label, found)
        for label, found in (
            ("lips apart (mm)", {shot.shot: shot.lips for shot in shots}),
            ("lids apart (mm)", {shot.shot: shot.lids for shot in shots}),
        )
        if any(len(aperture.target_mm) for aperture in found.values())
    ]
    if not rows:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 0.5 + 1.9 * len(rows)), layout="constrained")
        every = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for place, (axes, (label, found)) in enumerate(zip(every, rows, strict=True)):
            last = place == len(rows) - 1
            starts = _lay_out(axes, shots, names=not place, frames=last)
            _draw_openings(axes, starts, found)
            axes.set_ylabel(label)
        every[0].legend(loc="upper left", ncols=2)
        return svg(figure, "openings")


def _draw_openings(axes: Axes, starts: Mapping[str, float], found: Mapping[str, Aperture]) -> None:
    highest = 0.0
    for shot, aperture in found.items():
        at = starts[shot] + np.arange(len(aperture.target_mm))
        first = shot == next(iter(found))
        label = "target" if first else "_"
        axes.plot(at, aperture.target_mm, color=INK, linewidth=1.6, alpha=0.55, label=label)
        label = "result" if first else "_"
        axes.plot(at, aperture.result_mm, color=VERMILION, linewidth=0.9, label=label)
        both = np.concatenate([aperture.target_mm, aperture.result_mm])
        highest = max(highest, float(both.max(initial=0.0)))
    axes.set_ylim(0, (highest or 1) * 1.25)


def _lay_out(
    axes: Axes, shots: Sequence[ShotMeasures], *, names: bool = True, frames: bool = True
) -> dict[str, float]:
    """Where each shot begins; bands and names tell them apart, and ticks count each one's frames."""
    total = sum(map(len, shots))
    gap = max(1.0, total * 0.004)
    narrow = any(len(one.shot) > 150 * len(one) / max(total, 1) for one in shots)
    step = max(1.0, round_up(total / 14, steps=(1.0, 2.0, 5.0, 10.0))) if total else 1.0
    ticks: list[tuple[float, str]] = []
    starts, start = {}, 0.0
    for index, one in enumerate(shots):
        count = len(one)
        starts[one.shot] = start
        if index % 2 == 0:
            axes.axvspan(start, start + max(count - 1, 1), color=BAND, linewidth=0)
        if names:
            axes.annotate(
                one.shot,
                (start if narrow else start + count / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="left" if narrow else "center",
                va="bottom",
                rotation=35 if narrow else 0,
            )
        ticks += [(start + at, f"{one.start_frame + at:.0f}") for at in np.arange(0, count, step)]
        start += count + gap
    axes.set_xlim(0, max(start - gap - 1, 1))
    axes.set_xticks([at for at, _ in ticks], [text if frames else "" for _, text in ticks])
    if frames:
        axes.set_xlabel("frame of the shot")
    grid(axes)
    return starts
