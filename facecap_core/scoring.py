"""Scoring: solved vertices against a point cache that knows better."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facecap_core.errors import PointCacheError
from facecap_core.learning.rmse import per_frame_rmse_mm
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.stores.group_writer import FRAMES_PER_CHUNK
from facecap_core.stores.groups import open_vertices
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.template import Template


def score_shot(
    vertices: ArrayFolder,
    truth: Path,
    *,
    template: Template,
    animated: np.ndarray,
    mm_per_unit: float,
) -> np.ndarray:
    """Error of each frame in mm [frame], in flat memory; both are in the same units.

    Raises:
        StoreError: no such vertex store. PointCacheError: the cache does not fit it.
    """
    solved = open_vertices(vertices)
    errors = []
    with open_point_cache(truth, vertex_count=template.vertex_count, topology=template) as cache:
        if cache.frame_count != solved.frames:
            raise PointCacheError(
                f"has {cache.frame_count} frames, the solved shot has {solved.frames}",
                remedy="compare the same shot",
                file=truth,
            )
        for start in range(0, solved.frames, FRAMES_PER_CHUNK):
            stop = min(start + FRAMES_PER_CHUNK, solved.frames)
            errors.append(
                per_frame_rmse_mm(
                    solved.read("positions", start, stop),
                    cache.read(start, stop),
                    animated=animated,
                    mm_per_unit=mm_per_unit,
                )
            )
    return np.concatenate(errors)
