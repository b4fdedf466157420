"""Night outputs: what a page about an export or a review says of the files that were made."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from facecap_core.errors import Cancelled, FacecapError
from facecap_core.outputs import Outputs
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from jobs.night import Night
from jobs.outputs import folder_of, outputs_of
from jobs.records import ShotRecord
from jobs.request import OutputRequest

STATES: Mapping[str, str] = {"of other vertices": "out of date"}


def outputs_part(
    production: Production,
    request: OutputRequest,
    night: Night,
    destination: Path,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    """The files of the solved shots as they lie there now: kinds with their sizes, then a row a shot.

    Raises:
        Cancelled: `on_progress` answered False.
    """
    made = [record for record in night.status.shots if record.state == "solved"]
    rows, notes = [], []
    kinds: dict[str, list[int]] = {}
    for done, record in enumerate(made):
        report(on_progress, Progress("files", done, len(made), unit="shots"))
        try:
            outputs = outputs_of(production, request, record.name)
            damaged = {damage.part: damage.what for damage in outputs.damages(contents=False)}
        except Cancelled:
            raise
        except FacecapError as error:
            notes.append(f"{record.name}: {error.fault.message}.")
            continue
        rows.append(_row(record, outputs, damaged, destination))
        for name, entry in outputs.recorded().items():
            if name in outputs.wanted and name not in damaged:
                kinds.setdefault(_kind(name), []).append(int(entry.get("bytes") or 0))
    if any(row["wrong"] for row in rows):
        notes.append(f"farm retry {night.status.job} makes anew what is missing or out of date.")
    return {
        "folder": str(folder_of(production, request)),
        "kinds": [_size_row(kind, sizes) for kind, sizes in sorted(kinds.items())],
        "total": _size(sum(map(sum, kinds.values()))),
        "rows": rows,
        "with_rmse": any(row["rmse_mm"] for row in rows),
        "notes": notes,
    }


def _row(
    record: ShotRecord, outputs: Outputs, damaged: Mapping[str, str], destination: Path
) -> dict[str, Any]:
    rmse_mm = record.figures.get("rmse_mm")
    there = [name for name in outputs.wanted if damaged.get(name) != "missing"]
    size = sum(int(outputs.recorded()[name].get("bytes") or 0) for name in there)
    return {
        "name": record.name,
        "frames": record.frames or "",
        "rmse_mm": "" if rmse_mm is None else f"{rmse_mm:.2f}",
        "size": _size(size),
        "files": [(name, _address(outputs.folder / name, destination)) for name in there],
        "wrong": [f"{name} {STATES.get(what, what)}" for name, what in damaged.items()],
    }


def _kind(name: str) -> str:
    return Path(name).suffix or "folder of .obj"


def _size_row(kind: str, sizes: Sequence[int]) -> dict[str, Any]:
    return {"kind": kind, "files": len(sizes), "size": _size(sum(sizes))}


def _size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _address(path: Path, destination: Path) -> str:
    """Where a file lies as seen from the page."""
    return quote(os.path.relpath(path, destination.parent))
