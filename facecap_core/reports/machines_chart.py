"""Machines chart: when which machine worked, and how many frames a second came of it, as SVG."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure

from facecap_core.reports.figures import BAND, BLUE, INK, STYLE, VERMILION, grid, svg

BINS = 160
MOST_ROWS = 32  # machines with a row of their own


@dataclass(frozen=True)
class Span:
    """One try of one shot on one machine, in Unix time; `frames` came of it."""

    shot: str
    host: str
    began: float
    ended: float
    frames: int
    failed: bool


def together_seconds(spans: Sequence[Span]) -> float:
    """How long at least one of them was at work."""
    total, until = 0.0, -np.inf
    for span in sorted(spans, key=lambda span: span.began):
        total += max(0.0, span.ended - max(span.began, until))
        until = max(until, span.ended)
    return total


def frames_per_second(spans: Sequence[Span], edges: np.ndarray) -> np.ndarray:
    """Mean in each interval between `edges` [edge], float64 [edge - 1]; a span's frames come evenly."""
    rate = np.zeros(len(edges) - 1)
    for span in spans:
        if span.frames:
            rate += span.frames * _share(span, edges)
    return np.asarray(rate / np.diff(edges))


def at_work(spans: Sequence[Span], edges: np.ndarray) -> np.ndarray:
    """How many were at work in each interval between `edges`, on average, float64 [edge - 1]."""
    seconds = np.zeros(len(edges) - 1)
    for span in spans:
        seconds += _share(span, edges) * (span.ended - span.began)
    return np.asarray(seconds / np.diff(edges))


def machines_chart(spans: Sequence[Span]) -> str:
    """Frames a second of all machines, and below a row a machine: how many shots it had at work.

    Crosses are tries that failed or were lost. There must be a span.
    """
    rows = _rows(spans)
    began, ended = (
        min(span.began for span in spans),
        max(max(span.ended for span in spans), min(span.began for span in spans) + 1.0),
    )
    edges = np.linspace(began, ended, BINS + 1)
    with mpl.rc_context({**STYLE, "text.parse_math": False}):  # a machine's name may hold a $
        below = 0.35 + 0.3 * len(rows)
        figure = Figure(figsize=(11.0, 2.0 + below), layout="constrained")
        above, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.6, below])
        above.stairs(frames_per_second(spans, edges), _dates(edges), fill=True, color=BLUE)
        above.set_ylim(0, None)
        above.set_ylabel("frames/s")
        grid(above)
        _draw_rows(lower, rows, edges)
        lower.set_xlim(*_dates(np.array([began, ended])))
        locator = AutoDateLocator(minticks=4, maxticks=10, tz=_zone(began))
        lower.xaxis.set_major_locator(locator)
        lower.xaxis.set_major_formatter(DateFormatter(_clock(ended - began), tz=_zone(began)))
        lower.set_xlabel(
            f"from {datetime.datetime.fromtimestamp(began).astimezone():%Y-%m-%d %H:%M %Z}"
        )
        return svg(figure, "timeline")


def _draw_rows(axes: Axes, rows: Sequence[tuple[str, Sequence[Span]]], edges: np.ndarray) -> None:
    most = max(at_work(own, edges).max() for _, own in rows) or 1.0
    for place, (_, own) in enumerate(rows):
        floor = len(rows) - 1 - place
        axes.axhspan(floor, floor + 0.9, color=BAND, linewidth=0)
        heights = floor + 0.9 * at_work(own, edges) / most
        axes.stairs(heights, _dates(edges), baseline=floor, fill=True, color=INK, alpha=0.55)
        lost = _dates(np.array([span.ended for span in own if span.failed]))
        axes.plot(
            lost,
            np.full(len(lost), floor + 0.45),
            "x",
            color=VERMILION,
            markersize=6,
            markeredgewidth=1.8,
            clip_on=False,
        )
    axes.set_ylim(0, len(rows))
    axes.set_yticks([len(rows) - 0.55 - place for place in range(len(rows))], [n for n, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _rows(spans: Sequence[Span]) -> list[tuple[str, list[Span]]]:
    """The machines in the order of their names; the least busy ones of very many share a row."""
    by_host: dict[str, list[Span]] = {}
    for span in spans:
        by_host.setdefault(span.host or "?", []).append(span)
    busiest = sorted(by_host, key=lambda host: -together_seconds(by_host[host]))
    kept = busiest if len(busiest) <= MOST_ROWS else busiest[: MOST_ROWS - 1]
    rows = [(host, by_host[host]) for host in sorted(kept)]
    others = [span for host in busiest[len(kept) :] for span in by_host[host]]
    return [*rows, (f"{len(busiest) - len(kept)} others", others)] if others else rows


def _share(span: Span, edges: np.ndarray) -> np.ndarray:
    """The part of the span in each interval; they add up to 1 where the edges hold it."""
    if span.ended <= span.began:
        inside = (edges[:-1] <= span.began) & (span.began < edges[1:])
        inside[-1] |= span.began == edges[-1]
        return inside.astype(np.float64)
    cut = np.clip(edges, span.began, span.ended)
    return np.asarray(np.diff(cut) / (span.ended - span.began))


def _clock(seconds: float) -> str:
    return "%H:%M:%S" if seconds < 600 else "%H:%M" if seconds < 86400 else "%a %H:%M"


def _zone(moment: float) -> datetime.tzinfo | None:
    """Local time as it was then, as the ledger's logs have it."""
    return datetime.datetime.fromtimestamp(moment).astimezone().tzinfo


def _dates(moments: np.ndarray) -> np.ndarray:
    return np.asarray(
        date2num([datetime.datetime.fromtimestamp(m, datetime.UTC) for m in moments.tolist()])
    )
