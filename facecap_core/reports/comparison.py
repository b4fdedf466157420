"""Comparison: target and result meshes side by side with their difference in mm, still and moving."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import matplotlib as mpl
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facecap_core.evaluation.clips import Clip
from facecap_core.rasteriser import Camera, Light, Lighting, Rasteriser
from facecap_core.reports.figures import error_colours
from facecap_core.reports.lettering import PITCH, Lettering

BACKGROUND = (0.925, 0.933, 0.941)
# Nearly all light comes from everywhere, so that a colour means the same millimetres wherever it is.
EVEN_LIGHT = Lighting(
    lights=(Light((0.0, 0.2, 1.0), (0.25, 0.25, 0.25)),), ambient=(0.75, 0.75, 0.75), wrap=0.0
)
# Rows of the moving face above its panels. The curve is at the top, since players cover the bottom.
_CURVE, _NAMES = 62, 26
_HEAD = _CURVE + _NAMES


class MeshPictures:
    """Draws meshes of one topology from one camera, as clay or as a heat map of distances."""

    def __init__(
        self,
        faces: np.ndarray,
        *,
        camera: Camera,
        size: tuple[int, int],
        highest_mm: float,
        supersample: int = 2,
        device: str | torch.device | None = None,
    ) -> None:
        """faces: int [face, 3]; size: (width, height); `highest_mm` has the last colour of the map."""
        large = (size[0] * supersample, size[1] * supersample)
        self.size = size
        self.highest_mm = highest_mm
        self._camera = camera
        self._supersample = supersample
        self._clay = Rasteriser(faces, size=large, device=device)
        self._even = Rasteriser(faces, size=large, device=device, lighting=EVEN_LIGHT)

    def clay(self, positions: np.ndarray) -> np.ndarray:
        """The mesh [vertex, xyz] as gray clay: uint8 [y, x, rgb]."""
        return self._small(self._clay.render(positions, camera=self._camera, background=BACKGROUND))

    def difference(self, positions: np.ndarray, distance_mm: np.ndarray) -> np.ndarray:
        """The mesh [vertex, xyz] in the colours of its distances [vertex]: uint8 [y, x, rgb]."""
        colours = error_colours(distance_mm, self.highest_mm)
        return self._small(
            self._even.render(
                positions, camera=self._camera, colours=colours, gloss=0.0, background=BACKGROUND
            )
        )

    def _small(self, picture: torch.Tensor) -> np.ndarray:
        if self._supersample == 1:
            return picture.cpu().numpy()
        blocks = picture.permute(2, 0, 1)[None].float()
        small = torch.nn.functional.avg_pool2d(blocks, self._supersample)[0]
        return small.add(0.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def moving_face(clip: Clip, pictures: MeshPictures, views: Sequence[str]) -> Iterator[np.ndarray]:
    """The frames of the moving face, uint8 [y, x, rgb]: each view, target, result, difference.

    Above them runs the error of the clip, with the moment that is shown; sides are even, as video needs.
    views: a name each.
    """
    width, height = pictures.size
    still = _surround(clip, pictures, views)
    letters = Lettering()
    columns = still.shape[1]
    curve_left, curve_width = int(width * 0.6), columns - int(width * 0.65)
    frames = len(clip)
    for index in range(frames):
        picture = still.copy()
        panels = (
            *(as_rgb(view, pictures.size) for view in clip.luma[index]),
            pictures.clay(clip.target[index]),
            pictures.clay(clip.result[index]),
            pictures.difference(clip.result[index], clip.distance_mm[index]),
        )
        for column, panel in enumerate(panels):
            picture[_HEAD : _HEAD + height, column * width : (column + 1) * width] = panel
        at = curve_left + round((curve_width - 1) * index / max(frames - 1, 1))
        picture[6 : _CURVE - 2, at - 1 : at + 1] = (213, 94, 0)
        letters.write(picture, f"{clip.start_frame + clip.first_frame + index:6d}", 10, 56)
        letters.write(picture, f"{clip.rmse_mm[index]:6.2f}", 34, 56)
        yield picture


def film_size(clip: Clip, pictures: MeshPictures) -> tuple[int, int]:
    """Width and height of the pictures of `moving_face`."""
    width, height = pictures.size
    return width * (clip.luma.shape[1] + 3), height + _HEAD


def encode_h264(pictures: Iterator[np.ndarray], *, fps: Fraction) -> bytes:
    """Pictures, uint8 [y, x, rgb] with even sides, as an MP4 that browsers play."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.options = {"crf": "24", "preset": "fast", "tune": "animation"}
        # Its tree of macroblocks reads memory that was never written, by AVX-512: the same pictures gave other bytes.
        stream.options["x264-params"] = "mbtree=0"
        stream.pix_fmt = "yuv420p"
        started = False
        for picture in pictures:
            if not started:
                stream.height, stream.width = picture.shape[:2]
                started = True
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def _surround(clip: Clip, pictures: MeshPictures, views: Sequence[str]) -> np.ndarray:
    """All that stands still: the names above the panels, and the curve below them."""
    columns, rows = film_size(clip, pictures)
    width = pictures.size[0]
    with mpl.rc_context({"font.family": "sans-serif", "font.size": 10.0}):
        figure = Figure(figsize=(columns / 100, rows / 100), dpi=100, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        names = (
            *views,
            "target",
            "result",
            f"difference, 0 to {pictures.highest_mm:g} mm",
        )
        for column, name in enumerate(names):
            figure.text(
                (column + 0.5) / len(names),
                1 - (_HEAD - _NAMES / 2) / rows,
                name,
                ha="center",
                va="center",
            )
        for line, label, unit in ((20, "frame", ""), (44, "RMSE", "mm")):
            y = 1 - line / rows
            figure.text(10 / columns, y, label, va="center", color="#555555")
            figure.text((60 + 6 * PITCH) / columns, y, unit, va="center", color="#555555")
        axes = figure.add_axes(
            (
                int(width * 0.6) / columns,
                1 - (_CURVE - 4) / rows,
                1 - 0.65 * width / columns,
                (_CURVE - 12) / rows,
            ),
            xticks=[],
            yticks=[],
        )
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.spines["bottom"].set_visible(True)
        axes.spines["bottom"].set_color("#bbbbbb")
        axes.fill_between(np.arange(len(clip.rmse_mm)), clip.rmse_mm, color="#e3e6ea", linewidth=0)
        axes.plot(clip.rmse_mm, color="#333333", linewidth=1.0)
        axes.set_xlim(0, max(len(clip.rmse_mm) - 1, 1))
        axes.set_ylim(0, max(float(clip.rmse_mm.max()), 1e-6) * 1.1)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def as_rgb(luma: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A gray picture [y, x] at another size, uint8 [y, x, rgb]."""
    if luma.shape != (size[1], size[0]):
        scaled = torch.nn.functional.interpolate(
            torch.from_numpy(np.ascontiguousarray(luma))[None, None].float(),
            size=(size[1], size[0]),
            mode="bilinear",
            antialias=True,
        )
        luma = scaled[0, 0].round().clamp(0, 255).to(torch.uint8).numpy()
    return np.repeat(luma[..., None], 3, axis=2)
