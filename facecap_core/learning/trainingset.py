"""Training set: the frames and targets of an actor, whole in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from facecap_core.errors import TrainingError
from facecap_core.learning.evaluation import MM_PER_UNIT
from facecap_core.learning.network import shrink
from facecap_core.stores.groups import open_frames, open_targets
from facecap_core.stores.object_folder import ArrayFolder


@dataclass(frozen=True)
class ShotPaths:
    """One shot to learn from or to validate with: its frame store and its target store."""

    shot: str
    frames: ArrayFolder
    targets: ArrayFolder


@dataclass(frozen=True)
class Examples:
    """Images and meshes of some shots, one after another.

    `luma` uint8 [frame, y, x]; `positions` float32 [frame, 3 * vertex] in cm; `shots` (name, frames).
    """

    luma: torch.Tensor
    positions: torch.Tensor
    shots: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.luma)

    def to(self, device: torch.device) -> Examples:
        return Examples(self.luma.to(device), self.positions.to(device), self.shots)


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
    frames = [open_frames(shot.frames) for shot in shots]
    targets = [open_targets(shot.targets) for shot in shots]
    vertices = {target.shape("positions")[1] for target in targets}
    if len(vertices) > 1:
        raise TrainingError(
            f"target stores have {sorted(vertices)} vertices",
            remedy="ingest the shots again with one template",
        )
    for shot, frame, target in zip(shots, frames, targets, strict=True):
        if frame.frames != target.frames:
            raise TrainingError(
                f"{shot.shot}: {frame.frames} frames in the video, {target.frames} in the cache",
                remedy="export the cache for exactly the frames of the video, and ingest again",
            )
    total, width = sum(f.frames for f in frames), 3 * vertices.pop()
    luma = torch.empty(total, input_size[1], input_size[0], dtype=torch.uint8)
    positions = torch.empty(total, width)
    scale = MM_PER_UNIT[units] / 10
    start = 0
    for frame, target in zip(frames, targets, strict=True):
        stop = start
        for block in frame.chunks("luma"):
            luma[stop : stop + len(block)] = shrink(torch.from_numpy(block), input_size)
            stop += len(block)
        stop = start
        for block in target.chunks("positions"):
            positions[stop : stop + len(block)] = torch.from_numpy(block).flatten(1) * scale
            stop += len(block)
        start = stop
    return Examples(
        luma, positions, tuple((s.shot, f.frames) for s, f in zip(shots, frames, strict=True))
    )
