"""Shot flags: everything about a solved shot that someone should look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from facecap_core.evaluation.yardstick import Yardstick, yardstick
from facecap_core.flags.flagged_range import (
    JUMP,
    LIDS_CROSSING,
    LIPS_CROSSING,
    LOW_CONFIDENCE,
    UNLIKE_TRAINING,
    FlaggedRange,
    ranges_of,
)
from facecap_core.flags.frame_signals import FrameSignals, measure_frames
from facecap_core.flags.usual import Usual
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.regions import actor_regions
from facecap_core.solved_shot import SolvedShot
from facecap_core.template import read_animated
from facecap_core.units import MM_PER_UNIT

BATCH = 64  # a chunk of the stores
CROSSINGS = {"lips": LIPS_CROSSING, "lids": LIDS_CROSSING}
LONGER = 1.5
CORRECTED = "; an artist corrected this frame"
LEAST_CONFIDENCE = 0.01  # so that no severity is endless


@dataclass(frozen=True)
class Limits:
    """What is let pass.

    `jump_mm` and `crossing_mm` come on top of, or in place of, what the training targets do themselves.
    """

    confidence: float = 0.5  # twice the error of a usual validation frame
    novelty: float = 2.0  # 1: nineteen of twenty validation frames are nearer to the training set
    jump_mm: float = 1.0  # per frame²; less is not seen in motion
    crossing_mm: float = 0.5  # beyond the training targets
    gap_seconds: float = 0.2  # ranges with less between them are one
    pad_seconds: float = 0.1  # shown before and after


def solved_yardstick(solved: SolvedShot) -> Yardstick:
    """The regions and pairs of the shot's actor.

    Raises:
        TemplateError: the list of animated vertices or the file of regions is at fault.
    """
    actor, template = solved.actor, solved.template
    animated = read_animated(actor.animated, template.vertex_count)
    regions = actor_regions(actor, template)
    return yardstick(template.positions, animated, regions, MM_PER_UNIT[str(solved.facts["units"])])


def flag_shot(
    solved: SolvedShot,
    usual: Usual | None = None,
    limits: Limits | None = None,
    *,
    stick: Yardstick | None = None,
    on_progress: OnProgress | None = None,
) -> list[FlaggedRange]:
    """Ranges in the order of the shot; those of different reasons may overlap.

    Low confidence and likeness to training are judged only where the shot's store has these figures, and not in
    corrected frames; that a range's worst frame is one of these, its detail says.

    Args:
        usual: what the training targets do (`measure_usual`); None: nothing is known of them.
        stick: else that of the shot's actor.

    Raises:
        StoreError: the store is damaged. TemplateError: see `solved_yardstick`.
        Cancelled: `on_progress` answered False.
    """
    limits = limits or Limits()
    stick = stick or solved_yardstick(solved)
    signals = measure_frames(_blocks(solved, on_progress), stick)
    gap, pad = (
        round(seconds * float(solved.fps)) for seconds in (limits.gap_seconds, limits.pad_seconds)
    )
    corrections = solved.corrections
    mended = np.zeros(solved.frames, bool) if corrections is None else corrections.corrected
    found = []
    for finding in (
        *_confidence(solved, mended, limits),
        *_novelty(solved, mended, limits),
        *_jumps(signals, usual, limits),
        *_crossings(signals, usual, limits),
    ):
        for first, last, worst in ranges_of(finding.severity, gap=gap, pad=pad):
            found.append(
                FlaggedRange(
                    shot=solved.name,
                    first=first,
                    last=last,
                    reason=finding.reason,
                    severity=float(finding.severity[worst]),
                    detail=finding.detail(worst, solved.start_frame + worst)
                    + (CORRECTED if mended[worst] else ""),
                    start_frame=solved.start_frame,
                )
            )
    return sorted(found, key=lambda flagged: (flagged.first, flagged.reason))


@dataclass(frozen=True)
class _Finding:
    """One reason: how severe it is in each frame, and what is said of the worst frame of a range."""

    reason: str
    severity: np.ndarray  # float64 [frame]; 1 and more is flagged
    detail: Callable[[int, int], str]  # of the frame, and what it is called


def _blocks(solved: SolvedShot, on_progress: OnProgress | None) -> Iterator[np.ndarray]:
    for start in range(0, solved.frames, BATCH):
        report(on_progress, Progress("flag", start, solved.frames))
        yield solved.read(start, min(start + BATCH, solved.frames))


def _confidence(solved: SolvedShot, mended: np.ndarray, limits: Limits) -> Iterator[_Finding]:
    confidence, errors = solved.confidence, solved.predicted_rmse_mm
    if confidence is None:
        return

    def detail(worst: int, called: int) -> str:
        expected = "" if errors is None else f", an error of {errors[worst]:.2f} mm is expected"
        return f"confidence {confidence[worst]:.2f} at frame {called}{expected}"

    severity = limits.confidence / np.maximum(confidence, LEAST_CONFIDENCE)
    yield _Finding(LOW_CONFIDENCE, np.where(mended, 0, severity), detail)


def _novelty(solved: SolvedShot, mended: np.ndarray, limits: Limits) -> Iterator[_Finding]:
    novelty = solved.novelty
    if novelty is None:
        return

    def detail(worst: int, called: int) -> str:
        return (
            f"frame {called} is {novelty[worst]:.1f} times as far from the training set"
            " as nineteen of twenty validation frames"
        )

    severity = np.where(mended, 0, novelty / limits.novelty)
    yield _Finding(UNLIKE_TRAINING, severity, detail)


def _jumps(signals: FrameSignals, usual: Usual | None, limits: Limits) -> Iterator[_Finding]:
    """One finding for all regions: what jumps as a whole is told once, by the region that jumps most."""
    if not signals.accelerations:
        return
    regions = list(signals.accelerations)
    severities = []
    for region in regions:
        jumps = signals.jumps(region)
        tracked = usual.jumps.get(region) if usual else None
        if tracked is None:
            severities.append(jumps[0] / limits.jump_mm)
            continue
        passed = np.maximum(tracked, limits.jump_mm)
        passed[1:] *= LONGER  # nothing but the training targets tells these from quick motion
        severities.append((jumps / passed[:, None]).max(axis=0))
    stacked = np.stack(severities)  # [region, frame]

    def detail(worst: int, called: int) -> str:
        region = regions[int(stacked[:, worst].argmax())]
        there, about = signals.accelerations[region][worst], signals.about(region)[worst]
        return (
            f"{region}: acceleration {there:.1f} mm/frame² at frame {called},"
            f" {about:.1f} in the frames about it"
        )

    yield _Finding(JUMP, stacked.max(axis=0), detail)


def _crossings(signals: FrameSignals, usual: Usual | None, limits: Limits) -> Iterator[_Finding]:
    for name, depth in signals.crossings_mm.items():
        tracked = usual.crossings_mm.get(name) if usual else None
        passed = limits.crossing_mm + (0.0 if tracked is None else tracked)
        yield _crossing(name, depth, depth / passed, tracked)


def _crossing(
    name: str, depth: np.ndarray, severities: np.ndarray, tracked: np.ndarray | None
) -> _Finding:
    """Of pairs: depth in mm and severity [frame, pair], and how far each crosses in tracked footage."""

    def detail(worst: int, called: int) -> str:
        pair = int(severities[worst].argmax())
        count = int((severities[worst] >= 1).sum())
        beside = "" if tracked is None else f"; in training by {tracked[pair]:.1f} mm"
        return (
            f"{name} cross by {depth[worst, pair]:.1f} mm at frame {called}"
            f" ({count} of {depth.shape[1]} pairs){beside}"
        )

    return _Finding(CROSSINGS[name], severities.max(axis=1), detail)
