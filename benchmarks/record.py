"""Record: how a benchmark hands its figures to `python -m benchmarks`, which compares them with earlier ones.

A script prints what people read, and for each figure that is to be kept one line more:

    from benchmarks.record import figure, ratio

    ratio("decoding : PyAV alone", ours, alone, at_least=0.97)         # lists, one value a round
    figure("farm submit, head up", seconds, unit="s", at_most=2.0)     # a list of repeats

Both print the median as a line `@ {"name": ...}` of JSON on stdout, and return it. Rounds are interleaved:
value i of one way was measured beside value i of the other, so a ratio is taken round by round. This module
needs Python alone, on a machine with a GPU too.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

MARK = "@ "
RATIO = "ratio"


@dataclass(frozen=True)
class Figure:
    """One measured figure: the median of its rounds and their quartiles."""

    name: str
    median: float
    low: float
    high: float
    n: int
    unit: str = RATIO
    at_least: float | None = None
    at_most: float | None = None

    @property
    def aim(self) -> str:
        """The aim in words; empty where there is none."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else ""

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return self.median <= self.at_most if self.at_most is not None else None

    def moved(self, before: Figure) -> tuple[float, bool]:
        """The median by that of an earlier run, and whether each lies outside the other's quartiles."""
        inside = before.low <= self.median <= before.high or self.low <= before.median <= self.high
        return self.median / before.median if before.median else 1.0, not inside


def figure(
    name: str,
    rounds: Sequence[float],
    *,
    unit: str = RATIO,
    at_least: float | None = None,
    at_most: float | None = None,
) -> float:
    """Hand over one figure, measured once or in several rounds; returns the median.

    Args:
        unit: "ratio", or what the figure is counted in ("s", "frames/s", "MB").
        at_least, at_most: what it is aimed at.
    """
    low, middle, high = (
        statistics.quantiles(rounds, n=4, method="inclusive") if len(rounds) > 1 else 3 * rounds[:1]
    )
    found = Figure(name, middle, low, high, len(rounds), unit, at_least, at_most)
    print(MARK + json.dumps(asdict(found)), flush=True)
    return middle


def ratio(
    name: str,
    ours: Sequence[float],
    other: Sequence[float],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> float:
    """Hand over how many times `other` our rates (or times) are, round by round; returns the median."""
    rounds = [a / b for a, b in zip(ours, other, strict=True)]
    return figure(name, rounds, at_least=at_least, at_most=at_most)


def parse(line: str) -> Figure | None:
    """The figure of a line of output, or None."""
    if not line.startswith(MARK):
        return None
    try:
        return Figure(**json.loads(line[len(MARK) :]))
    except (ValueError, TypeError):
        return None
