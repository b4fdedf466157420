"""Time line: what is known of each frame of a shot, drawn below its pictures from first to last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from facecap_core.corrections.correction import runs
from facecap_core.flags.flagged_range import FlaggedRange
from facecap_core.reports.figures import GREEN, VERMILION

# Red is none, blue is as good as usual; told apart with any colour vision.
CONFIDENCE_COLOURS = "RdYlBu"
INK, FAINT = "#333333", "#555555"
# Rows of the confidence, of the marks of ranges, and between.
_STRIP, _MARKS, _GAP = 10, 8, 2
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
    start_frame: int,
) -> None:
    """A curve [frame] with the expected error beside it; below it the flagged ranges, those that are corrected
    (bool [frame]), and a strip of confidence.

    place: left, top, width and height in pixels of the figure, without the numbers of frames below, which
        begin with `start_frame`.
    """
    left, top, width, height = place
    band = _Band(figure, left, width, len(curve))
    lowest = top + height
    if confidence is not None:
        lowest -= _STRIP
        _draw_confidence(band.axes(lowest, _STRIP), confidence)
        band.name(lowest + _STRIP / 2, "confidence")
        lowest -= _GAP
    marked = {
        "corrected": (GREEN, runs(np.flatnonzero(corrected))),
        "flagged": (VERMILION, [(flag.first, flag.last) for flag in flags]),
    }
    for words, (colour, ranges) in marked.items():
        if ranges:
            lowest -= _MARKS
            least = len(curve) / width * 3  # pixels, so that a single frame is seen
            _draw_ranges(band.axes(lowest, _MARKS), ranges, colour, least)
            band.name(lowest + _MARKS / 2, words)
            lowest -= _GAP
    _draw_curve(band.axes(top + _TITLE, lowest - top - _TITLE), curve, label, expected)
    _draw_numbers(band.axes(top + height, 0.1), len(curve), start_frame)


@dataclass(frozen=True)
class _Band:
    """Where the frames of a shot stand side by side, in pixels of the figure from its upper left."""

    figure: Figure
    left: float
    width: float
    frames: int

    def axes(self, first_row: float, count: float) -> mpl.axes.Axes:
        """So many rows of it, in which x is the number of a frame."""
        columns, rows = self._size
        made = self.figure.add_axes(
            (
                self.left / columns,
                1 - (first_row + count) / rows,
                self.width / columns,
                count / rows,
            )
        )
        made.set_xlim(-0.5, max(self.frames - 0.5, 0.5))
        made.tick_params(length=2, labelsize=8, colors=FAINT)
        for spine in made.spines.values():
            spine.set_visible(False)
        made.set_xticks([])
        made.set_yticks([])
        return made

    def name(self, row: float, words: str) -> None:
        """Words to the left of a row."""
        columns, rows = self._size
        x, y = (self.left - 6) / columns, 1 - row / rows
        self.figure.text(x, y, words, ha="right", va="center", fontsize=7, color=FAINT)

    @property
    def _size(self) -> tuple[float, float]:
        columns, rows = (self.figure.get_size_inches() * self.figure.dpi).tolist()
        return columns, rows


def _draw_confidence(axes: mpl.axes.Axes, confidence: np.ndarray) -> None:
    axes.imshow(
        np.asarray(confidence)[None],
        cmap=CONFIDENCE_COLOURS,
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, len(confidence) - 0.5, 0, 1),
    )


def _draw_ranges(
    axes: mpl.axes.Axes, ranges: Sequence[tuple[int, int]], colour: str, least: float
) -> None:
    """Ranges of frames, both ends included, at least `least` frames wide."""
    axes.set_ylim(0, 1)
    axes.axhspan(0, 1, color="#f1f3f5", linewidth=0)
    for first, last in ranges:
        reach = max(last + 1 - first, least)
        axes.barh(0.5, reach, 1, left=first - 0.5, color=colour, linewidth=0)


def _draw_curve(
    axes: mpl.axes.Axes, curve: np.ndarray, label: str, expected: np.ndarray | None
) -> None:
    axes.fill_between(np.arange(len(curve)), curve, color="#e3e6ea", linewidth=0)
    axes.plot(curve, color=INK, linewidth=1.0)
    highest = float(np.max(curve))
    title = label
    if expected is not None:
        axes.plot(expected, color="#0072b2", linewidth=1.0)
        highest = max(highest, float(np.nanmax(expected)))
        title = f"{label}; blue: expected"
    highest = max(highest, 1e-6) * 1.1
    axes.set_ylim(0, highest)
    axes.set_yticks([highest / 1.1], [f"{highest / 1.1:.2g}"])
    axes.set_title(title, loc="left", fontsize=8, pad=3, color=FAINT)
    for name in ("left", "bottom"):
        axes.spines[name].set_visible(True)
        axes.spines[name].set_color("#bbbbbb")


def _draw_numbers(axes: mpl.axes.Axes, frames: int, start_frame: int) -> None:
    """A round number every so many frames."""
    step = max(1, round(frames / 12 / 10) * 10) if frames > 60 else max(1, frames // 6)
    named = range(-(-start_frame // step) * step, start_frame + frames, step)
    axes.set_xticks([name - start_frame for name in named], [str(name) for name in named])
