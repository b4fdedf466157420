"""Training set: the frames and targets of an actor, whole in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from facecap_core.errors import TrainingError
from facecap_core.learning.examples import Examples
from facecap_core.learning.network import shrink
from facecap_core.stores.groups import open_frames, open_targets
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.units import MM_PER_UNIT


@dataclass(frozen=True)
class ShotPaths:
    """One shot to learn from or to validate with: a frame store a camera, and its target store."""

    shot: str
    views: tuple[ArrayFolder, ...]
    targets: ArrayFolder

    @property
    def frames(self) -> ArrayFolder:
        """The frame store of the first camera."""
        return self.views[0]


def read_views(shot: ShotPaths, start: int, stop: int) -> np.ndarray:
    """Frames [start, stop) of all cameras, uint8 [frame, view, y, x].

    Raises:
        StoreError: a store is missing or damaged.
    """
    return np.stack([open_frames(view).read("luma", start, stop) for view in shot.views], axis=1)


def load_examples(
    shots: Sequence[ShotPaths], *, units: str, input_size: tuple[int, int]
) -> Examples:
    """Read shots into memory, images averaged down to `input_size` and positions in cm.

    Raises:
        StoreError: a store is missing or damaged.
        TrainingError: frame or vertex counts disagree, or there is nothing.
    """
    if not shots:
        raise TrainingError("no shots to read", remedy="give shots a split in shots.csv")
    views = [[open_frames(view) for view in shot.views] for shot in shots]
    targets = [open_targets(shot.targets) for shot in shots]
    vertices = {target.shape("positions")[1] for target in targets}
    if len(vertices) > 1:
        raise TrainingError(
            f"target stores have {sorted(vertices)} vertices",
            remedy="ingest the shots again with one template",
        )
    for shot, cameras, target in zip(shots, views, targets, strict=True):
        for camera, folder in zip(cameras, shot.views, strict=True):
            if camera.frames != target.frames:
                raise TrainingError(
                    f"{shot.shot}: {camera.frames} frames in the video, {target.frames} in the cache",
                    remedy="export the cache for exactly the frames of the video, and ingest again",
                    file=str(folder),
                )
    total, width = sum(target.frames for target in targets), 3 * vertices.pop()
    luma = torch.empty(total, len(views[0]), input_size[1], input_size[0], dtype=torch.uint8)
    positions = torch.empty(total, width)
    scale = MM_PER_UNIT[units] / 10
    start = 0
    for cameras, target in zip(views, targets, strict=True):
        for view, camera in enumerate(cameras):
            stop = start
            for block in camera.chunks("luma"):
                luma[stop : stop + len(block), view] = shrink(torch.from_numpy(block), input_size)
                stop += len(block)
        stop = start
        for block in target.chunks("positions"):
            positions[stop : stop + len(block)] = torch.from_numpy(block).flatten(1) * scale
            stop += len(block)
        start = stop
    return Examples(
        luma, positions, tuple((s.shot, t.frames) for s, t in zip(shots, targets, strict=True))
    )
