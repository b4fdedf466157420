"""Held frames: pictures or meshes that are copies of those before them, and meshes that were interpolated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.cache_signals import CacheSignals
from facecap_core.checks.finding import Finding, severity_of
from facecap_core.checks.picture_signals import PictureSignals
from facecap_core.productions.production import Shot

CHECK = "held frames"
BLACK_CHECK = "black pictures"
NEIGHBOURS = 12  # frames on each side, against which a frame stands still
HELD_PART = 0.2  # of what changes in its neighbours
HELD_CONTRAST = (
    0.033  # of the picture's contrast: codecs change a copy by less, faces by twice as much
)
FROZEN_FRAMES = 12
SAME_MM = 1e-4  # float32 of a face in mm
BENT_PART = 1e-3  # of what changes in its neighbours
MOVING_MM = 0.05  # a frame; an expression that rests moves less
SHOWN = 4  # frame numbers in a sentence
LONGEST_PERIOD = 12
PERIODIC = 0.8  # part of the held frames that follow a rhythm
BLACK_FRAMES = 3
MOSTLY = 0.5


def held_pictures(pictures: PictureSignals) -> NDArray[np.int64]:
    """The frames that show what the one before showed, while their neighbours move: int64 [n], ascending."""
    change = pictures.change
    least = HELD_CONTRAST * float(np.median(pictures.contrast))
    still = (change < least) & (change < HELD_PART * _around(change))
    # In a long standstill the neighbours stand still too.
    still |= _runs(change < min(least, HELD_PART * float(np.median(change))), FROZEN_FRAMES)
    return np.flatnonzero(still) + 1


def held_meshes(cache: CacheSignals) -> NDArray[np.int64]:
    """Likewise the frames whose positions are those of the frame before: int64 [n], ascending."""
    return np.flatnonzero((cache.step < SAME_MM) & (_around(cache.step) > MOVING_MM)) + 1


def bent_meshes(cache: CacheSignals) -> NDArray[np.int64]:
    """The frames that lie just in the middle between their neighbours, which move: int64 [n], ascending."""
    moves = cache.step[:-1]
    return np.flatnonzero((cache.bend < BENT_PART * moves) & (moves > MOVING_MM)) + 1


def rhythm(held: NDArray[np.int64]) -> tuple[int, int] | None:
    """(k, n) where k of every n frames are held, at the same places; None: no such rhythm.

    `held` int64 [n]: the held frames, ascending.
    """
    if len(held) < 4:
        return None
    span = int(held[-1] - held[0]) + 1
    for period in range(2, LONGEST_PERIOD + 1):
        counts = np.bincount(held % period, minlength=period)
        often = counts > 0.6 * span / period
        if 0 < often.sum() < period and counts[often].sum() >= PERIODIC * len(held):
            return int(often.sum()), period
    return None


def check_pictures(shot: Shot, camera: str, pictures: PictureSignals) -> list[Finding]:
    """Copies, standstills and black pictures of a camera."""
    findings = []
    black = np.flatnonzero(_runs(pictures.is_black, BLACK_FRAMES))
    if len(black):
        message = f"{len(black)} pictures of camera {camera} are black: {_frames(black)}"
        remedy = "cut the shot to the frames that show the face"
        severity = severity_of(len(black), MOSTLY * pictures.frames)
        findings.append(
            Finding(
                BLACK_CHECK, shot.actor, shot.name, camera, len(black), "frames", message, remedy,
                severity,
            )
        )  # fmt: skip
    held = np.setdiff1d(held_pictures(pictures), black)
    if not len(held):
        return findings
    frozen = _longest(held)
    beat = rhythm(held)
    remedy = "export it at the rate it was recorded at, without made-up frames"
    if beat is not None:
        message = f"{beat[0]} of every {beat[1]} pictures of camera {camera} repeat the one before ({len(held)} in all)"
    elif frozen >= FROZEN_FRAMES:
        message = (
            f"the pictures of camera {camera} stand still for {frozen} frames: {_frames(held)}"
        )
        remedy = "cut the standstill off, from the cache too"
    else:
        message = f"{len(held)} pictures of camera {camera} repeat the one before: {_frames(held)}"
    findings.append(
        Finding(CHECK, shot.actor, shot.name, camera, len(held), "frames", message, remedy)
    )
    return findings


def check_meshes(shot: Shot, cache: CacheSignals) -> list[Finding]:
    """Copies and interpolated frames of a cache."""
    findings = []
    held, bent = held_meshes(cache), bent_meshes(cache)
    remedy = "export the cache at each frame of the video, from the track itself"
    for frames, what in ((held, "repeat the one before"), (bent, "are interpolated in a line")):
        if len(frames):
            beat = rhythm(frames)
            every = f", {beat[0]} of every {beat[1]}" if beat else f": {_frames(frames)}"
            message = f"{len(frames)} frames of the cache {what}{every}"
            findings.append(
                Finding(CHECK, shot.actor, shot.name, "", len(frames), "frames", message, remedy)
            )
    return findings


def _around(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median of each value's neighbourhood."""
    if not len(values):
        return values
    padded = np.pad(values, NEIGHBOURS, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1)
    return np.nanmedian(windows, axis=1)


def _runs(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The mask without what is true for less than `least` in a row."""
    edges = np.flatnonzero(np.diff(np.pad(mask.astype(np.int8), 1)))
    kept = np.zeros(len(mask), bool)
    for start, end in edges.reshape(-1, 2):
        kept[start:end] = end - start >= least
    return kept


def _longest(frames: NDArray[np.int64]) -> int:
    """How many of them follow one another at most."""
    cuts = np.flatnonzero(np.diff(frames) != 1)
    return int(np.diff(np.concatenate([[-1], cuts, [len(frames) - 1]])).max())


def _frames(frames: NDArray[np.int64]) -> str:
    """Frame numbers in words: 3, 17-29, 40 and 5 more."""
    cuts = np.flatnonzero(np.diff(frames) != 1) + 1
    runs = [part for part in np.split(frames, cuts) if len(part)]
    named = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs[:SHOWN]]
    more = sum(map(len, runs[SHOWN:]))
    return "frame " + ", ".join(named) + (f" and {more} more" if more else "")
