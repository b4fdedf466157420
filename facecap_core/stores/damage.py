"""Damage: what is wrong with one file of a stored folder, or with one object of a group in a bucket."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

# `<array>/c.<number>.0.0`; in older stores, `<array>/c/<number>/0/0`.
_CHUNK = re.compile(r"(?P<array>.+)/c[./](?P<number>\d+)([./]\d+)*")


@dataclass(frozen=True)
class Damage:
    """What is wrong with one file of a stored folder; of a chunk, its first and last frame."""

    part: str
    what: Literal["missing", "truncated", "altered", "absent", "no manifest"]
    frames: tuple[int, int] | None = None

    def __str__(self) -> str:
        frames = "" if self.frames is None else f" (frames {self.frames[0]} to {self.frames[1]})"
        return f"{self.part}{frames}: {self.what}" if self.part else self.what


def frames_of_part(part: str, read: Callable[[str], bytes]) -> tuple[int, int] | None:
    """First and last frame of a chunk; `read` gives the content of a part."""
    chunk = _CHUNK.fullmatch(part)
    if chunk is None:
        return None
    array = chunk["array"]
    try:
        facts: dict[str, Any] = json.loads(read(f"{array}/zarr.json"))
        rows = int(facts["chunk_grid"]["configuration"]["chunk_shape"][0])
        first = int(chunk["number"]) * rows
        return first, min(first + rows, int(facts["shape"][0])) - 1
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None  # what would tell it is damaged itself
