"""Time line: what is known of each frame of a shot, drawn below its pictures from first to last."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from facecap_core.corrections.correction import runs
from facecap_core.flags.flagged_range import FlaggedRange
from facecap_core.reports.figures import GREEN, VERMILION

CONFIDENCE_COLOURS = (
    "RdYlBu"  # red is none, blue is as good as usual; told apart with any colour vision
)
INK, FAINT = "#333333", "#555555"
_STRIP, _MARKS, _GAP = (
    10,
    8,
    2,
)  # rows of the confidence, of the marks of ranges, and between
_TITLE = 18


def draw_time_line(
    figure: Figure,
    place: tuple[int, int, int, int],
    *,
    curve: np.ndarray,
    label: str,
    expected: np.ndarray | None,
    confidence: np.ndarray | None,
    corrected: np.ndarray,
    flags: Sequence[FlaggedRange],
    start_frame: int = 0,
) -> None:
    """A curve [frame] with the expected error beside it; below it the flagged ranges, those that are corrected
    (bool [frame]), and a strip of confidence.

    place: left, top, width and height in pixels of the figure, without the numbers of frames below, which
        begin with `start_frame`.
    """
    columns, rows = (figure.get_size_inches() * figure.dpi).tolist()
    left, top, width, height = place
    frames, below = len(curve), top + height

    def axes(first_row: float, count: float) -> mpl.axes.Axes:
        made = figure.add_axes(
            (left / columns, 1 - (first_row + count) / rows, width / columns, count / rows)
        )
        made.set_xlim(-0.5, max(frames - 0.5, 0.5))
        made.tick_params(length=2, labelsize=8, colors=FAINT)
        for spine in made.spines.values():
            spine.set_visible(False)
        made.set_xticks([])
        made.set_yticks([])
        return made

    lowest = below
    if confidence is not None:
        lowest -= _STRIP
        strip = axes(lowest, _STRIP)
        strip.imshow(
            np.asarray(confidence)[None],
            cmap=CONFIDENCE_COLOURS,
            vmin=0,
            vmax=1,
            aspect="auto",
            interpolation="nearest",
            extent=(-0.5, frames - 0.5, 0, 1),
        )
        _beside(figure, left - 6, lowest + _STRIP / 2, "confidence", columns, rows)
        lowest -= _GAP
    marked = {
        "corrected": (GREEN, runs(np.flatnonzero(corrected))),
        "flagged": (VERMILION, [(flag.first, flag.last) for flag in flags]),
    }
    for words, (colour, ranges) in marked.items():
        if not ranges:
            continue
        lowest -= _MARKS
        marks = axes(lowest, _MARKS)
        marks.set_ylim(0, 1)
        marks.axhspan(0, 1, color="#f1f3f5", linewidth=0)
        least = frames / width * 3  # pixels, so that a single frame is seen
        for first, last in ranges:
            reach = max(last + 1 - first, least)
            marks.barh(0.5, reach, 1, left=first - 0.5, color=colour, linewidth=0)
        _beside(figure, left - 6, lowest + _MARKS / 2, words, columns, rows)
        lowest -= _GAP
    main = axes(top + _TITLE, lowest - top - _TITLE)
    main.fill_between(np.arange(frames), curve, color="#e3e6ea", linewidth=0)
    main.plot(curve, color=INK, linewidth=1.0)
    highest = float(np.max(curve))
    title = label
    if expected is not None:
        main.plot(expected, color="#0072b2", linewidth=1.0)
        highest = max(highest, float(np.nanmax(expected)))
        title = f"{label}; blue: expected"
    highest = max(highest, 1e-6) * 1.1
    main.set_ylim(0, highest)
    main.set_yticks([highest / 1.1], [f"{highest / 1.1:.2g}"])
    main.set_title(title, loc="left", fontsize=8, pad=3, color=FAINT)
    for name in ("left", "bottom"):
        main.spines[name].set_visible(True)
        main.spines[name].set_color("#bbbbbb")
    numbers = axes(below, 0.1)
    step = max(1, round(frames / 12 / 10) * 10) if frames > 60 else max(1, frames // 6)
    named = range(-(-start_frame // step) * step, start_frame + frames, step)
    numbers.set_xticks([name - start_frame for name in named], [str(name) for name in named])


def _beside(
    figure: Figure, right: float, row: float, words: str, columns: float, rows: float
) -> None:
    figure.text(
        right / columns, 1 - row / rows, words, ha="right", va="center", fontsize=7, color=FAINT
    )
