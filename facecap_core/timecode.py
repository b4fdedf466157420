"""Timecode: a frame of a shot as editors name it."""

from __future__ import annotations

from fractions import Fraction


def timecode(frame: int, fps: Fraction) -> str:
    """HH:MM:SS:FF of a frame counted from 0, without dropped numbers."""
    rate = max(1, round(fps))
    second = frame // rate
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}:{frame % rate:02d}"
