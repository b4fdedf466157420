"""Timecodes: frames and back, drop-frame too, and those of footage."""

from __future__ import annotations

from fractions import Fraction

import pytest

from facecap_core.errors import ConfigError
from facecap_core.frame_names import FrameNames
from facecap_core.timecode import frame_of, timecode


def test_timecodes_are_frames_and_back():
    for fps in (Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(60)):
        for frame in (0, 1, 59, 86399, 123456):
            assert frame_of(timecode(frame, fps), fps) == frame
    dropping = Fraction(30000, 1001)
    # SMPTE 12M: an hour of drop-frame timecode has 107892 frames, ten minutes 17982.
    assert frame_of("01:00:00;00", dropping) == 107892
    assert frame_of("00:10:00;00", dropping) == 17982
    assert frame_of("00:01:00;02", dropping) == 1800
    for wrong in ("00:01:00;00", "00:00:61:00", "00:00:00:30"):
        with pytest.raises(ConfigError):
            frame_of(wrong, dropping)
    with pytest.raises(ConfigError, match="no numbers are dropped"):
        frame_of("00:00:00;00", Fraction(25))
    for fps in (dropping, 2 * dropping):
        day = frame_of("23:59:59;29", fps) + (1 if fps == dropping else 31)
        for frame in (0, 1, 1799, 1800, 3597, 3599, 17981, 17982, 19779, 35965, 107892, day - 1):
            assert frame_of(timecode(frame, fps, dropping=True), fps) == frame
        assert timecode(day, fps, dropping=True) == "00:00:00;00"


def test_frames_have_the_timecode_of_their_footage():
    plain = FrameNames(Fraction(24), 1001)
    assert (plain.number(24), plain.timecode(24)) == (1025, "00:00:42:17")
    told = FrameNames(Fraction(24), 1001, "23:59:59:00")
    assert (told.number(24), told.timecode(23), told.timecode(24)) == (
        1025,
        "23:59:59:23",
        "00:00:00:00",
    )
    dropping = FrameNames(Fraction(30000, 1001), 0, "10:00:59;28")
    assert [dropping.timecode(frame) for frame in (1, 2)] == ["10:00:59;29", "10:01:00;02"]
    for text, fps in (("00:00:00:24", 24), ("10:00:00;00", 25), ("yesterday", 24), ("", 24)):
        assert FrameNames(Fraction(fps), 7, text) != FrameNames(Fraction(fps), 7)
        assert FrameNames(Fraction(fps), 7, text).timecode(1) == "00:00:00:08"
