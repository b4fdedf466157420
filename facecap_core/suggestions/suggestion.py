"""Suggestion: the clips of bulk footage whose tracking would take most off the error that is expected.

A frame is expected to be as wrong as the model says of itself, or, where it does not say, in proportion to
how far its pose is from the nearest tracked one. Tracking a clip brings that pose nearer, and the error falls with
the distance. The clips are chosen one after another, each the one that takes most off the squared error of
all bulk footage for its length, given those before: what an earlier clip has shown is worth nothing
twice. (A facility location; the greedy choice has at least 0.63 of the best one's worth: Nemhauser et al. 1978.)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from facecap_core.errors import ConfigError
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.suggestions.footage_poses import FootagePoses
from facecap_core.suggestions.pose_space import nearest_mm, squares_mm2

DEMAND = 4096  # samples that stand for all bulk footage
STARTS_A_CLIP = 4  # where clips may begin: so many places in the length of one
SAME_POSE = 10  # percentile of the distance to what is known, below which a pose counts as known


@dataclass(frozen=True)
class Suggestion:
    """Frames `first` to `last`, both included; worth is the part of the bulk's expected squared error."""

    shot: str
    first: int
    last: int
    worth: float  # given those before it
    farthest_mm: float  # of its poses from the tracked ones
    expected_rmse_mm: float  # nan: the model does not say

    @property
    def frames(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class _Candidate:
    shot: int
    samples: slice
    first: int
    last: int  # included

    @property
    def frames(self) -> int:
        return self.last - self.first + 1


def suggest(
    footage: FootagePoses,
    *,
    frames: int,
    clip_frames: int,
    on_progress: OnProgress | None = None,
) -> list[Suggestion]:
    """Clips of `clip_frames` frames, or whole shots that are shorter, of at most `frames` frames together.

    In the order in which they were chosen, save that clips that touch are one.

    Raises:
        ConfigError: not even one clip fits. Cancelled: `on_progress` answered False.
    """
    candidates = list(_candidates(footage, clip_frames))
    if not any(candidate.frames <= frames for candidate in candidates):
        raise ConfigError(
            f"no clip of {clip_frames} frames fits into {frames} frames",
            remedy="give more --minutes, or fewer --clip-seconds",
        )
    apart = nearest_mm(footage.poses, footage.known)
    field = _Field.of(footage, apart)
    chosen: list[tuple[_Candidate, float]] = []
    # The worth of a clip only falls as others are chosen: one that is still the best after it was looked at
    # anew needs no look at the others (Minoux 1978).
    queue = []
    for place, candidate in enumerate(candidates):
        report(on_progress, Progress("clips", place, len(candidates), "clips"))
        worth = field.worth(candidate.samples)
        queue.append((-worth / candidate.frames, place, 0))
    heapq.heapify(queue)
    left = frames
    while queue:
        _, place, looked = heapq.heappop(queue)
        candidate = candidates[place]
        if candidate.frames > left or any(_overlap(candidate, other) for other, _ in chosen):
            continue
        worth = field.worth(candidate.samples)
        if looked < len(chosen):
            heapq.heappush(queue, (-worth / candidate.frames, place, len(chosen)))
            continue
        if worth <= 0:
            break
        field.track(candidate.samples)
        chosen.append((candidate, worth))
        left -= candidate.frames
    return _told(footage, apart, chosen, field.total)


class _Field:
    """The expected squared error of all bulk footage, as some of its samples stand for it."""

    def __init__(self, footage: FootagePoses, stand: np.ndarray, apart2: np.ndarray) -> None:
        self._poses = footage.poses
        self._stand = footage.poses[stand]
        self._apart2 = apart2  # float32 [stand], mm²
        self._left = np.ones(len(stand), np.float32)  # part of the error that is left
        self._error2 = np.zeros(0)

    @staticmethod
    def of(footage: FootagePoses, apart: np.ndarray) -> _Field:
        free = np.flatnonzero(~footage.corrected)
        stand = free[:: max(1, -(-len(free) // DEMAND))]
        if not np.isfinite(apart).all():  # nothing is tracked: from the middle of all that there is
            middle = footage.poses.mean(axis=0)
            apart = np.linalg.norm(footage.poses - middle, axis=1)
        least = np.percentile(apart[stand], SAME_POSE)
        field = _Field(footage, stand, np.square(np.maximum(apart[stand], max(least, 1e-6))))
        told = footage.expected_mm[stand]
        known = np.isfinite(told)
        scale = 1.0
        if known.any():
            both = np.square(told[known]).mean(), field._apart2[known].mean()
            scale = float(both[0] / both[1])
        field._error2 = np.where(known, np.square(told), scale * field._apart2)
        return field

    @property
    def total(self) -> float:
        return float(self._error2.sum())

    def worth(self, samples: slice) -> float:
        """What tracking these would take off."""
        return float(self._error2 @ np.maximum(self._left - self._after(samples), 0))

    def track(self, samples: slice) -> None:
        self._left = np.minimum(self._left, self._after(samples))

    def _after(self, samples: slice) -> np.ndarray:
        nearest = squares_mm2(self._stand, self._poses[samples]).min(axis=1)
        return np.asarray(np.minimum(nearest / self._apart2, 1))


def _candidates(footage: FootagePoses, clip_frames: int) -> Iterator[_Candidate]:
    """Clips that have nothing corrected in them."""
    starts = np.searchsorted(footage.shot, np.arange(len(footage.shots) + 1))
    for number, shot in enumerate(footage.shots):
        begin = int(starts[number])
        length = min(clip_frames, shot.frames)
        stride = max(1, clip_frames // STARTS_A_CLIP)
        for first in sorted({*range(0, shot.frames - length + 1, stride), shot.frames - length}):
            last = first + length - 1
            inside = slice(begin - (-first // footage.step), begin + last // footage.step + 1)
            if inside.stop > inside.start and not footage.corrected[inside].any():
                yield _Candidate(number, inside, first, last)


def _overlap(one: _Candidate, other: _Candidate) -> bool:
    return one.shot == other.shot and one.first <= other.last and other.first <= one.last


def _told(
    footage: FootagePoses,
    apart: np.ndarray,
    chosen: list[tuple[_Candidate, float]],
    total: float,
) -> list[Suggestion]:
    told = []
    for group in _joined(chosen):
        clips = [candidate for candidate, _ in group]
        samples = np.concatenate([np.arange(c.samples.start, c.samples.stop) for c in clips])
        told.append(
            Suggestion(
                shot=footage.shots[clips[0].shot].name,
                first=clips[0].first,
                last=clips[-1].last,
                worth=sum(worth for _, worth in group) / total if total else 0.0,
                farthest_mm=float(apart[samples].max()),
                expected_rmse_mm=float(np.sqrt(np.mean(np.square(footage.expected_mm[samples])))),
            )
        )
    return told


def _joined(chosen: list[tuple[_Candidate, float]]) -> list[list[tuple[_Candidate, float]]]:
    """Clips that touch, in the order of the shot; the groups in the order in which their first was chosen."""
    groups: list[list[int]] = []
    for place in sorted(range(len(chosen)), key=lambda k: (chosen[k][0].shot, chosen[k][0].first)):
        before = chosen[groups[-1][-1]][0] if groups else None
        here = chosen[place][0]
        if before and before.shot == here.shot and before.last + 1 == here.first:
            groups[-1].append(place)
        else:
            groups.append([place])
    return [[chosen[place] for place in group] for group in sorted(groups, key=min)]
