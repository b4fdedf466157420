"""Face place: where in a camera's pictures the face is, found by what moves with the caches.

Pictures have head motion, hair and background, caches have none of them. The cells of a picture whose changes the
cache predicts, in parts of the shot that the prediction has not seen, are the face. Shots without a cache are laid
over those that have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.cache_signals import CacheSignals
from facecap_core.checks.frame_offset import EFFECTS
from facecap_core.checks.picture_signals import COLUMNS, ROWS, PictureSignals
from facecap_core.checks.quick_motion import APART, PARTS, parts, principal, quick

FARTHEST = 8  # cells that a shot's face may be off
MARGIN = 2  # cells about the face
TAIL = 0.02  # of the face's motion on each side, which is not called face
FAINT = 0.02  # of the strongest cell; below is chance
STRENGTH = 0.03
LEAST_SHOTS = 3  # with caches, that together say where the face is; one could be wrong
LEAST_ALIKE = 0.6  # that a shot is like the others, or where its face is is not known
LEAST_OVERLAP = 0.6  # of the face's cells, that a moved picture must still have
CENTRAL = 0.2  # of the crop on each side that is not called face where no cache says what is


@dataclass(frozen=True)
class CameraSummary:
    """What an actor's shots are compared by: one camera's pictures of a shot, on average."""

    shot: str
    mean: NDArray[np.float32]  # [row, column]
    contrast: float  # of a usual picture; the mean is blurred by the head's motion
    inside: NDArray[np.bool_]
    crop: tuple[float, float, float, float]
    motion: NDArray[np.float64] | None  # [row, column] that the cache predicts; None: no cache

    @classmethod
    def of(
        cls, shot: str, pictures: PictureSignals, motion: NDArray[np.float64] | None
    ) -> CameraSummary:
        """What is kept of a shot's pictures; `motion` [row, column] as `predicted_motion` gives it."""
        contrast = float(np.median(pictures.contrast))
        return cls(shot, pictures.mean, contrast, pictures.inside, pictures.crop, motion)


@dataclass(frozen=True)
class FacePlace:
    """Where one camera sees an actor's face, over all shots.

    `motion` [row, column] is what caches predict, in parts of the whole (None: there are no caches), `box` the
    rows and columns that hold it: top, lower, left, right.
    """

    motion: NDArray[np.float64] | None
    box: tuple[int, int, int, int]
    usual: NDArray[np.float32]  # [row, column], the median of the shots' mean pictures

    @classmethod
    def of(cls, shots: Sequence[CameraSummary]) -> FacePlace:
        """The place by all shots of one camera, which have pictures of one size."""
        known = [found for found in shots if found.motion is not None]
        usual = np.median(np.stack([found.mean for found in known or shots]), axis=0)
        total = sum((np.asarray(found.motion) for found in known), np.zeros((ROWS, COLUMNS)))
        total = np.maximum(total, 0)
        total[total < FAINT * total.max()] = 0
        if len(known) < LEAST_SHOTS or not total.any():
            left, top, right, lower = shots[0].crop
            across, down = CENTRAL * (right - left), CENTRAL * (lower - top)
            box = (top + down, lower - down, left + across, right - across)
            rows = (round(box[0]), round(box[1]))
            return cls(None, (*rows, round(box[2]), round(box[3])), usual)
        total /= total.sum()
        top, lower = _range(total.sum(1))
        left_column, right_column = _range(total.sum(0))
        return cls(total, (top, lower, left_column, right_column), usual)

    def shift_of(self, mean: NDArray[np.float32]) -> Shift:
        """How far a shot's face is from the usual place, by its mean picture."""
        top, lower, left, right = self.box
        face = (
            slice(max(0, top - MARGIN), lower + MARGIN),
            slice(max(0, left - MARGIN), right + MARGIN),
        )
        wanted = np.full((ROWS, COLUMNS), np.nan)
        wanted[face] = self.usual[face]
        cells = np.isfinite(wanted).sum()
        alike = np.full((2 * FARTHEST + 1, 2 * FARTHEST + 1), -1.0)
        for down in range(-FARTHEST, FARTHEST + 1):
            for across in range(-FARTHEST, FARTHEST + 1):
                usual, seen = overlap(wanted, mean, down, across)
                there = np.isfinite(usual)
                if there.sum() >= LEAST_OVERLAP * cells:
                    both = _normal(usual[there]) * _normal(seen[there])
                    alike[down + FARTHEST, across + FARTHEST] = both.mean()
        row, column = divmod(int(alike.argmax()), alike.shape[1])
        return Shift(
            row - FARTHEST + _between(alike[:, column], row),
            column - FARTHEST + _between(alike[row], column),
            float(alike.max()),
        )

    def levels(self, mean: NDArray[np.float32], shift: Shift) -> tuple[float, float]:
        """The mean level of the face in a shot, and what it usually is in the cells that both have."""
        top, lower, left, right = self.box
        usual = np.full((ROWS, COLUMNS), np.nan)
        usual[top:lower, left:right] = self.usual[top:lower, left:right]
        usual, seen = overlap(usual, mean, round(shift.down), round(shift.across))
        there = np.isfinite(usual)
        return float(seen[there].mean()), float(usual[there].mean())


@dataclass(frozen=True)
class Shift:
    """Rows down and columns to the right, and how alike the two pictures are then (-1 to 1)."""

    down: float
    across: float
    alike: float

    @property
    def is_known(self) -> bool:
        """Whether it is the same face at all."""
        return self.alike >= LEAST_ALIKE


def overlap(
    usual: NDArray[Any], shot: NDArray[Any], down: int, across: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The parts that both grids [row, column] have, where the second shows the first moved by so many cells."""
    rows = slice(max(0, -down), ROWS - max(0, down))
    columns = slice(max(0, -across), COLUMNS - max(0, across))
    moved_rows = slice(rows.start + down, rows.stop + down)
    moved_columns = slice(columns.start + across, columns.stop + across)
    return usual[rows, columns], shot[moved_rows, moved_columns]


def predicted_motion(pictures: PictureSignals, cache: CacheSignals) -> NDArray[np.float64] | None:
    """The variance [row, column] of each cell that the cache predicts, in squared levels, summed over frames.

    None: the shot is too short, or video and cache differ in length.
    """
    if pictures.frames != cache.frames or pictures.frames < 2 * PARTS * APART:
        return None
    levels = []
    for stretch in pictures.stretches:
        cells = stretch.reshape(len(stretch), -1).astype(np.float32)
        light = cells[:, pictures.inside.ravel()].mean(1, keepdims=True)
        levels.append(quick(cells / np.maximum(light, 1.0)))
    seen = np.concatenate(levels)
    meshes = [quick(stretch.reshape(len(stretch), -1)) for stretch in cache.stretches]
    moving = principal(np.concatenate(meshes), EFFECTS)
    moving /= np.maximum(moving.std(0), 1e-12)
    gain = np.zeros(seen.shape[1])
    for asked, others in parts(len(seen)):
        known = moving[others]
        square = known.T @ known + STRENGTH * len(others) * np.eye(known.shape[1])
        weights = np.linalg.solve(square, known.T @ seen[others])
        truth = seen[asked]
        gain += (truth**2).sum(0) - ((truth - moving[asked] @ weights) ** 2).sum(0)
    return gain.reshape(ROWS, COLUMNS)


def _range(share: NDArray[np.float64]) -> tuple[int, int]:
    reached = np.cumsum(share)
    return int(np.searchsorted(reached, TAIL)), int(np.searchsorted(reached, 1 - TAIL)) + 1


def _normal(picture: NDArray[np.floating]) -> NDArray[np.floating]:
    centred = picture - picture.mean()
    return centred / max(float(centred.std()), 1e-6)


def _between(values: NDArray[np.float64], peak: int) -> float:
    """Where a parabola through a peak and its neighbours is highest, from the peak."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, at, after = values[peak - 1 : peak + 2]
    bend = before - 2 * at + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
