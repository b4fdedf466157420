"""Worst moments: single frames of solved shots as thumbnails, what the camera saw beside the result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from facecap_core.errors import Cancelled, FacecapError, StoreError
from facecap_core.fingerprints import fingerprint_footage
from facecap_core.footage.footage import Footage
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.rasteriser import framing_camera
from facecap_core.reports.comparison import MeshPictures, as_rgb
from facecap_core.reports.page import one_thread
from facecap_core.reports.report_pictures import shown
from facecap_core.solved_shot import SolvedShot, open_solved
from facecap_core.stores.groups import open_frames

THUMBNAIL = (180, 240)  # width, height


def thumbnails(
    production: Production,
    moments: Sequence[tuple[str, int]],
    on_progress: OnProgress | None = None,
) -> list[list[dict[str, Any]]]:
    """Of each moment (shot, frame) two pictures for the page: the crop, and the result.

    Where the shot's stores or footage cannot be read any more, or are others, a picture is missing: a page about a night
    is no place to fail for it.

    Raises:
        Cancelled: `on_progress` answered False.
    """
    found = []
    with one_thread():
        for done, (name, frame) in enumerate(moments):
            report(on_progress, Progress("thumbnails", done, len(moments), unit="shots"))
            pictures = []
            try:
                solved = open_solved(production, name)
                called = f"of {name}, frame {solved.start_frame + frame}"
                pictures.append(shown(_result(solved, frame), f"result {called}"))
                luma = _luma(production, solved, frame)
                crop = as_rgb(luma, THUMBNAIL)
                pictures.insert(0, shown(crop, f"what the camera saw {called}"))
            except Cancelled:
                raise
            except FacecapError:
                pass
            found.append(pictures)
    return found


def _result(solved: SolvedShot, frame: int) -> np.ndarray:
    (points,) = solved.read(frame, frame + 1)
    rest = solved.template.positions
    bounds = np.stack(
        [np.minimum(points.min(0), rest.min(0)), np.maximum(points.max(0), rest.max(0))]
    )
    pictures = MeshPictures(
        solved.template.faces,
        camera=framing_camera(bounds, THUMBNAIL[0] / THUMBNAIL[1]),
        size=THUMBNAIL,
        highest_mm=1.0,
    )
    return pictures.clay(points)


def _luma(production: Production, solved: SolvedShot, frame: int) -> np.ndarray:
    """uint8 [y, x], from the frame store, or decoded where there is none of the footage that was solved."""
    known = solved.facts.get("footage_fingerprint")
    stored = production.paths.frames(solved.name, solved.camera)
    if stored.exists():
        store = open_frames(stored)
        same = known in (None, store.attributes.get("footage_fingerprint"))
        if same and store.attributes.get("crop") == list(solved.crop(solved.camera) or ()):
            luma: np.ndarray = store.read("luma", frame, frame + 1)[0]
            return luma
    footage, crop = solved.footage(production)
    if known not in (None, fingerprint_footage(footage)):
        raise StoreError("was replaced after the shot was solved", file=footage)
    with Footage(footage, crop=crop, fps=solved.fps, threads=os.cpu_count() or 1) as pictures:
        for picture in pictures.frames_from(frame):
            return picture.luma.copy()
    raise StoreError(f"has no frame {frame}", file=footage)
