"""Figures: how charts get their style and become inline SVG, and pictures data URIs."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave

# Okabe and Ito's colours can be told apart with any colour vision; both lie well on white and on dark.
BLUE, VERMILION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
ERROR_COLOURS = (
    "magma_r"  # even steps of lightness: legible in gray print and with any colour vision
)

# matplotlib knows no CSS: these stand for the colours of the page until the SVG is made.
INK, FAINT, BAND, PAPER = "#010101", "#020202", "#030303", "#fcfdfe"
_CSS = {
    INK: "var(--ink)",
    FAINT: "var(--line)",
    BAND: "var(--band)",
    PAPER: "var(--paper)",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, small, in the font of the page
    "svg.hashsalt": "facecap",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9.0,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.1,
}


def colour_bar(highest_mm: float, *, name: str, label: str = "difference (mm)") -> str:
    """The scale of the heat maps, 0 to `highest_mm`, as SVG."""
    with mpl.rc_context(STYLE):
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


def jpeg(picture: np.ndarray) -> bytes:
    """A picture, uint8 [y, x] gray or [y, x, rgb], as JPEG."""
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    buffer = io.BytesIO()
    settings = {"quality": 85, "optimize": True}
    imsave(buffer, np.ascontiguousarray(picture), format="jpg", pil_kwargs=settings)
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


def grid(axes: Axes) -> None:
    """Horizontal lines behind what is drawn."""
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
