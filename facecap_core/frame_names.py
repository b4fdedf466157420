"""Frame names: the number of a shot's frame, or its timecode."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from facecap_core.errors import ConfigError, StoreError
from facecap_core.productions.production import Production
from facecap_core.stores.groups import open_frames, open_vertices
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.timecode import frame_of, timecode

LARGEST = 10**18  # of the numbers of image sequences


@dataclass(frozen=True)
class FrameNames:
    """How the frames of a shot, which are counted from 0 inside, are called.

    `start_timecode` is what the footage says of its first frame. Where it says nothing, or what is no
    timecode at this rate, timecodes count as the numbers do.
    """

    fps: Fraction
    start_frame: int = 0
    start_timecode: str | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any], file: str | Path | ObjectFolder) -> FrameNames:
        """By the attributes of a frame store or vertex store, which is named in errors.

        Raises:
            StoreError: its rate or its first frame is no such number.
        """
        start = facts.get("start_timecode")
        fps, number = facts.get("fps"), facts.get("start_frame", 0)
        first, rate = whole_number(number), Fraction(0)
        with contextlib.suppress(ValueError, ZeroDivisionError):
            rate = Fraction(str(fps))
        if rate <= 0 or first is None:
            raise StoreError(
                f"says fps {fps!r} and start_frame {number!r}, which no shot has",
                remedy="delete it and run the ingest or inference of this shot again",
                file=file,
            )
        return cls(rate, first, None if start is None else str(start))

    @property
    def start(self) -> int | None:
        """Frames from 00:00:00:00 to the first one; None where the footage does not say."""
        try:
            return None if self.start_timecode is None else frame_of(self.start_timecode, self.fps)
        except ConfigError:
            return None

    @property
    def counted_from(self) -> int:
        """The first frame's place in a count of timecode."""
        return self.start_frame if self.start is None else self.start

    @property
    def dropping(self) -> bool:
        """Whether the footage's timecode leaves numbers out, to go with the clock."""
        return self.start is not None and ";" in str(self.start_timecode)

    def number(self, frame: int) -> int:
        """As videos, pages and files count."""
        return self.start_frame + frame

    def timecode(self, frame: int) -> str:
        """HH:MM:SS:FF, or HH:MM:SS;FF where numbers are left out."""
        return timecode(self.counted_from + frame, self.fps, dropping=self.dropping)


def frame_names(production: Production, shot: str) -> FrameNames:
    """By what is stored of the shot: its result, else its pictures of the main camera."""
    actor = production.shots[shot].actor
    paths, camera = production.paths, production.actors[actor].main_camera
    for read, path in (
        (open_vertices, paths.vertices(actor, shot)),
        (open_frames, paths.frames(shot, camera)),
    ):
        try:
            facts = read(path).attributes
        except StoreError:
            continue
        return FrameNames.of({"fps": production.fps, **facts}, path)
    return FrameNames(production.fps)


def whole_number(value: Any) -> int | None:
    """A frame's number as a file says it, such as 1001 or 1001.0; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        return None  # NaN too, which is not within any bounds
    return int(value) if value == round(value) else None
