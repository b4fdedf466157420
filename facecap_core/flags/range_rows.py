"""Range rows: ranges of frames as a person, a spreadsheet or a program takes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facecap_core.files import write_text_atomically
from facecap_core.frame_names import FrameNames

FIELDS = ("rank", "shot", "first", "last", "timecode_in", "timecode_out", "seconds")


def range_row(rank: int, shot: str, first: int, last: int, names: FrameNames) -> dict[str, Any]:
    """Where a range is that is counted from 0; `last` and `timecode_out` are the last frame itself, not the one after it."""
    return {
        "rank": rank,
        "shot": shot,
        "first": names.number(first),
        "last": names.number(last),
        "timecode_in": names.timecode(first),
        "timecode_out": names.timecode(last),
        "seconds": round(float((last - first + 1) / names.fps), 3),
    }


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], more: Sequence[str]) -> None:
    """A line a row: the fields of `range_row`, then those named in `more`.

    Raises:
        StoreError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [*FIELDS, *more], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomically(path, text.getvalue())
