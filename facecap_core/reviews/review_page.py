"""Review page: a solved shot to be turned, played and searched for its faults, in a browser without network."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from facecap_core.corrections.correction import runs
from facecap_core.errors import ConfigError
from facecap_core.flags.flagged_range import ranked
from facecap_core.frame_names import FrameNames
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.reports.figures import error_colours, round_up, scale_top_mm
from facecap_core.reviews.measures import Measures
from facecap_core.reviews.packed_scene import SIZE, packed_scenes
from facecap_core.reviews.reviewed_shot import ReviewedShot
from facecap_core.whole_path import whole_path

INSTALL = "pip install 'facecap-farm[viewer]'"
FOV_DEGREES = 30.0
_SCENES = "<!-- scenes -->"


def review_page(shot: ReviewedShot, measures: Measures, others: Sequence[str] = ()) -> str:
    """The page as HTML; it asks for `scenes/NUMBER` where a scene is not in the page itself.

    Args:
        others: names of shots that the page offers as `../NAME/`.

    Raises:
        ConfigError: the viewer is not installed.
        StoreError: the shot cannot be read.
    """
    motion_top_mm = scale_top_mm(math.sqrt(float(np.mean(np.square(measures.motion_mm)))))
    rmse_mm = measures.rmse_mm
    top_mm = motion_top_mm if rmse_mm is None else scale_top_mm(rmse_mm)
    told: dict[str, Any] = {
        "shot": shot.name,
        "frames": shot.frames,
        "fps": float(shot.solved.fps),
        "start_frame": shot.start_frame,
        "timecode": _timecode(shot.solved.names),
        "vertices": shot.template.vertex_count,
        "target": rmse_mm is not None,
        "batch": SIZE,
        "mm_per_unit": shot.mm_per_unit,
        "tops_mm": {"distance": top_mm, "motion": motion_top_mm},
        "colours": _colours(),
        "camera": _camera(shot.bounds),
        "corrected": runs(np.flatnonzero(measures.corrected)),
        "curves": _curves(measures, shot.solved.novelty),
        "flags": [
            {**asdict(flag), "timecode": shot.solved.names.timecode(flag.first)}
            for flag in ranked(measures.flags)
        ],
    }
    library, scene = _library(), _scene(shot, told["camera"], top_mm)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_text("review_page.html")).render(
        told=told,
        solver=shot.solved.solver,
        frames_corrected=int(measures.corrected.sum()),
        others=others,
        scene=base64.b64encode(scene).decode(),
        library=library,
        script=_text("review_page.js"),
    )


def save_review_page(
    path: Path,
    shot: ReviewedShot,
    measures: Measures,
    *,
    threads: int = 1,
    on_progress: OnProgress | None = None,
) -> int:
    """Write the page with all its scenes as one file that needs no other, and return its size in bytes.

    Raises:
        ConfigError, FootageError, StoreError, PointCacheError: as above.
        Cancelled: `on_progress` answered False.
    """
    before, after = review_page(shot, measures).split(_SCENES)
    with whole_path(path) as temporary:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(before)
            for number, scene in enumerate(packed_scenes(shot, threads)):
                report(on_progress, Progress("review", number * SIZE, shot.frames))
                text = base64.b64encode(scene).decode()
                file.write(f'<script type="text/plain" id="scene-{number}">{text}</script>\n')
            file.write(after)
        return temporary.stat().st_size


def _timecode(names: FrameNames) -> dict[str, Any]:
    """How the page counts timecode: from where, how many a second, how many it leaves out in a minute."""
    rate = max(1, round(names.fps))
    dropped = rate // 15 if names.dropping else 0
    return {"start": names.counted_from, "rate": rate, "dropped": dropped}


def check_viewer() -> None:
    """Raises ConfigError where the optional viewer is not installed."""
    try:
        resources.files("k3d")
    except ModuleNotFoundError:
        raise ConfigError("the interactive view needs k3d", remedy=INSTALL) from None


def _curves(measures: Measures, novelty: np.ndarray | None) -> list[dict[str, Any]]:
    """What is drawn below the pictures, a strip each; lines of one strip share a unit and a scale."""
    strips: list[tuple[str, float | None, dict[str, np.ndarray | None]]] = [
        ("mm", None, {"RMSE": measures.errors_mm, "expected RMSE": measures.expected_mm}),
        ("mm/frame", None, {"motion": measures.motion_mm}),
        ("", 1.0, {"confidence": measures.confidence}),
        ("", None, {"novelty": novelty}),
    ]
    told = []
    for unit, top, named in strips:
        lines = {name: values for name, values in named.items() if values is not None}
        if lines:
            highest = max(float(np.nanmax(values)) for values in lines.values())
            told.append(
                {
                    "unit": unit,
                    "top": top or round_up(highest or 1.0),
                    "lines": [{"name": n, "values": _rounded(v)} for n, v in lines.items()],
                }
            )
    return told


def _rounded(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]


def _colours() -> list[float]:
    """The heat map's colours as k3d wants them: place, red, green, blue, and so on."""
    places = np.linspace(0.0, 1.0, 65)
    return [round(float(v), 4) for v in np.column_stack([places, error_colours(places, 1.0)]).flat]


def _camera(bounds: np.ndarray) -> list[float]:
    """Before the face, which it sees whole: its place, the point that it looks at and turns around, its up."""
    low, high = bounds
    middle, extent = (low + high) / 2, high - low
    away = 0.58 * max(extent[0], extent[1]) / math.tan(math.radians(FOV_DEGREES / 2))
    return [float(v) for v in (*middle[:2], high[2] + away, *middle, 0, 1, 0)]


def _scene(shot: ReviewedShot, camera: list[float], top_mm: float) -> bytes:
    """The mesh at rest before k3d's camera, as its viewer loads it."""
    import k3d

    plot = k3d.plot(
        grid_visible=False,
        menu_visibility=False,
        camera_auto_fit=False,
        camera_fov=FOV_DEGREES,
        camera_mode="orbit",
        axes_helper=0,
        background_color=0xECEEF0,
        camera=camera,
    )
    plot += k3d.mesh(
        shot.template.positions.astype(np.float32),
        shot.template.faces.astype(np.uint32),
        attribute=np.zeros(shot.template.vertex_count, np.float32),
        color_map=_colours(),
        color_range=[0.0, top_mm],
        flat_shading=False,
        side="double",
    )
    return bytes(plot.get_binary_snapshot())


def _library() -> str:
    """k3d's viewer, fit to stand in a page."""
    check_viewer()
    source = resources.files("k3d").joinpath("static", "standalone.js").read_text("utf-8")
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _text(name: str) -> str:
    return resources.files("facecap_core.reviews").joinpath(name).read_text("utf-8")
