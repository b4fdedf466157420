"""Sparkline: a curve the size of a word, from 0 below to 1 above, as SVG."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 180, 32
MOST_POINTS = 90


def sparkline(values: np.ndarray, frame: int, *, line: float) -> str:
    """Values float [frame] between 0 and 1, a mark at `frame`, a level at `line`.

    Long curves are drawn by the lowest value of each stretch, so that no dip is lost.
    """
    count = len(values)
    starts = np.linspace(0, count, min(count, MOST_POINTS) + 1).astype(int)[:-1]
    lows = np.minimum.reduceat(np.clip(values, 0, 1), starts)
    scale = WIDTH / max(count - 1, 1)
    points = " ".join(
        f"{at * scale:.1f},{HEIGHT * (1 - low):.1f}" for at, low in zip(starts, lows, strict=True)
    )
    level, at = HEIGHT * (1 - line), frame * scale
    return (
        f'<svg viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}" class="spark" aria-hidden="true">'
        f'<path d="M0 {level:.1f}H{WIDTH}" class="level"/>'
        f'<polyline points="{points}"/>'
        f'<path d="M{at:.1f} 0V{HEIGHT}" class="at"/></svg>'
    )
