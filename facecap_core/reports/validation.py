"""Validation: a model's error in every frame of its validation shots, and the frames worth a look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facecap_core.errors import ModelError, StoreError
from facecap_core.learning.evaluation import per_frame_rmse_mm, pooled_rmse_mm
from facecap_core.learning.model import Model
from facecap_core.learning.trainingset import ShotPaths
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.stores.groups import GroupReader, open_frames, open_targets

BATCH = 64  # frames in memory at once: a chunk of the stores


@dataclass(frozen=True)
class ShotErrors:
    """The error of each frame of one shot."""

    shot: str
    rmse_mm: np.ndarray  # float64 [frame], over the animated vertices
    motion_mm: (
        np.ndarray
    )  # float64 [frame], how far the target's vertices moved since the last frame

    def __len__(self) -> int:
        return len(self.rmse_mm)


@dataclass(frozen=True)
class Validation:
    """What was measured over all validation shots."""

    shots: list[ShotErrors]
    mean_distance_mm: np.ndarray  # float64 [vertex]
    bounds: np.ndarray  # float64 [low high, xyz] of all targets, production units

    @property
    def frames(self) -> int:
        return sum(len(shot) for shot in self.shots)

    @property
    def rmse_mm(self) -> float:
        return pooled_rmse_mm(np.concatenate([shot.rmse_mm for shot in self.shots]))


@dataclass(frozen=True)
class Mark:
    """A frame that is pointed out: `kind` is best, median or worst."""

    kind: str
    shot: str
    frame: int
    rmse_mm: float


@dataclass(frozen=True)
class Clip:
    """Consecutive frames of a shot, with what the model makes of them; positions in production units."""

    shot: str
    first_frame: int
    luma: np.ndarray  # uint8 [frame, y, x]
    target: np.ndarray  # float32 [frame, vertex, xyz]
    result: np.ndarray  # float32 [frame, vertex, xyz]
    distance_mm: np.ndarray  # float32 [frame, vertex]
    rmse_mm: np.ndarray  # float64 [frame]


def measure(
    model: Model,
    shots: Sequence[ShotPaths],
    *,
    animated: np.ndarray,
    mm_per_unit: float,
    on_progress: OnProgress | None = None,
) -> Validation:
    """Run the model over every frame of `shots` in flat memory.

    Raises:
        StoreError: a store is missing, damaged, or does not fit its neighbour.
        ModelError: the targets are of another mesh than the model.
        Cancelled: `on_progress` answered False.
    """
    total = sum(open_frames(shot.frames).frames for shot in shots)
    distance_sum = np.zeros(model.vertex_count)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    measured, done = [], 0
    for shot in shots:
        errors, motion = [], []
        last: np.ndarray | None = None
        for clip in clips(model, shot, animated=animated, mm_per_unit=mm_per_unit):
            errors.append(clip.rmse_mm)
            distance_sum += clip.distance_mm.sum(axis=0, dtype=np.float64)
            before = clip.target[:1] if last is None else last
            step = np.diff(np.concatenate([before, clip.target])[:, animated], axis=0)
            motion.append(np.linalg.norm(step, axis=2).mean(axis=1) * mm_per_unit)
            last = clip.target[-1:]
            low = np.minimum(low, clip.target.min(axis=(0, 1)))
            high = np.maximum(high, clip.target.max(axis=(0, 1)))
            done += len(clip.luma)
            report(on_progress, Progress("validate", done, total))
        measured.append(ShotErrors(shot.shot, np.concatenate(errors), np.concatenate(motion)))
    return Validation(measured, distance_sum / max(done, 1), np.stack([low, high]))


def clips(
    model: Model,
    shot: ShotPaths,
    *,
    animated: np.ndarray,
    mm_per_unit: float,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Clip]:
    """Frames [start, stop) of a shot in clips of at most 64.

    Raises:
        StoreError: a store is missing, damaged, or does not fit its neighbour.
        ModelError: the targets are of another mesh than the model.
    """
    frames, targets = open_frames(shot.frames), open_targets(shot.targets)
    _check(model, shot, frames, targets)
    stop = frames.frames if stop is None else stop
    for first in range(start, stop, BATCH):
        last = min(first + BATCH, stop)
        luma = frames.read("luma", first, last)
        target = targets.read("positions", first, last)
        result = model.predict(luma)
        distance = np.linalg.norm(result - target, axis=2) * mm_per_unit
        errors = per_frame_rmse_mm(result, target, animated=animated, mm_per_unit=mm_per_unit)
        yield Clip(shot.shot, first, luma, target, result, distance.astype(np.float32), errors)


def read_clip(
    model: Model,
    shot: ShotPaths,
    start: int,
    stop: int,
    *,
    animated: np.ndarray,
    mm_per_unit: float,
) -> Clip:
    """Frames [start, stop) of a shot as one clip; for a few seconds, since all of it is in memory."""
    parts = list(
        clips(model, shot, animated=animated, mm_per_unit=mm_per_unit, start=start, stop=stop)
    )
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("luma", "target", "result", "distance_mm", "rmse_mm")
    }
    return Clip(shot.shot, start, **joined)


def telling_frames(
    shots: Sequence[ShotErrors], *, apart: int, best: int = 1, median: int = 2, worst: int = 3
) -> list[Mark]:
    """The frames of least, middle and greatest error, in this order; none twice.

    Frames of one shot and kind are at least `apart` frames apart, since neighbours look the same. Fewer
    come back where the shots are too short for that.
    """
    errors = np.concatenate([shot.rmse_mm for shot in shots])
    places = [(shot.shot, frame) for shot in shots for frame in range(len(shot))]
    rank = np.argsort(errors, kind="stable")
    middle = np.argsort(np.abs(errors - np.median(errors)), kind="stable")
    taken: set[int] = set()
    marks: list[Mark] = []
    for kind, order, count in (
        ("worst", rank[::-1], worst),
        ("best", rank, best),
        ("median", middle, median),
    ):
        chosen: list[tuple[str, int]] = []
        for index in order.tolist():
            shot, frame = places[index]
            if len(chosen) == count:
                break
            near = any(s == shot and abs(f - frame) < apart for s, f in chosen)
            if index not in taken and not near:
                taken.add(index)
                chosen.append((shot, frame))
                marks.append(Mark(kind, shot, frame, float(errors[index])))
    kinds = ["best", "median", "worst"]
    return sorted(marks, key=lambda mark: kinds.index(mark.kind))


def liveliest(shots: Sequence[ShotErrors], frames: int) -> tuple[str, int, int]:
    """Shot and frames [start, stop) in which the target moves most; at most `frames` long."""
    best: tuple[float, str, int, int] | None = None
    for shot in shots:
        length = min(frames, len(shot))
        sums = np.cumsum(np.concatenate([[0.0], shot.motion_mm]))
        moved = (sums[length:] - sums[:-length]) / length if length else np.zeros(0)
        if len(moved):
            start = int(np.argmax(moved))
            # Short shots would win by a single lively second, so a longer clip goes before.
            score = float(moved[start]) * length
            if best is None or score > best[0]:
                best = (score, shot.shot, start, start + length)
    if best is None:
        raise StoreError("the validation shots have no frames", remedy="ingest them again")
    return best[1:]


def _check(model: Model, shot: ShotPaths, frames: GroupReader, targets: GroupReader) -> None:
    if frames.frames != targets.frames:
        raise StoreError(
            f"{shot.shot}: {frames.frames} frames in the video, {targets.frames} in the cache",
            remedy="export the cache for exactly the frames of the video, and ingest again",
            file=shot.targets,
        )
    vertices = targets.shape("positions")[1]
    if vertices != model.vertex_count:
        raise ModelError(
            f"{shot.shot} has {vertices} vertices, the model {model.vertex_count}",
            remedy="choose a model of this actor's template, or train one",
            file=shot.targets,
        )
