"""Contact sheet: the best, median and worst frames of a solved shot in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from facecap_core.reports.figures import GREEN, VERMILION, scale_top_mm
from facecap_core.reviews.measures import Measures
from facecap_core.reviews.panels import CORRECTED, RESULT, Panels
from facecap_core.reviews.reviewed_shot import ReviewedShot, Scene
from facecap_core.reviews.slate import draw_scale
from facecap_core.reviews.time_line import FAINT
from facecap_core.whole_path import whole_path

EACH = 4  # frames of a kind
APART_SECONDS = 0.5  # so that they are not the same moment four times
KINDS = ("best", "median", "worst")
_PANEL = {3: (176, 234), 4: (132, 176)}  # by the number of panels
_HEAD, _KIND, _CAPTION, _GAP, _FOOT = 44, 30, 40, 16, 44


def choose(badness: np.ndarray, apart: int) -> dict[str, list[int]]:
    """The frames of each kind, the most so first; [frame], the lowest best; what is not a number is not shown.

    Each kind has a third of the frames, the best no worse than any median one and so on; within it they are at
    least `apart` frames from each other, or as far as there is room for. Of very few frames all may be median.
    """
    frames = np.flatnonzero(np.isfinite(badness))
    known = badness[frames]
    order = frames[np.argsort(known, kind="stable")]
    third = max(1, round(len(order) / 3))
    middle = order[third:-third] if len(order) > 2 else order
    off = np.abs(badness[middle] - np.median(known)) if len(known) else known
    kinds = {
        "best": order[:third],
        "median": middle[np.argsort(off, kind="stable")],
        "worst": order[::-1][:third],
    }
    return {kind: _apart(ranked.tolist(), apart) for kind, ranked in kinds.items()}


def _apart(ranked: Sequence[int], apart: int) -> list[int]:
    chosen: list[int] = []
    while apart >= 0 and len(chosen) < min(EACH, len(ranked)):
        for frame in ranked:
            if len(chosen) < EACH and all(abs(frame - other) > apart for other in chosen):
                chosen.append(frame)
        apart = apart // 2 if apart > 0 else -1
    return sorted(chosen, key=ranked.index)


class ContactSheet:
    """Is shown all scenes of a shot, keeps the frames that it needs, and draws them in the end."""

    def __init__(self, shot: ReviewedShot, measures: Measures) -> None:
        self._shot, self._measures = shot, measures
        badness = measures.badness[0]
        self.frames = choose(badness, round(APART_SECONDS * shot.solved.fps))
        self._kept: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray | None]] = {}

    def see(self, scene: Scene) -> None:
        """Keep what is needed of a scene."""
        for frame in {frame for kind in self.frames.values() for frame in kind}:
            number = frame - scene.first
            if 0 <= number < len(scene.luma):
                target = None if scene.target is None else scene.target[number].copy()
                result = scene.result[number].copy()
                self._kept[frame] = scene.luma[number].copy(), result, target

    def write(self, path: Path) -> None:
        """Write the PNG, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        rmse_mm = self._measures.rmse_mm
        top_mm = 1.0 if rmse_mm is None else scale_top_mm(rmse_mm)
        count = 3 if rmse_mm is None else 4
        size = _PANEL[count]
        # Drawn twice as large, and averaged: outlines of small faces would be stairs.
        panels = Panels(self._shot, (2 * size[0], 2 * size[1]), top_mm)
        tile = (count * size[0], _CAPTION + size[1])
        width = len(KINDS) * (tile[0] + _GAP) + _GAP
        top = _HEAD + _KIND
        height = top + EACH * (tile[1] + _GAP // 2) + _FOOT
        places = [
            (frame, _GAP + column * (tile[0] + _GAP), top + row * (tile[1] + _GAP // 2))
            for column, kind in enumerate(KINDS)
            for row, frame in enumerate(self.frames[kind])
        ]
        picture = self._still((width, height), tile, places, panels.names, top_mm)
        for frame, left, row in places:
            luma, result, target = self._kept[frame]
            gray = torch.from_numpy(panels.input(luma)).div(255).expand(3, -1, -1)
            shown = torch.cat([gray, *panels.meshes(result, target)], dim=2)[None]
            small = torch.nn.functional.avg_pool2d(shown, 2)[0].mul_(255).add_(0.5)
            beside = small.to(torch.uint8).permute(1, 2, 0).numpy()
            below = row + _CAPTION
            picture[below : below + size[1], left : left + tile[0]] = beside
        with whole_path(path) as temporary:
            imsave(temporary, picture, format="png")

    def _still(
        self,
        size: tuple[int, int],
        tile: tuple[int, int],
        places: Sequence[tuple[int, int, int]],
        panels: Sequence[str],
        top_mm: float,
    ) -> np.ndarray:
        """All words, and the scale of colours."""
        width, height = size
        shot, measures = self._shot, self._measures
        badness, name, unit = measures.badness
        names = shot.solved.names
        with mpl.rc_context({"font.family": "sans-serif", "font.size": 10.0}):
            figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
            canvas = FigureCanvasAgg(figure)

            def text(x: float, y: float, words: str, **more: Any) -> None:
                figure.text(x / width, 1 - y / height, words, va="center", **more)

            text(_GAP, 22, f"{shot.name}, solved by {shot.solved.solver}", fontsize=12)
            known = f", RMSE {measures.rmse_mm:.3f} mm" if measures.rmse_mm is not None else ""
            words = f"{shot.frames} frames{known}; ranked by {name}"
            if corrected := int(measures.corrected.sum()):
                words += f"; {corrected} frames corrected"
                words += ", not ranked" if np.isnan(badness).any() else ""
            text(width - _GAP, 22, words, ha="right", color=FAINT)
            for column, kind in enumerate(KINDS):
                left = _GAP + column * (tile[0] + _GAP)
                text(left, _HEAD + _KIND / 2 - 4, kind, fontsize=12, weight="bold")
            for frame, left, row in places:
                shown = f"{badness[frame]:.2f} {unit}".rstrip()
                about = f"frame {names.number(frame)}   {names.timecode(frame)}   {shown}"
                text(left, row + 9, about)
                flag = measures.flag_of(frame)
                if flag is not None:
                    text(left + tile[0], row + 9, flag.reason, ha="right", color=VERMILION)
                for number, panel in enumerate(panels):
                    middle = left + (number + 0.5) * tile[0] / len(panels)
                    mended = panel == RESULT and measures.corrected[frame]
                    words, colour = (CORRECTED, GREEN) if mended else (panel, FAINT)
                    text(middle, row + 29, words, ha="center", color=colour, fontsize=8)
            if measures.errors_mm is not None:
                bar = (width - _GAP - 190) / width, 24 / height, 170 / width, 10 / height
                draw_scale(figure.add_axes(bar), top_mm)
            canvas.draw()
            return np.asarray(canvas.buffer_rgba())[..., :3].copy()
