"""Frame offset: whether pictures and cache, or two cameras, go together at another frame than they are paired at.

At each offset the one is predicted from the other by ridge regression that has not seen the part of the shot
that it predicts. Head motion, which pictures show and caches do not, is one more thing to be looked through. Slow
motion is taken out first: it goes together at any offset.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.cache_signals import CacheSignals
from facecap_core.checks.finding import Finding, Severity
from facecap_core.checks.picture_signals import PictureSignals
from facecap_core.checks.quick_motion import PARTS, parts, principal, quick
from facecap_core.productions.production import Shot

CACHE_CHECK = "frame offset"
CAMERA_CHECK = "camera sync"
MOST_OFFSET = 24  # frames
FEWEST_FRAMES = 60  # below, the parts are too short to say anything
CAUSES, EFFECTS = 60, 12  # principal components that predict, and that are predicted
STRENGTH = 0.01  # of ridge, in parts of the mean variance

# What makes it sure, see benchmarks/RESULTS.md. Two shots that have nothing to do with each other correlate by
# up to 0.3 at one offset or another.
LEAST_CORRELATION = 0.35
LEAST_GAIN = 0.15  # over the offset 0
LEAST_PEAK = 0.12  # over all offsets that are not beside the best
LEAST_AGREEING = 3  # of the parts
# What is enough for a warning where another of the actor's shots is surely off by as much.
LIKELY_CORRELATION = 0.25
LIKELY_GAIN = 0.10
LIKELY_PEAK = 0.05


@dataclass(frozen=True)
class OffsetCurve:
    """How well one predicts the other at each offset.

    `correlation` is that of the prediction with the truth in what it has not seen; `best_of_parts` the best
    offset of each part by itself.
    """

    offsets: NDArray[np.int64]
    correlation: NDArray[np.float64]
    best_of_parts: NDArray[np.int64]

    @property
    def best(self) -> int:
        """The offset at which they go together best."""
        return int(self.offsets[self.correlation.argmax()])

    def at(self, offset: int) -> float:
        """The correlation at an offset, in frames, that was tried."""
        return float(self.correlation[np.flatnonzero(self.offsets == offset)[0]])

    @property
    def agreeing(self) -> int:
        """The parts of the shot that have this best offset by themselves."""
        return int((self.best_of_parts == self.best).sum())

    @property
    def peak(self) -> float:
        """How far the best rises above all that are not beside it."""
        others = self.correlation[np.abs(self.offsets - self.best) > 2]
        return self.at(self.best) - float(others.max())

    @property
    def is_off(self) -> bool:
        """Whether they surely go together at another offset than 0."""
        return (
            self._has_peak(LEAST_CORRELATION, LEAST_GAIN, LEAST_PEAK)
            and self.agreeing >= LEAST_AGREEING
        )

    @property
    def may_be_off(self) -> bool:
        """Whether that is likely, where it is known which offset to look for."""
        return self._has_peak(LIKELY_CORRELATION, LIKELY_GAIN, LIKELY_PEAK)

    def _has_peak(self, correlation: float, gain: float, peak: float) -> bool:
        best = self.best
        return (
            0 < abs(best) < int(self.offsets[-1])  # at the end of the search nothing is a peak
            and self.at(best) >= correlation
            and self.at(best) - self.at(0) >= gain
            and self.peak >= peak
        )


@dataclass(frozen=True)
class Pairing:
    """How two recordings of a shot go together: a camera's video and the cache, or the main camera and another."""

    check: str
    shot: Shot
    main: str
    camera: str  # the other one; of video and cache the video's
    curve: OffsetCurve

    def finding(self, others: int = 0) -> Finding:
        """What is told where they are off, or likely so, as `others` of the actor's shots surely are."""
        off, shot, likely = self.curve.best, self.shot, "likely " if others else ""
        frames = f"{abs(off)} frame{'s' if abs(off) > 1 else ''}"
        if self.check == CACHE_CHECK:
            message = f"frame 100 of the video {likely}shows frame {100 + off} of the cache"
            late = "cache" if off > 0 else "video"
            remedy = (
                f"leave out the first {frames} of the {late}, or export both over the same range"
            )
        else:
            message = f"frame 100 of camera {self.main} is {likely}frame {100 + off} of camera {self.camera}"
            late = self.camera if off > 0 else self.main
            remedy = f"leave out the first {frames} of camera {late}, or cut both by timecode"
        message += f": {_words(self.curve)}"
        if others:
            message += f", as in {others} other shot{'s' if others > 1 else ''} of {shot.actor}"
        severity: Severity = "warning" if others else "error"
        return Finding(
            self.check, shot.actor, shot.name, self.camera, off, "frames", message, remedy, severity
        )


def off_as_others(pairings: Iterable[Pairing]) -> list[Finding]:
    """Of an actor's shots those that are likely off by as much as another surely is: a rig is set up once a day."""
    findings = []
    alike: dict[tuple[str, str], list[Pairing]] = defaultdict(list)
    for pairing in pairings:
        alike[pairing.check, pairing.camera].append(pairing)
    for group in alike.values():
        sure = Counter(pairing.curve.best for pairing in group if pairing.curve.is_off)
        findings += [
            pairing.finding(others=sure[pairing.curve.best])
            for pairing in group
            if sure[pairing.curve.best] and pairing.curve.may_be_off and not pairing.curve.is_off
        ]
    return findings


def offset_curve(
    causes: Sequence[NDArray[np.floating]], effects: Sequence[NDArray[np.floating]]
) -> OffsetCurve | None:
    """Frame t of `causes` against frame t + offset of `effects`; None: the shot is too short.

    Args:
        causes: stretches of a shot [frame, number], which predict.
        effects: the same frames [frame, number], which are predicted.
    """
    most = min(MOST_OFFSET, max(map(len, causes)) // 5)
    # The frames that have all offsets inside of their stretch.
    middles, start = [], 0
    for stretch in causes:
        middles.append(np.arange(start + most, start + len(stretch) - most))
        start += len(stretch)
    middle = np.concatenate(middles)
    if start < FEWEST_FRAMES:
        return None
    cause = principal(np.concatenate([quick(part) for part in causes]), CAUSES, len(middle) // 3)
    effect = principal(np.concatenate([quick(part) for part in effects]), EFFECTS)
    offsets = np.arange(-most, most + 1)
    products = np.zeros((3, PARTS, len(offsets)))  # guess by guess, guess by truth, truth by truth
    for part, (asked, others) in enumerate(parts(len(middle))):
        asked, others = middle[asked], middle[others]
        mean = cause[others].mean(0)
        known = cause[others] - mean
        square = known.T @ known
        square[np.diag_indices(len(square))] += STRENGTH * np.trace(square) / len(square)
        weights = np.linalg.solve(square, known.T)
        turned = (cause[asked] - mean) @ weights  # [asked, others]
        for number, offset in enumerate(offsets):
            usual = effect[others + offset].mean(0)
            guess = turned @ (effect[others + offset] - usual)
            truth = effect[asked + offset] - usual
            products[:, part, number] = (
                (guess * guess).sum(),
                (guess * truth).sum(),
                (truth**2).sum(),
            )
    return OffsetCurve(
        offsets, _correlation(products.sum(1)), offsets[_correlation(products).argmax(1)]
    )


def pair_with_cache(
    shot: Shot, camera: str, pictures: PictureSignals, cache: CacheSignals
) -> Pairing | None:
    """How the video and the cache of a shot go together; None where they are too short, or differ in length, which
    the plain check says."""
    if pictures.frames != cache.frames:
        return None
    curve = offset_curve(seen(pictures), _moving(cache))
    return None if curve is None else Pairing(CACHE_CHECK, shot, camera, camera, curve)


def pair_cameras(
    shot: Shot, main: str, camera: str, pictures: PictureSignals, others: PictureSignals
) -> Pairing | None:
    """How a further camera goes with the main one; None likewise."""
    if pictures.frames != others.frames:
        return None
    curve = offset_curve(seen(pictures), seen(others))
    return None if curve is None else Pairing(CAMERA_CHECK, shot, main, camera, curve)


def seen(pictures: PictureSignals) -> list[NDArray[np.float32]]:
    """The cells of the crop, free of flicker: stretches of [frame, cell]."""
    found = []
    for stretch in pictures.stretches:
        cells = stretch[:, pictures.inside].astype(np.float32)
        found.append(cells / np.maximum(cells.mean(1, keepdims=True), 1.0))
    return found


def _moving(cache: CacheSignals) -> list[NDArray[np.float32]]:
    return [stretch.reshape(len(stretch), -1) for stretch in cache.stretches]


def _correlation(products: NDArray[np.float64]) -> NDArray[np.float64]:
    guess, both, truth = products
    return both / np.sqrt(np.maximum(guess * truth, 1e-30))


def _words(curve: OffsetCurve) -> str:
    return (
        f"so they correlate by {curve.at(curve.best):.2f}, and by {curve.at(0):.2f} as they are "
        f"({curve.agreeing} of {PARTS} parts of the shot agree)"
    )
