"""Deep check faults: what benchmarks/deep_check.py plants in a shot, with what has to be found of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.spoilt_footage import (
    Edit,
    black,
    darker,
    dimming,
    doubled,
    flatter,
    flickering,
    later,
    moved,
    with_head_motion,
)

OFFSETS = (-15, -8, -3, -2, -1, 1, 2, 3, 8, 15)


@dataclass(frozen=True)
class Fault:
    """A fault to plant in a shot: how its video or its cache is changed, and what must be found."""

    name: str
    check: str
    order: Callable[[int], list[int]] | None = None  # of a camera's pictures
    edit: Callable[[int, tuple[int, int]], Edit] | None = None  # of frames, and of the crop's size
    cache: Callable[[np.ndarray, float], np.ndarray] | None = None  # of positions, mm a unit
    figure: float | None = None
    second_camera: bool = False


def cache_faults() -> list[Fault]:
    """Those of caches, which cost no decoding."""
    found = [
        Fault(
            f"cache {offset:+d} frames",
            "frame offset",
            cache=lambda positions, _, offset=offset: positions[later(len(positions), offset)],
            figure=-offset,
        )
        for offset in OFFSETS
    ]
    found += [
        Fault(
            f"head motion {degrees:g} degrees, {mm:g} mm",
            "head motion",
            cache=lambda positions, unit, degrees=degrees, mm=mm: with_head_motion(
                positions, degrees, mm, mm_per_unit=unit
            ),
        )
        for degrees, mm in ((0.25, 0.5), (0.5, 1), (1, 2), (2, 4))
    ]
    found.append(
        Fault(
            "head 3 mm aside",
            "head motion",
            cache=lambda positions, unit: positions + np.float32(3 / unit / 3**0.5),
        )
    )
    found.append(
        Fault(
            "every 5th mesh doubled",
            "held frames",
            cache=lambda p, _: p[doubled(len(p), range(4, len(p), 5))],
        )
    )
    found.append(
        Fault(
            "one mesh doubled",
            "held frames",
            cache=lambda p, _: p[doubled(len(p), [len(p) // 2])],
        )
    )
    found.append(Fault("every 2nd mesh interpolated", "held frames", cache=_bent))
    return found


def video_faults() -> list[Fault]:
    """Those of pictures, which are encoded anew."""
    return [
        Fault("nothing (only encoded anew)", ""),
        Fault("every 5th picture doubled", "held frames", lambda n: doubled(n, range(4, n, 5))),
        Fault(
            "2 of 5 pictures doubled",
            "held frames",
            lambda n: doubled(n, [i for i in range(2, n) if i % 5 in (2, 4)]),
        ),
        Fault("one picture doubled", "held frames", lambda n: doubled(n, [n // 2])),
        Fault("25 pictures frozen", "held frames", lambda n: doubled(n, range(60, 85))),
        Fault("20 % darker", "exposure", edit=lambda *_: darker(0.20), figure=-20),
        Fault("25 % less contrast", "exposure", edit=lambda *_: flatter(0.25), figure=-25),
        Fault("dims by 30 %", "exposure", edit=lambda n, _: dimming(0.3, n)),
        Fault("flickers by 6 %", "exposure", edit=lambda *_: flickering(0.06), figure=6),
        Fault("12 black pictures", "black pictures", edit=lambda *_: black(40, 51), figure=12),
        Fault(
            "picture moved by 25 % of the crop",
            "face in crop",
            edit=lambda _, size: moved(size[0] // 4, 0),
        ),
        *(
            Fault(
                f"second camera {offset:+d} frames",
                "camera sync",
                lambda n, offset=offset: later(n, offset),
                figure=-offset,
                second_camera=True,
            )
            for offset in (-8, -2, -1, 1, 5)
        ),
    ]


def _bent(positions: np.ndarray, _: float) -> np.ndarray:
    bent = positions.copy()
    last = len(bent) - 1 - len(bent) % 2
    bent[1:last:2] = (bent[0 : last - 1 : 2] + bent[2 : last + 1 : 2]) / 2
    return bent
