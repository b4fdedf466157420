"""Shot measures: what is measured in each frame of a shot, in flat memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facecap_core.evaluation.yardstick import Yardstick


@dataclass(frozen=True, eq=False)
class Aperture:
    """How far pairs of vertices are apart in each frame, float64 [frame]; empty without pairs."""

    result_mm: np.ndarray  # mean over the pairs
    target_mm: np.ndarray
    error_mm: np.ndarray  # mean over the pairs of the absolute difference


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over frames, for figures of all frames that cannot be had from figures of each frame.

    Positions are taken from the mesh at rest, in mm.
    """

    frames: int
    distance: np.ndarray  # float64 [vertex], between result and target
    result: np.ndarray  # float64 [vertex, xyz]
    target: np.ndarray
    product: np.ndarray  # float64 [vertex], result times target
    square: np.ndarray  # float64 [vertex], target times target
    low: np.ndarray  # float64 [xyz], least position of the target, production units
    high: np.ndarray

    @property
    def mean_distance_mm(self) -> np.ndarray:
        """Of each vertex: float64 [vertex]."""
        return self.distance / max(self.frames, 1)

    @property
    def systematic_mm(self) -> np.ndarray:
        """Length of each vertex' mean difference, the part of the error that never changes: float64 [vertex]."""
        return np.asarray(np.linalg.norm(self.result - self.target, axis=1) / max(self.frames, 1))

    def amplitude(self, vertices: np.ndarray) -> float:
        """Slope of the result's motion about the target's mean on the target's: 1 is full motion.

        Over `vertices` int64 [n]; nan where the target does not move.
        """
        mean = self.target[vertices] / max(self.frames, 1)
        moved = self.square[vertices].sum() - (mean * self.target[vertices]).sum()
        followed = self.product[vertices].sum() - (mean * self.result[vertices]).sum()
        # What rounding leaves of a face that does not move is no motion.
        still = 1e-9 * max(self.frames, 1) * len(vertices)
        return float(followed / moved) if moved > still else float("nan")


@dataclass(frozen=True, eq=False)
class ShotMeasures:
    """One shot, frame by frame: float64 [frame] each, in mm.

    A velocity belongs to the frame that it leads to, an acceleration to the middle one of its three;
    they are nan at the shot's ends.
    """

    shot: str
    rmse_mm: np.ndarray  # over the animated vertices, as in Figure 4's caption
    regions_mm: Mapping[str, np.ndarray]
    velocity_error_mm: np.ndarray  # first difference of the error, RMS over animated vertices
    acceleration_error_mm: np.ndarray  # second difference
    target_velocity_mm: np.ndarray
    result_acceleration_mm: np.ndarray
    target_acceleration_mm: np.ndarray
    lips: Aperture
    lids: Aperture
    jaw_forward_mm: np.ndarray  # the target's jaw from its rest along the face; empty: not known
    jaw_forward_error_mm: np.ndarray  # how much further forward the result's jaw is
    sums: Sums
    start_frame: int = 0  # number of the first frame, as videos, pages and files show it

    def __len__(self) -> int:
        return len(self.rmse_mm)


class ShotMeter:
    """Measures one shot, whose frames are given in blocks, in order."""

    def __init__(self, shot: str, stick: Yardstick, start_frame: int = 0) -> None:
        self._shot, self._stick, self._start_frame = shot, stick, start_frame
        vertices = len(stick.rest)
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._blocks: dict[str, list[np.ndarray]] = {}
        self._frames = 0
        self._distance, self._product, self._square = np.zeros((3, vertices))
        self._result, self._target = np.zeros((2, vertices, 3))
        self._low, self._high = np.full(3, np.inf), np.full(3, -np.inf)

    def add(self, result: np.ndarray, target: np.ndarray) -> None:
        """The next frames: [frame, vertex, xyz] both, in production units."""
        stick = self._stick
        ours = (result.astype(np.float64) - stick.rest) * stick.mm_per_unit
        wanted = (target.astype(np.float64) - stick.rest) * stick.mm_per_unit
        apart = ours - wanted
        squares = np.square(apart).sum(axis=2)  # [frame, vertex]
        self._keep("rmse", np.sqrt(squares[:, stick.animated].mean(axis=1)))
        for name, group in stick.regions.items():
            self._keep(f"region {name}", np.sqrt(squares[:, group].mean(axis=1)))
        for name, pairs in (("lips", stick.lip_pairs), ("lids", stick.lid_pairs)):
            if len(pairs):
                ours_open, wanted_open = self._openings(ours, pairs), self._openings(wanted, pairs)
                self._keep(f"{name} result", ours_open.mean(axis=1))
                self._keep(f"{name} target", wanted_open.mean(axis=1))
                self._keep(f"{name} error", np.abs(ours_open - wanted_open).mean(axis=1))
        if stick.jaw is not None and stick.forward is not None:
            self._keep("jaw", wanted[:, stick.jaw].mean(axis=1) @ stick.forward)
            self._keep("jaw error", apart[:, stick.jaw].mean(axis=1) @ stick.forward)
        self._time(ours[:, stick.animated], wanted[:, stick.animated])
        self._frames += len(result)
        self._distance += np.sqrt(squares).sum(axis=0)
        self._result += ours.sum(axis=0)
        self._target += wanted.sum(axis=0)
        self._product += np.einsum("fvc,fvc->v", ours, wanted)
        self._square += np.einsum("fvc,fvc->v", wanted, wanted)
        self._low = np.minimum(self._low, target.min(axis=(0, 1)))
        self._high = np.maximum(self._high, target.max(axis=(0, 1)))

    def finish(self) -> ShotMeasures:
        """Everything that was measured."""
        return ShotMeasures(
            shot=self._shot,
            rmse_mm=self._joined("rmse"),
            regions_mm={name: self._joined(f"region {name}") for name in self._stick.regions},
            velocity_error_mm=self._in_time("velocity error"),
            acceleration_error_mm=self._in_time("acceleration error"),
            target_velocity_mm=self._in_time("velocity target"),
            result_acceleration_mm=self._in_time("acceleration result"),
            target_acceleration_mm=self._in_time("acceleration target"),
            lips=self._aperture("lips"),
            lids=self._aperture("lids"),
            jaw_forward_mm=self._joined("jaw"),
            jaw_forward_error_mm=self._joined("jaw error"),
            sums=Sums(
                self._frames,
                self._distance,
                self._result,
                self._target,
                self._product,
                self._square,
                self._low,
                self._high,
            ),
            start_frame=self._start_frame,
        )

    def _time(self, ours: np.ndarray, wanted: np.ndarray) -> None:
        """Differences between neighbouring frames; the last two of the block before go first."""
        if self._last is not None:
            ours = np.concatenate([self._last[0], ours])
            wanted = np.concatenate([self._last[1], wanted])
        carried = 0 if self._last is None else len(self._last[0])
        self._last = ours[-2:].copy(), wanted[-2:].copy()
        series = {"result": ours, "target": wanted, "error": ours - wanted}
        for name, positions in series.items():
            velocity = np.diff(positions, axis=0)
            self._keep(f"acceleration {name}", _length(np.diff(velocity, axis=0)))
            self._keep(f"velocity {name}", _length(velocity[max(carried - 1, 0) :]))

    def _openings(self, moved: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """How far pairs are apart in mm, float64 [frame, pair], of motion from rest in mm."""
        closed = self._stick.rest * self._stick.mm_per_unit
        upper, lower = pairs.T
        across = moved[:, upper] - moved[:, lower] + (closed[upper] - closed[lower])
        return np.asarray(np.linalg.norm(across, axis=2))

    def _keep(self, name: str, values: np.ndarray) -> None:
        self._blocks.setdefault(name, []).append(values)

    def _joined(self, name: str) -> np.ndarray:
        return np.concatenate([np.zeros(0), *self._blocks.get(name, ())])

    def _in_time(self, name: str) -> np.ndarray:
        padded = np.full(self._frames, np.nan)
        values = self._joined(name)
        padded[1 : 1 + len(values)] = values
        return padded

    def _aperture(self, name: str) -> Aperture:
        return Aperture(*(self._joined(f"{name} {of}") for of in ("result", "target", "error")))


def add_up(sums: Sequence[Sums]) -> Sums:
    """The sums of several shots as one; there must be one."""
    return Sums(
        frames=sum(s.frames for s in sums),
        distance=np.sum([s.distance for s in sums], axis=0),
        result=np.sum([s.result for s in sums], axis=0),
        target=np.sum([s.target for s in sums], axis=0),
        product=np.sum([s.product for s in sums], axis=0),
        square=np.sum([s.square for s in sums], axis=0),
        low=np.min([s.low for s in sums], axis=0),
        high=np.max([s.high for s in sums], axis=0),
    )


def _length(vectors: np.ndarray) -> np.ndarray:
    """RMS over vertices of vectors [frame, vertex, xyz]: float64 [frame]."""
    return np.asarray(np.sqrt(np.square(vectors).sum(axis=2).mean(axis=1)))
