"""Orientation: how a camera was held, from the turn that its files ask of a player."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import SupportsBytes, cast

import av
import numpy as np
import numpy.typing as npt

from facecap_core.errors import FootageUnreadable

Rectangle = tuple[int, int, int, int]
"""x, y, width, height in pixels of the displayed (turned upright) picture."""

LumaArray = npt.NDArray[np.uint8]
"""Luma of a picture or of several, uint8 [..., y, x], full range."""


@dataclass(frozen=True)
class Orientation:
    """How the coded picture is turned for display: first transposed, then mirrored."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @property
    def clockwise_degrees(self) -> int:
        """The turn that a player makes; a mirrored picture counts as the turn without the mirror."""
        if self.transposed:
            return 90 if self.mirrored_x else 270
        return 180 if self.mirrored_y else 0

    def displayed_size(self, width: int, height: int) -> tuple[int, int]:
        """The displayed (width, height) of a coded picture."""
        return (height, width) if self.transposed else (width, height)

    def coded_crop(self, crop: Rectangle, displayed_size: tuple[int, int]) -> Rectangle:
        """The rectangle of the coded picture that is seen as `crop` of the displayed picture."""
        x, y, width, height = crop
        if self.mirrored_x:
            x = displayed_size[0] - x - width
        if self.mirrored_y:
            y = displayed_size[1] - y - height
        return (y, x, height, width) if self.transposed else (x, y, width, height)

    def upright(self, coded: LumaArray) -> LumaArray:
        """A picture array [y, x] as it is displayed."""
        turned = coded.T if self.transposed else coded
        if self.mirrored_x:
            turned = turned[:, ::-1]
        if self.mirrored_y:
            turned = turned[::-1]
        return np.ascontiguousarray(turned)


def orientation_of(frame: av.VideoFrame, file: str | Path) -> Orientation:
    """The orientation in the picture's display matrix; raises FootageUnreadable for odd angles."""
    try:
        matrix = cast("SupportsBytes | None", frame.side_data.get("DISPLAYMATRIX"))
    except ValueError:
        # PyAV 18 does not know all of FFmpeg 8's kinds of side data (EXIF), and then lists none.
        return _turn(frame.rotation, file)
    if matrix is None:
        return Orientation()
    values = np.frombuffer(bytes(matrix), dtype=np.int32)
    a, b, c, d = (int(values[i]) for i in (0, 1, 3, 4))  # x' = a x + c y, y' = b x + d y
    negligible = max(abs(a), abs(b), abs(c), abs(d)) // 100
    if abs(b) <= negligible and abs(c) <= negligible and a and d:
        return Orientation(False, a < 0, d < 0)
    if abs(a) <= negligible and abs(d) <= negligible and b and c:
        return Orientation(True, c < 0, b < 0)
    return _turn(frame.rotation, file)


def _turn(anticlockwise_degrees: int, file: str | Path) -> Orientation:
    """The orientation of a turn without a mirror."""
    turns = {0: (False, False, False), 90: (True, False, True)}
    turns |= {180: (False, True, True), 270: (True, True, False)}
    if anticlockwise_degrees % 360 in turns:
        return Orientation(*turns[anticlockwise_degrees % 360])
    raise FootageUnreadable(
        f"the display matrix turns the picture by {anticlockwise_degrees} degrees",
        remedy="only turns by 90, 180 and 270 degrees and mirrors can be undone; "
        "render the footage upright",
        file=file,
    )
