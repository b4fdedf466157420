"""Rates: exact frame rates from the rounded numbers that point caches hold."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

ROUNDING = 2e-6  # 29.97 is written for 30000/1001, which is 1e-6 away
FLOAT32_ROUNDING = 2.0**-24


def nominal_rate(rate: float, uncertainty: float = 0.0) -> Fraction | None:
    """The frame rate that `rate` stands for: a whole number, n·1000/1001, or a simple fraction.

    `uncertainty` is relative. None when it could as well be the neighbour (30 and 29.97 differ by 0.1 %),
    and for what is no rate at all.
    """
    if not (0.01 <= rate <= 100_000) or not uncertainty < 3e-4:
        return None
    candidates = (Fraction(max(round(rate), 1)), Fraction(max(round(rate * 1.001), 1) * 1000, 1001))
    nearest = min(candidates, key=lambda candidate: abs(float(candidate) - rate))
    if abs(float(nearest) / rate - 1) <= ROUNDING + uncertainty:
        return nearest
    return Fraction(rate).limit_denominator(1000)


def rate_of_times(
    seconds: NDArray[np.float64], rounding: float = 0.0
) -> tuple[Fraction | None, str | None]:
    """Frame rate of the samples' times [frame], and a sentence when there is something to say about it.

    `rounding` is the relative error with which the file holds a time. Times that are not evenly spaced, or that
    count frames in place of seconds, give no rate. One sample has none either.
    """
    if len(seconds) < 2:
        return None, None
    if not np.isfinite(seconds).all():
        return None, "its times are not numbers, so it says no frame rate"
    span = float(seconds[-1] - seconds[0])
    if span <= 0:
        return None, "its times do not advance, so it says no frame rate"
    step = span / (len(seconds) - 1)
    noise = rounding * float(np.abs(seconds).max())
    even = seconds[0] + np.arange(len(seconds)) * step
    if float(np.abs(seconds - even).max()) > 0.01 * step + 2 * noise:
        return None, "its times are not evenly spaced, so it says no frame rate"
    rate = nominal_rate(1 / step, 2 * noise / span)
    if rate == 1:
        return None, "its times count frames, not seconds, so it says no frame rate"
    return rate, None
