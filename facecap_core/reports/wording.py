"""Wording: how figures are written for people."""

from __future__ import annotations

import datetime
import math


def mm(value: float | None) -> str:
    """Millimetres with three figures below 0.1, else hundredths."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}"


def count(number: int, noun: str) -> str:
    """`1 shot` or `3 shots`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`42 s`, `5 min 3 s` or `8.2 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{seconds / 3600:.1f} h"


def date(iso: str) -> str:
    """A date of model.json for reading; as it is when it is none."""
    try:
        moment = datetime.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


def figure(value: float) -> str:
    """Three decimals, or a dash for what is not known."""
    return f"{round(value, 3) + 0.0:.3f}" if math.isfinite(value) else "–"  # and no -0.000
