"""Export's record: the JSON that `farm export` wrote beside a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facecap_core.errors import PointCacheError
from facecap_core.frame_names import LARGEST
from facecap_core.pointcaches.reader import split_mesh


def told_beside(path: Path, shot: str) -> Mapping[str, Any]:
    """What `farm export` wrote of this shot beside the file, and where (`record`); nothing where it did not."""
    file, _ = split_mesh(path)
    for folder in (file.parent, file.parent.parent):
        record = folder / f"{shot}.json"
        try:
            told = json.loads(record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(told, dict) and told.get("shot") == shot:
            return {**told, **_told_of_file(told, shot, file), "record": record}
    return {}


def _told_of_file(told: Mapping[str, Any], shot: str, file: Path) -> dict[str, Any]:
    """What an export says of its file of this format, which one of another format may say otherwise.

    Where it has none of this format, what all of them say; several values where they differ, which nobody takes
    for one.
    """
    entries = told.get("files")
    if not isinstance(entries, dict):
        return {}
    suffix = file.suffix.lower()
    suffix = ".usdc" if suffix.startswith(".usd") else suffix.removesuffix(".obj")
    own = entries.get(f"{shot}{suffix}")
    chosen = [entry for entry in ([own] if own else entries.values()) if isinstance(entry, dict)]
    said = {}
    for name in ("units", "up_axis", "start_frame"):
        values = list({str(entry[name]): entry[name] for entry in chosen if name in entry}.values())
        if values:
            said[name] = values[0] if len(values) == 1 else " or ".join(map(str, values))
    return said


def first_number(told: Mapping[str, Any], usual: int) -> int:
    """What the shot's first frame is called in the file, where nobody said so.

    Raises:
        PointCacheError: the record beside the file has no number there.
    """
    start = told.get("start_frame", usual)
    if not isinstance(start, int | float) or not abs(start) <= LARGEST:
        raise PointCacheError(
            f"start_frame {start!r} is no number of a frame",
            remedy="write there what the shot's first frame is called, or say it: --start-frame",
            file=told["record"],
        )
    return round(start)
