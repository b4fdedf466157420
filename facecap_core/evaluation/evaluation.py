"""Evaluation: a model's results on some shots, measured against their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facecap_core.errors import StoreError
from facecap_core.evaluation.clips import clips, frames_of
from facecap_core.evaluation.shot_measures import ShotMeasures, ShotMeter, Sums, add_up
from facecap_core.evaluation.subject import EvaluatedShot, Subject
from facecap_core.evaluation.summary import Summary, summarise
from facecap_core.frame_names import frame_names
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.stores.groups import is_of_mesh, open_targets


@dataclass(frozen=True)
class Evaluation:
    """What was measured, shot by shot and all together, and what never moving the face would have got."""

    shots: list[ShotMeasures]
    all: Summary
    by_shot: dict[str, Summary]
    mean_shape: Summary | None  # None: the training targets are not in the store
    sums: Sums

    @property
    def bounds(self) -> np.ndarray:
        """float64 [low high, xyz] of all targets, production units."""
        return np.stack([self.sums.low, self.sums.high])

    @property
    def frames(self) -> int:
        return self.all.frames


def evaluate(
    subject: Subject,
    shots: Sequence[EvaluatedShot],
    *,
    mean_shape: np.ndarray | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Solve every frame of `shots` and measure it, in flat memory.

    Args:
        mean_shape: float [vertex, xyz] in production units, measured beside the model (`mean_of_training`).

    Raises:
        StoreError: a store is missing, damaged, or does not fit its neighbour; or there are no shots.
        PointCacheError, ModelError: see `clips`.
        Cancelled: `on_progress` answered False.
    """
    if not shots:
        raise StoreError("no shots to evaluate", remedy="give shots a split in shots.csv")
    total, done = sum(frames_of(subject, shot) for shot in shots), 0
    if not total:
        raise StoreError("the shots have no frames", remedy="ingest them again")
    found, mean_found = [], []
    for shot in shots:
        start_frame = frame_names(subject.production, shot.shot).start_frame
        meter = ShotMeter(shot.shot, subject.stick, start_frame)
        mean_meter = ShotMeter(shot.shot, subject.stick, start_frame)
        for clip in clips(subject, shot):
            meter.add(clip.result, clip.target)
            if mean_shape is not None:
                mean_meter.add(np.broadcast_to(mean_shape, clip.target.shape), clip.target)
            done += len(clip)
            report(on_progress, Progress("evaluate", done, total))
        found.append(meter.finish())
        mean_found.append(mean_meter.finish())
    return Evaluation(
        found,
        summarise(found, subject.stick),
        {shot.shot: summarise([shot], subject.stick) for shot in found if len(shot)},
        None if mean_shape is None else summarise(mean_found, subject.stick),
        add_up([shot.sums for shot in found]),
    )


def mean_of_training(subject: Subject, on_progress: OnProgress | None = None) -> np.ndarray | None:
    """The mean mesh of the model's training frames, float64 [vertex, xyz] in production units.

    None where their targets are not in the store any more, or those of another mesh are.
    """
    shots = subject.shots(subject.names("train"))
    if not shots or not all(shot.target.exists() for shot in shots):
        return None
    stores = [open_targets(shot.target) for shot in shots]
    mesh = subject.template.topology_sha256, subject.template.vertex_count
    if not all(is_of_mesh(store, *mesh) for store in stores):
        return None
    total, done = sum(store.frames for store in stores), 0
    mean = np.zeros((subject.model.vertex_count, 3))
    for store in stores:
        for block in store.chunks("positions"):
            mean += block.sum(axis=0, dtype=np.float64)
            done += len(block)
            report(on_progress, Progress("mean shape", done, total))
    return mean / total
