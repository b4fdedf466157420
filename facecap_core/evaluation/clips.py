"""Clip: consecutive frames of a shot with pictures, target and result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecap_core.errors import StoreError
from facecap_core.evaluation.subject import EvaluatedShot, Subject
from facecap_core.frame_names import frame_names
from facecap_core.learning.rmse import per_frame_rmse_mm
from facecap_core.learning.trainingset import ShotPaths, read_views
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.solved_shot import fingerprints_solved
from facecap_core.stores.groups import open_frames, open_targets, open_vertices
from facecap_core.stores.object_folder import ArrayFolder

BATCH = 64  # frames in memory at once: a chunk of the stores


@dataclass(frozen=True)
class Clip:
    """Frames of one shot; positions in production units. Where the pictures are not stored, `luma` has no view."""

    shot: str
    first_frame: int
    luma: np.ndarray  # uint8 [frame, view, y, x]
    target: np.ndarray  # float32 [frame, vertex, xyz]
    result: np.ndarray  # float32 [frame, vertex, xyz]
    distance_mm: np.ndarray  # float32 [frame, vertex]
    rmse_mm: np.ndarray  # float64 [frame]
    start_frame: int  # number of the shot's first frame, as videos, pages and files show it

    def __len__(self) -> int:
        return len(self.target)


def clips(
    subject: Subject, shot: EvaluatedShot, start: int = 0, stop: int | None = None
) -> Iterator[Clip]:
    """Frames [start, stop) of a shot in clips of at most 64.

    Raises:
        StoreError: a store is missing, damaged, or does not fit its neighbour.
        PointCacheError: likewise of a cache.
        ModelError: the targets are of another mesh than the model.
    """
    stick = subject.stick
    with _open_target(subject, shot) as (frames, read_target):
        pictures = _pictures(subject, shot, frames)
        start_frame = frame_names(subject.production, shot.shot).start_frame
        solved = None if shot.solved is None else open_vertices(shot.solved)
        if solved is not None:
            _same_length(shot, solved.frames, "vertex store", frames)
        else:
            subject.check_crops(shot)
        for first in range(start, frames if stop is None else stop, BATCH):
            last = min(first + BATCH, frames if stop is None else stop)
            luma = pictures(first, last)
            target = read_target(first, last)
            result = (
                subject.model.predict(luma, subject.views)
                if solved is None
                else solved.read("positions", first, last)
            )
            distance = np.linalg.norm(result - target, axis=2) * stick.mm_per_unit
            errors = per_frame_rmse_mm(
                result, target, animated=stick.animated, mm_per_unit=stick.mm_per_unit
            )
            yield Clip(
                shot.shot,
                first,
                luma,
                target,
                result,
                distance.astype(np.float32),
                errors,
                start_frame,
            )


def read_clip(subject: Subject, shot: EvaluatedShot, start: int, stop: int) -> Clip:
    """Frames [start, stop) of a shot as one clip; for a few seconds, since all of it is in memory."""
    parts = list(clips(subject, shot, start, stop))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("luma", "target", "result", "distance_mm", "rmse_mm")
    }
    return Clip(shot.shot, start, **joined, start_frame=parts[0].start_frame)


def frames_of(subject: Subject, shot: EvaluatedShot) -> int:
    """How many frames the shot has; raises as `clips` does."""
    with _open_target(subject, shot) as (frames, _):
        return frames


Read = Callable[[int, int], np.ndarray]


@contextmanager
def _open_target(subject: Subject, shot: EvaluatedShot) -> Iterator[tuple[int, Read]]:
    """The number of frames, and what reads positions of [start, stop)."""
    if shot.cached:
        path, count = Path(str(shot.target)), subject.model.vertex_count
        with open_point_cache(path, vertex_count=count, topology=subject.template) as cache:
            yield cache.frame_count, cache.read
        return
    subject.check_mesh(shot)
    store = open_targets(shot.target)
    yield store.frames, lambda start, stop: store.read("positions", start, stop)


def _pictures(subject: Subject, shot: EvaluatedShot, frames: int) -> Read:
    """What reads the pictures of [start, stop), uint8 [frame, view, y, x]."""
    if shot.solved is not None and not _hold_what_was_solved(subject, shot, shot.solved):
        return lambda start, stop: np.zeros((stop - start, 0, 320, 240), np.uint8)
    for view in shot.views:
        _same_length(shot, open_frames(view).frames, "video", frames)
    paths = ShotPaths(shot.shot, shot.views, shot.target)
    return lambda start, stop: read_views(paths, start, stop)


def _hold_what_was_solved(subject: Subject, shot: EvaluatedShot, solved: ArrayFolder) -> bool:
    """Whether the frame stores are there, and of no other footage than the shot was solved from."""
    if not all(view.exists() for view in shot.views):
        return False
    told = open_vertices(solved).attributes
    known = fingerprints_solved(told, subject.cameras[0])
    for camera, view in zip(subject.cameras, shot.views, strict=True):
        fingerprint = known.get(camera)
        if fingerprint not in (None, open_frames(view).attributes.get("footage_fingerprint")):
            return False
    return True


def _same_length(shot: EvaluatedShot, frames: int, name: str, target: int) -> None:
    if frames != target:
        raise StoreError(
            f"{shot.shot}: {frames} frames in the {name}, {target} in the cache",
            remedy="export the cache for exactly the frames of the video, and ingest again",
            file=str(shot.target),
        )
