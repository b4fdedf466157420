"""Playblast: a solved shot as a video that any viewer plays, what the camera saw beside what was solved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facecap_core.exports.whole_path import whole_path
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.rasteriser import Camera, framing_camera
from facecap_core.reports.comparison import MeshPictures, as_rgb
from facecap_core.reports.figures import error_colours, scale_top_mm
from facecap_core.reports.lettering import PITCH, Lettering
from facecap_core.reports.page import one_thread
from facecap_core.reviews.reviewed_shot import ReviewedShot, Scene
from facecap_core.timecode import timecode

SIZE = (1280, 720)
_HEAD, _NAMES, _FOOT = 44, 24, 128  # rows above the panels, of their names, and below them
_MARGIN = 56  # columns left and right of the curve
_CURSOR = (213, 94, 0)
SIDE_DEGREES = 50.0


@dataclass(frozen=True)
class PlayblastResult:
    """What was written; `rmse_mm` is nan without a target."""

    path: Path
    frames: int
    rmse_mm: float


def write_playblast(
    path: Path,
    shot: ReviewedShot,
    *,
    threads: int = 1,
    quality: int = 20,
    on_progress: OnProgress | None = None,
) -> PlayblastResult:
    """Write an H.264 video of 1280x720, whole or not at all, in flat memory.

    Panels: the crop, the target, the result and their distance in colours where there is a target; else the crop
    and the result from the front and from the side. Below runs the error of each frame, or where there is no
    target how far the result moves, and the confidence where there is one.

    Args:
        threads: that draw.
        quality: x264's CRF; lower is better.

    Raises:
        FootageError, StoreError, PointCacheError: what is shown cannot be read.
        Cancelled: `on_progress` answered False.
    """
    errors = shot.rmse_mm(on_progress)
    curve = shot.motion_mm(on_progress) if errors is None else errors
    sheets = [_Sheet(shot, errors, curve) for _ in range(threads)]
    options = {"movflags": "+faststart"}  # players begin before they have it all
    with (
        whole_path(path) as temporary,
        av.open(str(temporary), "w", options=options) as container,
    ):
        stream = container.add_stream("libx264", rate=shot.solved.fps)
        stream.options = {"crf": str(quality), "preset": "veryfast", "tune": "animation"}
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for done, picture in enumerate(_pictures(shot, sheets)):
            report(on_progress, Progress("review", done, shot.frames))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    pooled = math.nan if errors is None else float(np.sqrt(np.mean(np.square(errors))))
    return PlayblastResult(path, shot.frames, pooled)


def _pictures(shot: ReviewedShot, sheets: Sequence[_Sheet]) -> Iterator[np.ndarray]:
    """All pictures in order, drawn on as many threads as there are sheets."""
    with one_thread(), ThreadPoolExecutor(len(sheets)) as pool:
        for scene in shot.scenes():
            for start in range(0, len(scene.luma), len(sheets)):
                numbers = range(start, min(start + len(sheets), len(scene.luma)))
                drawn = [
                    pool.submit(sheet.picture, scene, number)
                    for sheet, number in zip(sheets, numbers, strict=False)
                ]
                yield from (picture.result() for picture in drawn)


class _Sheet:
    """What stands still, and where the rest goes."""

    def __init__(self, shot: ReviewedShot, errors: np.ndarray | None, curve: np.ndarray) -> None:
        self._shot, self._errors = shot, errors
        self._names = ["input", "result", "result from the side"]
        top_mm = 0.0
        if errors is not None:
            top_mm = scale_top_mm(float(np.sqrt(np.mean(np.square(errors)))))
            self._names = ["input", "target", "result", "distance"]
        count = len(self._names)
        height = SIZE[1] - _HEAD - _NAMES - _FOOT
        self._width = min(SIZE[0] // count, height * 3 // 4)
        self._panel = (self._width, self._width * 4 // 3)
        self._left = (SIZE[0] - count * self._width) // 2
        self._top = _HEAD + _NAMES + (height - self._panel[1]) // 2
        front = framing_camera(shot.bounds(), 3 / 4)
        cameras = [front] if errors is not None else [front, _turned(front, shot.bounds())]
        self._views = [
            MeshPictures(
                shot.template.faces,
                camera=camera,
                size=self._panel,
                highest_mm=top_mm or 1.0,
                supersample=1,
            )
            for camera in cameras
        ]
        self._letters = Lettering()
        self._still = self._draw(curve, top_mm)

    def picture(self, scene: Scene, number: int) -> np.ndarray:
        """The picture of one of the scene's frames, uint8 [y, x, rgb]."""
        shot, front = self._shot, self._views[0]
        picture, frame, result = self._still.copy(), scene.first + number, scene.result[number]
        panels = [as_rgb(scene.luma[number], self._panel)]
        if scene.target is None:
            panels += [view.clay(result) for view in self._views]
        else:
            target = scene.target[number]
            distance = np.linalg.norm(result - target, axis=1) * shot.mm_per_unit
            panels += [
                front.clay(target),
                front.clay(result),
                front.difference(result, distance.astype(np.float32)),
            ]
        rows = slice(self._top, self._top + self._panel[1])
        for place, panel in enumerate(panels):
            left = self._left + place * self._width
            picture[rows, left : left + self._width] = panel
        self._letters.write(picture, f"{frame:6d}", 14, 70)
        self._letters.write(picture, timecode(frame, shot.solved.fps), 14, 240)
        if self._errors is not None:
            self._letters.write(picture, f"{self._errors[frame]:6.2f}", 14, 420)
        reach = SIZE[0] - 2 * _MARGIN - 1
        at = _MARGIN + round(reach * frame / max(shot.frames - 1, 1))
        picture[SIZE[1] - _FOOT + 26 : SIZE[1] - 24, at - 1 : at + 1] = _CURSOR
        return picture

    def _draw(self, curve: np.ndarray, top_mm: float) -> np.ndarray:
        """Names, units, the scale of colours, and the curve below the panels."""
        width, height = SIZE
        with mpl.rc_context({"font.family": "sans-serif", "font.size": 10.0}):
            figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
            canvas = FigureCanvasAgg(figure)

            def text(x: float, y: float, words: str, **more: Any) -> None:
                figure.text(x / width, 1 - y / height, words, va="center", **more)

            text(20, 22, "frame", color="#555555")
            text(150, 22, "timecode", color="#555555")
            if self._errors is not None:
                text(370, 22, "RMSE", color="#555555")
                text(424 + 6 * PITCH, 22, "mm", color="#555555")
            words = f"{self._shot.name}, solved by {self._shot.solved.model}"
            if self._shot.solved.corrections is not None:
                words += f", {len(self._shot.solved.corrections.frames)} frames corrected"
            text(width - 20, 22, words, ha="right")
            for place, name in enumerate(self._names):
                text(
                    self._left + (place + 0.5) * self._width, _HEAD + _NAMES / 2, name, ha="center"
                )
            if top_mm:
                self._draw_scale(figure, top_mm)
            self._draw_curve(figure, curve)
            canvas.draw()
            return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _draw_scale(self, figure: Figure, top_mm: float) -> None:
        width, height = SIZE
        left = self._left + len(self._names) * self._width - 180
        below = self._top + self._panel[1] + 20
        axes = figure.add_axes((left / width, 1 - below / height, 140 / width, 10 / height))
        axes.imshow(
            error_colours(np.linspace(0, top_mm, 128), top_mm)[None],
            aspect="auto",
            extent=(0, top_mm, 0, 1),
        )
        axes.set_yticks([])
        axes.set_xticks([0, top_mm / 2, top_mm], ["0", f"{top_mm / 2:g}", f"≥ {top_mm:g} mm"])
        axes.tick_params(length=2, labelsize=8)

    def _draw_curve(self, figure: Figure, curve: np.ndarray) -> None:
        width, height = SIZE
        axes = figure.add_axes(
            (
                _MARGIN / width,
                24 / height,
                1 - 2 * _MARGIN / width,
                (_FOOT - 52) / height,
            )
        )
        axes.fill_between(np.arange(len(curve)), curve, color="#e3e6ea", linewidth=0)
        axes.plot(curve, color="#333333", linewidth=1.0)
        axes.set_xlim(0, max(len(curve) - 1, 1))
        axes.set_ylim(0, max(float(np.max(curve)), 1e-6) * 1.1)
        label = "RMSE, mm" if self._errors is not None else "motion, mm/frame"
        axes.set_title(label, loc="left", fontsize=8, pad=2, color="#555555")
        axes.tick_params(length=2, labelsize=8, colors="#555555")
        for name in ("top", "right"):
            axes.spines[name].set_visible(False)
        confidence = self._shot.solved.confidence
        if confidence is not None:
            beside = axes.twinx()
            beside.plot(confidence, color="#0072b2", linewidth=1.0)
            beside.set_ylim(0, 1)
            beside.tick_params(length=2, labelsize=8, colors="#0072b2")
            beside.set_title("confidence", loc="right", fontsize=8, pad=2, color="#0072b2")
            beside.spines["top"].set_visible(False)


def _turned(front: Camera, bounds: np.ndarray) -> Camera:
    """The camera led around the face's vertical axis."""
    middle = bounds.mean(axis=0)
    x, y, z = np.subtract(front.position, middle)
    angle = math.radians(SIDE_DEGREES)
    turned = (
        x * math.cos(angle) + z * math.sin(angle),
        y,
        z * math.cos(angle) - x * math.sin(angle),
    )
    px, py, pz = (float(value) for value in middle + turned)
    target = (float(middle[0]), float(front.target[1]), float(middle[2]))
    return replace(front, position=(px, py, pz), target=target)
