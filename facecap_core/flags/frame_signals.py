"""Frame signals: what the mesh alone says about each frame of a shot, in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from facecap_core.evaluation.yardstick import Yardstick

# The frames on each side, from the nearest to the farthest, that say how a face moves about a frame. Those
# nearer belong to the jump itself: one frame out of line, or two or three. None: a frame by itself, which
# tells a result that flickers on and on.
SURROUNDINGS: tuple[tuple[int, int] | None, ...] = ((2, 5), (4, 8), None)
QUICKER = 2.0  # motion may begin and end so much more sharply than it goes on
STILL_MM = 1e-3  # below the rounding of float32 positions


@dataclass(frozen=True, eq=False)
class FrameSignals:
    """Figures of each frame; accelerations in mm/frame², of the middle one of three frames.

    `crossings_mm` of "lips" and "lids": how far each pair has passed each other, in the face's
    upright and more than at rest, float32 [frame, pair]; below zero they are apart. Missing without pairs.
    """

    accelerations: Mapping[str, np.ndarray]  # region -> float64 [frame], RMS over its vertices
    crossings_mm: Mapping[str, np.ndarray]

    def about(self, region: str) -> np.ndarray:
        """How the region accelerates at most in the frames about each frame: float64 [frame], mm/frame²."""
        nearest, farthest = SURROUNDINGS[0] or (0, 0)
        return acceleration_about(self.accelerations[region], nearest, farthest)

    def jumps(self, region: str) -> np.ndarray:
        """Acceleration that the motion about a frame does not account for: float64 [surrounding, frame].

        In mm/frame², a row for each of `SURROUNDINGS`. A mesh that is out of line by d in one frame has 2 d
        there; one that stays where it went, d twice. A blink, however quick, accelerates in frames all
        about, and has little.
        """
        own = self.accelerations[region]
        expected = [
            QUICKER * acceleration_about(own, *reach) if reach else np.zeros_like(own)
            for reach in SURROUNDINGS
        ]
        return np.maximum(own - np.stack(expected), 0)


def acceleration_about(acceleration: np.ndarray, nearest: int, farthest: int) -> np.ndarray:
    """The largest of the frames about each frame, from `nearest` to `farthest` away: float64 [frame]."""
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(acceleration, farthest), 2 * farthest + 1
    )
    distance = np.abs(np.arange(-farthest, farthest + 1))
    return np.asarray(windows[:, distance >= nearest].max(axis=1))


def measure_frames(blocks: Iterable[np.ndarray], stick: Yardstick) -> FrameSignals:
    """The signals of a shot, whose positions [frame, vertex, xyz] come in blocks, in order."""
    before = np.zeros((0, len(stick.rest), 3), np.float32)
    pairs = {
        name: _Pairs.of(stick, chosen)
        for name, chosen in (("lips", stick.lip_pairs), ("lids", stick.lid_pairs))
        if len(chosen)
    }
    shares = np.zeros((len(stick.rest), len(stick.regions)), np.float32)  # [vertex, region]
    for number, vertices in enumerate(stick.regions.values()):
        shares[vertices, number] = 1 / len(vertices)
    squares: list[np.ndarray] = []  # of lengths, mean of each region: [frame, region]
    crossings: dict[str, list[np.ndarray]] = {name: [] for name in pairs}
    frames = 0
    for block in blocks:
        frames += len(block)
        chain = np.concatenate([before, block]) if len(before) else block
        moved = chain[1:] - chain[:-1]
        bent = moved[1:] - moved[:-1]
        squares.append(np.einsum("fvx,fvx->fv", bent, bent) @ shares)
        for name, across in pairs.items():
            crossings[name].append(across.crossings_mm(block))
        before = chain[-2:].copy()
    lengths = np.sqrt(np.concatenate(squares), dtype=np.float64) * stick.mm_per_unit
    return FrameSignals(
        {name: _in_the_middle(lengths[:, k], frames) for k, name in enumerate(stick.regions)},
        {name: np.concatenate(found) for name, found in crossings.items() if found},
    )


def _up(stick: Yardstick) -> np.ndarray:
    """Where up is in the face at rest, unit length: float64 [xyz].

    From the mouth to the eyes where there are both; else from the lower to the upper edge of the one opening.
    A mouth that is shut at rest does not tell by itself.
    """
    rest, both = stick.rest, (stick.lip_pairs, stick.lid_pairs)
    if all(map(len, both)):
        up = rest[stick.lid_pairs].mean(axis=(0, 1)) - rest[stick.lip_pairs].mean(axis=(0, 1))
        if stick.forward is not None:
            up -= stick.forward * (up @ stick.forward)
    else:
        upper, lower = np.concatenate(both).T
        up = (rest[upper] - rest[lower]).mean(axis=0)
    length = np.linalg.norm(up)
    return np.asarray(up / length if length else up)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of vertices that must not pass each other."""

    upper: np.ndarray  # int64 [pair]
    lower: np.ndarray
    up_mm: np.ndarray  # float32 [xyz], a millimetre's worth of the way up
    at_rest_mm: np.ndarray  # float32 [pair], what some of them have passed each other by at rest

    @staticmethod
    def of(stick: Yardstick, pairs: np.ndarray) -> _Pairs:
        upper, lower = pairs.T
        up = _up(stick) * stick.mm_per_unit
        at_rest = np.maximum((stick.rest[lower] - stick.rest[upper]) @ up, 0)
        return _Pairs(upper, lower, up.astype(np.float32), at_rest.astype(np.float32))

    def crossings_mm(self, positions: np.ndarray) -> np.ndarray:
        """float32 [frame, pair] of positions [frame, vertex, xyz]; above zero they have passed each other."""
        across = positions[:, self.lower] - positions[:, self.upper]
        return np.asarray(across @ self.up_mm - self.at_rest_mm, np.float32)


def _in_the_middle(inner: np.ndarray, frames: int) -> np.ndarray:
    """Accelerations of all frames, zero at the first and the last one."""
    whole = np.zeros(frames)
    whole[1 : 1 + len(inner)] = np.where(inner < STILL_MM, 0, inner)
    return whole
