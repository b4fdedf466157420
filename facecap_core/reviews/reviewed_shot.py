"""Reviewed shot: a solved shot with its pictures, and its target where there is one, read in step."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from facecap_core.errors import StoreError
from facecap_core.footage.footage import Footage
from facecap_core.learning.rmse import per_frame_rmse_mm
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.solved_shot import SolvedShot, open_solved
from facecap_core.stores.groups import GroupReader, is_of_mesh, open_targets
from facecap_core.template import Template, read_animated

BATCH = 64  # a chunk of the stores
Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Scene:
    """Some consecutive frames: what the camera saw, what was solved, what was meant."""

    first: int
    luma: np.ndarray  # uint8 [frame, y=320, x=240]
    result: np.ndarray  # float32 [frame, vertex, xyz], production units
    target: np.ndarray | None  # likewise


@dataclass(frozen=True)
class ReviewedShot:
    """Where a review's frames come from."""

    solved: SolvedShot
    animated: np.ndarray  # int64 [n]
    mm_per_unit: float
    footage: Path
    crop: tuple[int, int, int, int]
    camera: str  # whose pictures are shown
    target: Path | GroupReader | None = None  # a point cache, or a target store

    @property
    def name(self) -> str:
        return self.solved.name

    @property
    def frames(self) -> int:
        return self.solved.frames

    @property
    def start_frame(self) -> int:
        return self.solved.start_frame

    @property
    def seen_by(self) -> str:
        """What the camera's pictures are called: by its name where the shot was solved from several."""
        return self.camera if len(self.solved.cameras) > 1 else "input"

    @property
    def template(self) -> Template:
        return self.solved.template

    def scenes(
        self, threads: int = 1, *, first: int = 0, size: int = BATCH
    ) -> Generator[Scene, None, None]:
        """The frames from `first` on in order, `size` at a time, in flat memory; the footage is decoded along the way.

        Raises:
            FootageError: by its named kinds. StoreError, PointCacheError: they cannot be read, or differ
                in length.
        """
        with ExitStack() as stack:
            read_target = self._open_target(stack)
            footage = stack.enter_context(
                Footage(self.footage, crop=self.crop, fps=self.solved.fps, threads=threads)
            )
            start = first
            for batch in footage.batches(size, first):
                stop = start + len(batch.luma)
                if stop > self.frames:
                    raise self._other_length()
                target = read_target(start, stop) if read_target else None
                yield Scene(start, batch.luma, self.solved.read(start, stop), target)
                start = stop
        if start < self.frames:
            raise self._other_length()

    def _other_length(self) -> StoreError:
        return StoreError(
            f"{self.frames} frames are solved, the footage has another number",
            remedy="solve the shot again",
            file=self.footage,
        )

    def rmse_mm(self, on_progress: OnProgress | None = None) -> np.ndarray | None:
        """Error of each frame over the animated vertices, float64 [frame]; None without a target."""
        if self.target is None:
            return None
        errors = []
        with ExitStack() as stack:
            read_target = self._open_target(stack)
            assert read_target is not None
            for start in range(0, self.frames, BATCH):
                report(on_progress, Progress("compare", start, self.frames))
                stop = min(start + BATCH, self.frames)
                errors.append(
                    per_frame_rmse_mm(
                        self.solved.read(start, stop),
                        read_target(start, stop),
                        animated=self.animated,
                        mm_per_unit=self.mm_per_unit,
                    )
                )
        return np.concatenate(errors)

    def motion_mm(self, on_progress: OnProgress | None = None) -> np.ndarray:
        """How far the result moves from one frame to the next, mean over vertices, float64 [frame]."""
        moved, before = np.zeros(self.frames), None
        for start in range(0, self.frames, BATCH):
            report(on_progress, Progress("motion", start, self.frames))
            block = self.solved.read(start, min(start + BATCH, self.frames))
            chain = block if before is None else np.concatenate([before, block])
            steps = np.linalg.norm(np.diff(chain[:, self.animated], axis=0), axis=2).mean(axis=1)
            moved[start + len(block) - len(steps) : start + len(block)] = steps
            before = block[-1:]
        return moved * self.mm_per_unit

    @cached_property
    def bounds(self) -> np.ndarray:
        """Box of the rest pose and of every 16th result, float [low high, xyz]."""
        low, high = self.template.positions.min(0), self.template.positions.max(0)
        for start in range(0, self.frames, BATCH):
            points = self.solved.read(start, min(start + BATCH, self.frames))[::16].reshape(-1, 3)
            low, high = np.minimum(low, points.min(0)), np.maximum(high, points.max(0))
        return np.stack([low, high])

    def _open_target(self, stack: ExitStack) -> Read | None:
        """What reads [start, stop) of the target; None where there is none."""
        target = self.target
        if target is None:
            return None
        if isinstance(target, Path):
            count = self.template.vertex_count
            cache = open_point_cache(target, vertex_count=count, topology=self.template)
            stack.enter_context(cache)
            frames, read, file = cache.frame_count, cache.read, str(target)
        else:
            frames, read, file = target.frames, partial(target.read, "positions"), self.name
        if frames != self.frames:
            raise StoreError(
                f"{frames} frames in the target, {self.frames} in the result",
                remedy="export the cache for exactly the frames of the video",
                file=file,
            )
        return read


def open_reviewed(
    production: Production,
    shot: str,
    against: Path | None = None,
    *,
    corrected: bool = True,
    camera: str | None = None,
) -> ReviewedShot:
    """A solved shot; its target is `against`, else that of the store where it was tracked on this template.

    Args:
        corrected: with the frames that artists corrected, see `open_solved`.
        camera: whose pictures are shown, see `SolvedShot.footage`.

    Raises:
        StoreError: the shot is not solved, not from this camera, or its footage is not known any more. TemplateError: the template cannot be read.
    """
    solved = open_solved(production, shot, corrected=corrected)
    actor, count = solved.actor, solved.template.vertex_count
    footage, crop = solved.footage(production, camera)
    target: Path | GroupReader | None = against
    tracked = production.paths.targets(shot)
    if target is None and production.shots[shot].cache is not None and tracked.exists():
        found = open_targets(tracked)
        target = found if is_of_mesh(found, solved.template.topology_sha256, count) else None
    return ReviewedShot(
        solved=solved,
        animated=read_animated(actor.animated, count),
        mm_per_unit=production.mm_per_unit,
        footage=footage,
        crop=crop,
        camera=camera or solved.camera,
        target=target,
    )
