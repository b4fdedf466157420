"""Marks: the frames that a report points out, and the seconds that it shows moving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facecap_core.errors import StoreError
from facecap_core.evaluation.shot_measures import ShotMeasures


@dataclass(frozen=True)
class Mark:
    """A frame that is pointed out, and the paper's figure that shows such frames.

    `kind` is best, median or worst (4), a region's name (5), jaw (7), or which of two models is nearer
    (6); `note` says the figure by which it was chosen where that is not the RMSE.
    """

    figure: int
    kind: str
    shot: str
    frame: int
    rmse_mm: float
    note: str = ""


def telling_frames(
    shots: Sequence[ShotMeasures], *, apart: int, best: int = 1, median: int = 2, worst: int = 3
) -> list[Mark]:
    """The frames of least, middle and greatest error, in this order; none twice (Figure 4).

    No frame is worse than one of a worse kind. Frames of one shot and kind are at least `apart` frames apart, since neighbours look the same. Fewer
    come back where the shots are too short for that.
    """
    errors = np.concatenate([shot.rmse_mm for shot in shots])
    rank = np.argsort(errors, kind="stable")
    half = (len(rank) + 1) // 2
    places = _places(shots)
    taken: set[Place] = set()

    def of(kind: str, order: np.ndarray, count: int) -> list[Mark]:
        chosen = _first(order, places, count, apart=apart, taken=taken)
        taken.update(chosen)
        return [_mark(shots, 4, kind, place) for place in chosen]

    highest = of("worst", rank[::-1][:half], worst)
    lowest = of("best", rank[:half], best)
    low = max((mark.rmse_mm for mark in lowest), default=-np.inf)
    high = min((mark.rmse_mm for mark in highest), default=np.inf)
    between = rank[(errors[rank] >= low) & (errors[rank] <= high)]
    near = np.argsort(np.abs(errors[between] - np.median(errors)), kind="stable")
    return [*lowest, *of("median", between[near], median), *highest]


def worst_by_region(
    shots: Sequence[ShotMeasures], *, apart: int, but: Sequence[Mark]
) -> list[Mark]:
    """For each region the frame of greatest error in it, `apart` from each other and from `but` (Figure 5)."""
    near = {(mark.shot, frame) for mark in but for frame in _around(mark.frame, apart)}
    places, marks = _places(shots), []
    for name in shots[0].regions_mm:
        errors = np.concatenate([shot.regions_mm[name] for shot in shots])
        order = np.argsort(-errors, kind="stable")
        for place in _first(order, places, 1, apart=1, taken=near):
            near.update((place[0], frame) for frame in _around(place[1], apart))
            value = _of(shots, place[0]).regions_mm[name][place[1]]
            marks.append(_mark(shots, 5, name, place, f"{name} {value:.2f} mm"))
    return marks


def jaw_frames(shots: Sequence[ShotMeasures], *, apart: int, count: int = 3) -> list[Mark]:
    """The frames whose jaw lies furthest from the target's along the face (Figure 7)."""
    errors = np.concatenate([shot.jaw_forward_error_mm for shot in shots])
    order = np.argsort(-np.abs(errors), kind="stable")
    marks = []
    for place in _first(order, _places(shots), count, apart=apart, taken=set()):
        value = _of(shots, place[0]).jaw_forward_error_mm[place[1]]
        where = "forward" if value > 0 else "back"
        marks.append(_mark(shots, 7, "jaw", place, f"{abs(value):.2f} mm too far {where}"))
    return marks


def differing_frames(
    first: Sequence[ShotMeasures],
    second: Sequence[ShotMeasures],
    names: tuple[str, str],
    *,
    apart: int,
    count: int = 3,
) -> list[Mark]:
    """The frames in which one of two models has most the lesser error: `count` of each; their RMSE is the first's."""
    errors = [np.concatenate([shot.rmse_mm for shot in shots]) for shots in (first, second)]
    marks = []
    for name, gain in ((names[0], errors[1] - errors[0]), (names[1], errors[0] - errors[1])):
        order = np.argsort(-gain, kind="stable")
        order = order[gain[order] > 0]
        for place in _first(order, _places(first), count, apart=apart, taken=set()):
            other = float(_of(second, place[0]).rmse_mm[place[1]])
            marks.append(_mark(first, 6, f"{name} is nearer", place, f"{names[1]}: {other:.2f} mm"))
    return marks


def liveliest(motion_mm: Mapping[str, np.ndarray], frames: int) -> tuple[str, int, int]:
    """Shot and frames [start, stop) in which most happens; at most `frames` long.

    motion_mm: of each shot how far the target moved since the frame before, [frame], nan at first.

    Raises:
        StoreError: no shot has a frame.
    """
    best: tuple[float, str, int, int] | None = None
    for shot, motion in motion_mm.items():
        length = min(frames, len(motion))
        sums = np.cumsum(np.concatenate([[0.0], np.nan_to_num(motion)]))
        moved = (sums[length:] - sums[:-length]) / length if length else np.zeros(0)
        if len(moved):
            start = int(np.argmax(moved))
            # Short shots would win by a single lively second, so a longer clip goes before.
            score = float(moved[start]) * length
            if best is None or score > best[0]:
                best = (score, shot, start, start + length)
    if best is None:
        raise StoreError("the shots have no frames", remedy="ingest them again")
    return best[1:]


Place = tuple[str, int]


def _places(shots: Sequence[ShotMeasures]) -> list[Place]:
    return [(shot.shot, frame) for shot in shots for frame in range(len(shot))]


def _around(frame: int, apart: int) -> range:
    return range(frame - apart + 1, frame + apart)


def _first(
    order: np.ndarray, places: Sequence[Place], count: int, *, apart: int, taken: set[Place]
) -> list[Place]:
    """The first `count` places in this order that are not taken, nor near another of them."""
    chosen: list[Place] = []
    for index in order.tolist():
        if len(chosen) == count:
            break
        shot, frame = places[index]
        near = any(s == shot and abs(f - frame) < apart for s, f in chosen)
        if (shot, frame) not in taken and not near:
            chosen.append((shot, frame))
    return chosen


def _of(shots: Sequence[ShotMeasures], name: str) -> ShotMeasures:
    return next(shot for shot in shots if shot.shot == name)


def _mark(
    shots: Sequence[ShotMeasures], figure: int, kind: str, place: Place, note: str = ""
) -> Mark:
    rmse_mm = float(_of(shots, place[0]).rmse_mm[place[1]])
    return Mark(figure, kind, *place, rmse_mm, note)
