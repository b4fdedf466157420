"""Correction: some frames of a shot as an artist put them right, kept beside what was solved."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facecap_core.files import make_folder, store_error, write_text_atomically
from facecap_core.provenance import made
from facecap_core.stores.groups import GroupReader, new_group
from facecap_core.stores.paths import StorePaths

_ENDING = ".zarr"
_REMOVED = ".removed.json"


@dataclass(frozen=True)
class Correction:
    """One delivery of an artist. It is never changed: a later one wins in the frames that both have."""

    shot: str
    number: int
    frames: np.ndarray  # int64 [n], of the shot, counted from 0, ascending
    store: GroupReader
    removed: dict[str, Any] | None  # who took it out and when; None: it counts

    @property
    def facts(self) -> dict[str, Any]:
        """What was written of it: by, note, file, solve, made, …"""
        return self.store.attributes

    @property
    def content(self) -> str:
        """Digest of its frames and positions."""
        return str(self.facts["content"])

    @property
    def blend(self) -> int:
        """Over how many frames beyond each end of its ranges it fades out."""
        return int(self.facts.get("blend", 0))

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """First and last frame of each run."""
        return runs(self.frames)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Its rows [start, stop), float32 [row, vertex, xyz] in the production's units."""
        return self.store.read("positions", start, stop)


def runs(frames: np.ndarray) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers in ascending ones."""
    if not len(frames):
        return []
    breaks = np.flatnonzero(np.diff(frames) > 1)
    firsts = [0, *(breaks + 1).tolist()]
    lasts = [*breaks.tolist(), len(frames) - 1]
    return [(int(frames[a]), int(frames[b])) for a, b in zip(firsts, lasts, strict=True)]


def add_correction(
    paths: StorePaths,
    actor: str,
    shot: str,
    *,
    frames: np.ndarray,
    blocks: Iterable[np.ndarray],
    facts: dict[str, Any],
) -> Correction:
    """Keep positions of these frames as the newest correction of the shot; it appears whole or not at all.

    Args:
        frames: int64 [n], ascending. blocks: positions float32 [frame, vertex, xyz] of all of them in order.
        facts: `footage_fingerprint`, `topology_sha256`, and what else is known.

    Raises:
        StoreError: it cannot be written.
    """
    folder = paths.corrections(actor, shot)
    make_folder(folder)
    number = _claimed(folder)
    with new_group(folder / f"{number:04d}{_ENDING}") as group:
        positions = None
        digests: list[bytes] = []
        for block in blocks:
            digests += digests_of(block)
            positions = positions or group.array(
                "positions",
                row_shape=block.shape[1:],
                dtype="float32",
                dimension_names=("frame", "vertex", "xyz"),
            )
            positions.append(block)
        numbers = group.array("frame", row_shape=(), dtype="int64", dimension_names=("frame",))
        numbers.append(np.asarray(frames, np.int64))
        group.set_attributes(
            {
                "shot": shot,
                "actor": actor,
                "by": _user(),
                **facts,
                "content": content_of(frames.tolist(), digests),
                "made": made(),
            }
        )
    return _read(folder / f"{number:04d}{_ENDING}", shot)


def corrections_of(paths: StorePaths, actor: str, shot: str) -> list[Correction]:
    """All corrections of a shot, the oldest first, those that were taken out too.

    Raises:
        StoreError: one is damaged.
    """
    found = [_read(path, shot) for path in paths.corrections(actor, shot).glob(f"*{_ENDING}")]
    return sorted(found, key=lambda correction: correction.number)


def standing(paths: StorePaths, actor: str, shot: str) -> list[Correction]:
    """Those that count, the oldest first."""
    return [found for found in corrections_of(paths, actor, shot) if found.removed is None]


def take_out(correction: Correction) -> None:
    """Let it count no more; its positions stay where they are.

    Raises:
        StoreError: that cannot be noted.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = json.dumps({"by": _user(), "date": now}) + "\n"
    write_text_atomically(_mark(correction), text)


def put_back(correction: Correction) -> None:
    """Let it count again.

    Raises:
        StoreError: that cannot be noted.
    """
    try:
        _mark(correction).unlink(missing_ok=True)
    except OSError as error:
        raise store_error(error, _mark(correction)) from error


def content_of(frames: Sequence[int], digests: Sequence[bytes]) -> str:
    """What frames and digests of their positions add up to: sixteen hexadecimal digits."""
    whole = hashlib.sha256(np.asarray(frames, "<i8").tobytes())
    for one in digests:
        whole.update(one)
    return whole.hexdigest()[:16]


def digests_of(positions: np.ndarray) -> Iterator[bytes]:
    """A digest of each frame of positions float32 [frame, vertex, xyz]."""
    for frame in positions:
        yield hashlib.sha256(np.ascontiguousarray(frame, "<f4").data).digest()


def _read(path: Path, shot: str) -> Correction:
    store, mark = GroupReader(path), path.with_suffix(_REMOVED)
    removed = None
    with contextlib.suppress(FileNotFoundError):
        removed = json.loads(mark.read_text(encoding="utf-8"))
    return Correction(shot, int(path.stem), store.read("frame"), store, removed)


def _mark(correction: Correction) -> Path:
    return Path(str(correction.store.path)).with_suffix(_REMOVED)


def _claimed(folder: Path) -> int:
    """The next number, which of several writers one gets."""
    number = 1
    while True:
        try:
            claim = folder / f".{number:04d}.claim"
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return number
        except FileExistsError:
            number += 1
        except OSError as error:
            raise store_error(error, folder) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
