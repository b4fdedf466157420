"""Slate: the picture of a playblast, what stands still in it and where the rest goes."""

from __future__ import annotations

from copy import copy
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from facecap_core.reports.figures import GREEN, VERMILION, error_colours, scale_top_mm
from facecap_core.reports.lettering import PITCH, Lettering
from facecap_core.reviews.canvas import Planes
from facecap_core.reviews.measures import Measures
from facecap_core.reviews.panels import CORRECTED, RESULT, Panels
from facecap_core.reviews.reviewed_shot import ReviewedShot, Scene
from facecap_core.reviews.time_line import FAINT, draw_time_line

SIZE = (1280, 720)
_HEAD, _NAMES, _FOOT = 44, 24, 128  # rows above the panels, of their names, and below them
_NUMBERS = 24  # rows of the frame numbers at the bottom
_MARGIN = 72  # columns left and right of the time line
_ERROR, _EXPECTED = 376, 540  # columns of the figures of an error, and of an expected one beside it
_REASON = (820, 18)  # columns and rows
_CORRECTED = (80, 18)
_CURSOR = np.array((213, 94, 0), np.uint8)


class Slate:
    """Draws the pictures of one shot; not for two threads at once."""

    def __init__(self, shot: ReviewedShot, measures: Measures) -> None:
        self._shot, self._measures = shot, measures
        rmse_mm = measures.rmse_mm
        self._top_mm = 1.0 if rmse_mm is None else scale_top_mm(rmse_mm)
        count = 3 if rmse_mm is None else 4
        height = SIZE[1] - _HEAD - _NAMES - _FOOT
        # Even sizes and places, for video has one colour for two pixels.
        self._width = min(SIZE[0] // count, height * 3 // 4) // 2 * 2
        self._height = self._width * 4 // 3 // 2 * 2
        self._left = (SIZE[0] - count * self._width) // 4 * 2
        self._top = (_HEAD + _NAMES + (height - self._height) // 2) // 2 * 2
        self._panels = self._new_panels()
        self._letters = Lettering(video=True)
        self._cursor = Planes.of(np.tile(_CURSOR, (_FOOT - 18 - _NUMBERS - 2, 2, 1)))
        self._reasons = {
            flag: Planes.of(_line(f"{flag.reason}: {flag.detail}", _REASON, VERMILION, 9.0))
            for flag in measures.flags
        }
        self._expected = _ERROR if measures.errors_mm is None else _EXPECTED
        self._nothing = Planes.of(np.full((_HEAD, 160, 3), 255, np.uint8))  # for its name and unit
        self._corrected = Planes.of(_line(CORRECTED, _CORRECTED, GREEN, 10.0, middle=True))
        self._still = Planes.of(self._draw())

    def another(self) -> Slate:
        """One for another thread, without drawing again what stands still."""
        other = copy(self)
        other._panels = self._new_panels()
        return other

    def picture(self, scene: Scene, number: int) -> Planes:
        """The picture of one of the scene's frames."""
        picture, frame = self._still.copy(), scene.first + number
        target = None if scene.target is None else scene.target[number]
        left = self._left
        picture.put_gray(self._panels.input(scene.luma[number]), self._top, left)
        for panel in self._panels.meshes(scene.result[number], target):
            left += self._width
            picture.put_colours(panel, self._top, left)
        self._write(picture, frame)
        if self._measures.corrected[frame]:  # over the name of the panel
            middle = self._left + int((self._panels.names.index(RESULT) + 0.5) * self._width)
            above = self._top - (_NAMES + _CORRECTED[1]) // 2 - 1
            picture.put(self._corrected, above // 2 * 2, (middle - _CORRECTED[0] // 2) // 2 * 2)
        flag = self._measures.flag_of(frame)
        if flag is not None:
            picture.put(self._reasons[flag], SIZE[1] - _FOOT, SIZE[0] - _MARGIN - _REASON[0])
        reach = SIZE[0] - 2 * _MARGIN
        at = _MARGIN + int(reach * (frame + 0.5) / self._shot.frames) // 2 * 2
        picture.put(self._cursor, SIZE[1] - _FOOT + 18, at)
        return picture

    def _write(self, picture: Planes, frame: int) -> None:
        shot, errors, expected = self._shot, self._measures.errors_mm, self._measures.expected_mm
        names = shot.solved.names
        self._letters.write(picture.luma, f"{names.number(frame):6d}", 12, 62)
        self._letters.write(picture.luma, names.timecode(frame), 12, 198)
        if errors is not None:
            self._letters.write(picture.luma, f"{errors[frame]:6.2f}", 12, _ERROR)
        if expected is not None and np.isfinite(expected[frame]):
            self._letters.write(picture.luma, f"{expected[frame]:6.2f}", 12, self._expected)
        elif expected is not None:  # it is corrected: nothing is expected of it
            picture.put(self._nothing, 0, self._expected - 80)

    def _new_panels(self) -> Panels:
        return Panels(self._shot, (self._width, self._height), self._top_mm)

    def _draw(self) -> np.ndarray:
        """Names, units, the scale of colours, and the time line below the panels."""
        width, height = SIZE
        shot, measures = self._shot, self._measures
        with mpl.rc_context({"font.family": "sans-serif", "font.size": 10.0}):
            figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
            canvas = FigureCanvasAgg(figure)

            def text(x: float, y: float, words: str, **more: Any) -> Text:
                return figure.text(x / width, 1 - y / height, words, va="center", **more)

            def label(x: float, words: str, unit: str = "") -> None:
                text(x - 6, 22, words, color=FAINT, ha="right")
                text(x + 6 * PITCH + 4, 22, unit, color=FAINT)

            label(62, "frame")
            label(198, "timecode")
            if measures.errors_mm is not None:
                label(_ERROR, "RMSE", "mm")
            if measures.expected_mm is not None:
                label(self._expected, "expected", "mm")
            words = f"{shot.name}, solved by {shot.solved.solver}"
            if shot.solved.corrections is not None:
                words += f", {len(shot.solved.corrections.frames)} frames corrected"
            head = text(width - 20, 22, words, ha="right")
            room = width - 20 - self._expected - 120  # small letters are not quite in proportion
            wide = head.get_window_extent(canvas.get_renderer()).width
            head.set_fontsize(10.0 * min(1.0, room / wide))
            for place, name in enumerate(self._panels.names):
                middle = self._left + (place + 0.5) * self._width
                text(middle, self._top - _NAMES / 2, name, ha="center")
            if measures.errors_mm is not None:
                self._draw_scale(figure)
            curve, name = measures.curve
            draw_time_line(
                figure,
                (_MARGIN, height - _FOOT, width - 2 * _MARGIN, _FOOT - _NUMBERS),
                curve=curve,
                label=name,
                expected=measures.expected_mm if measures.errors_mm is not None else None,
                confidence=measures.confidence,
                corrected=measures.corrected,
                flags=measures.flags,
                start_frame=shot.start_frame,
            )
            canvas.draw()
            return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _draw_scale(self, figure: Figure) -> None:
        width, height = SIZE
        left = self._left + len(self._panels.names) * self._width - 180
        below = self._top + self._height + 20
        axes = figure.add_axes((left / width, 1 - below / height, 140 / width, 10 / height))
        draw_scale(axes, self._top_mm)


def draw_scale(axes: mpl.axes.Axes, top_mm: float) -> None:
    """The colours of distances, from 0 to `top_mm`."""
    colours = error_colours(np.linspace(0, top_mm, 128), top_mm)[None]
    axes.imshow(colours, aspect="auto", extent=(0, top_mm, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([0, top_mm / 2, top_mm], ["0", f"{top_mm / 2:g}", f"≥ {top_mm:g} mm"])
    axes.tick_params(length=2, labelsize=8)


def _line(
    words: str, size: tuple[int, int], colour: str, points: float, *, middle: bool = False
) -> np.ndarray:
    """Words in a picture of this size, to the right or in the middle: uint8 [y, x, rgb]."""
    width, height = size
    with mpl.rc_context({"font.family": "sans-serif", "font.size": points}):
        figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        x, side = (0.5, "center") if middle else (1, "right")
        figure.text(x, 0.5, words, ha=side, va="center", color=colour)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
