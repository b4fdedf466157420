"""Lettering: figures that change with every picture, drawn from a few pictures of letters."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LETTERS = "0123456789.:;-"
PITCH = 8  # columns a letter takes
_ROWS = 16


class Lettering:
    """Letters of equal width: drawing text anew for each picture would take most of the time."""

    def __init__(self, *, video: bool = False) -> None:
        """video: letters are the luma of video, uint8 [y, x] from 16 to 235; else uint8 [y, x, rgb]."""
        with mpl.rc_context({"font.family": "sans-serif", "font.size": 10.0}):
            figure = Figure(
                figsize=(len(LETTERS) * PITCH / 100, _ROWS / 100), dpi=100, facecolor="white"
            )
            canvas = FigureCanvasAgg(figure)
            for place, letter in enumerate(LETTERS):
                x = (place + 0.5) / len(LETTERS)
                figure.text(x, 0.12, letter, ha="center", va="baseline")
            canvas.draw()
            drawn = np.asarray(canvas.buffer_rgba())[..., :3]
        if video:
            drawn = np.round(16 + drawn.mean(axis=2) * (219 / 255)).astype(np.uint8)
        self._glyphs = {
            letter: drawn[:, place * PITCH : (place + 1) * PITCH].copy()
            for place, letter in enumerate(LETTERS)
        }

    def write(self, picture: np.ndarray, text: str, top: int, left: int) -> None:
        """Put `text` onto a picture [y, x, …] of the same kind as the letters; what is none of `LETTERS` is a space."""
        for place, letter in enumerate(text):
            if letter in self._glyphs:
                column = left + place * PITCH
                picture[top : top + _ROWS, column : column + PITCH] = self._glyphs[letter]
