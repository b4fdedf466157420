"""Region picture: a face in the colours of its regions, from the front and from the side."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from facecap_core.files import write_bytes_atomically
from facecap_core.openings import find_face
from facecap_core.rasteriser import framing_camera, render
from facecap_core.regions import REST, FaceRegions
from facecap_core.template import Template

SIZE = (480, 640)  # width, height of each of the two views
GRAY = (0.72, 0.70, 0.68)
UPPER, LOWER = (0.05, 0.05, 0.05), (1.0, 1.0, 1.0)
TURN_DEGREES = 40


def region_picture(template: Template, regions: FaceRegions) -> np.ndarray:
    """uint8 [y, x, rgb]: both views, and the names. Pairs are black above and white below."""
    colours = np.tile(np.array(GRAY, np.float32), (template.vertex_count, 1))
    names = [name for name in regions.groups if name != REST]
    palette = {name: mpl.colormaps["tab10"](number % 10)[:3] for number, name in enumerate(names)}
    for name, colour in palette.items():
        colours[regions.groups[name]] = colour
    for pairs in (regions.lip_pairs, regions.lid_pairs):
        colours[pairs[:, 0]], colours[pairs[:, 1]] = UPPER, LOWER
    face = find_face(template.positions, template.faces)
    # Upright whatever the mesh's axes; as it is where they are not known.
    upright = template.positions if isinstance(face, str) else face.coordinates(template.positions)
    turn = np.radians(TURN_DEGREES)
    side = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    views = [
        render(
            points.astype(np.float32),
            template.faces,
            camera=framing_camera(points, SIZE[0] / SIZE[1]),
            size=SIZE,
            supersample=2,
            colours=colours,
            background=(0.925, 0.933, 0.941),
        )
        for points in (upright, upright @ side.T)
    ]
    return _with_names(np.concatenate(views, axis=1), palette)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture uint8 [y, x, rgb]; the file appears whole.

    Raises:
        StoreError: it cannot be written.
    """
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(picture), format="png")
    write_bytes_atomically(path, buffer.getvalue())


def _with_names(
    picture: np.ndarray, palette: Mapping[str, tuple[float, float, float]]
) -> np.ndarray:
    width = picture.shape[1]
    with mpl.rc_context({"font.family": "sans-serif", "font.size": 10.0}):
        figure = Figure(figsize=(width / 100, 0.44), dpi=100, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        patches = [Patch(color=colour, label=name) for name, colour in palette.items()]
        patches.append(Patch(color=GRAY, label=REST))
        figure.legend(handles=patches, loc="center", ncols=len(patches), frameon=False)
        canvas.draw()
        names = np.asarray(canvas.buffer_rgba())[..., :3]
    return np.concatenate([picture, names[:, :width]])
