"""Timecode: a frame of a shot as editors name it."""

from __future__ import annotations

import re
from fractions import Fraction

from facecap_core.errors import ConfigError

_TIMECODE = re.compile(r"(\d{1,2}):(\d\d):(\d\d)([:;])(\d\d)")
_DROPPING = (Fraction(30000, 1001), Fraction(60000, 1001))
_DAY_HOURS = 24


def timecode(frame: int, fps: Fraction, *, dropping: bool = False) -> str:
    """HH:MM:SS:FF of a frame counted from 0; HH:MM:SS;FF with dropped numbers. A day starts anew."""
    rate = max(1, round(fps))
    if dropping:
        # Two numbers (of 59.94: four) are left out in each minute but every tenth one.
        dropped = rate // 15
        minute, ten_minutes = 60 * rate - dropped, 600 * rate - 9 * dropped
        tens, rest = divmod(frame, ten_minutes)
        frame += dropped * (9 * tens + max(0, rest - dropped) // minute)
    second = frame // rate
    hours = second // 3600 % _DAY_HOURS
    mark = ";" if dropping else ":"
    return f"{hours:02d}:{second // 60 % 60:02d}:{second % 60:02d}{mark}{frame % rate:02d}"


def frame_of(text: str, fps: Fraction) -> int:
    """The frame number of HH:MM:SS:FF, or of HH:MM:SS;FF with dropped numbers (29.97 and 59.94 only).

    Raises:
        ConfigError: it is no timecode, or none of this rate.
    """
    match = _TIMECODE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no timecode", remedy="write HH:MM:SS:FF")
    hours, minutes, seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
    rate = max(1, round(fps))
    if minutes > 59 or seconds > 59 or frames >= rate:
        raise ConfigError(
            f"{text} is no timecode at {float(fps):g} frames a second",
            remedy=f"minutes and seconds end at 59, frames at {rate - 1}",
        )
    counted = ((hours * 60 + minutes) * 60 + seconds) * rate + frames
    if match[4] == ":":
        return counted
    if fps not in _DROPPING:
        raise ConfigError(
            f"{text}: no numbers are dropped at {float(fps):g} frames a second",
            remedy="write HH:MM:SS:FF",
        )
    dropped = rate // 15
    if frames < dropped and seconds == 0 and minutes % 10:
        raise ConfigError(f"{text} is one of the dropped numbers", remedy="name the next frame")
    whole_minutes = hours * 60 + minutes
    return counted - dropped * (whole_minutes - whole_minutes // 10)
