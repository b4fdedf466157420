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

from facecap_core.errors import StoreError
from facecap_core.files import make_folder, store_error, write_text_atomically
from facecap_core.provenance import made
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import GroupReader
from facecap_core.stores.paths import StorePaths
from facecap_core.stores.versions import finished_names

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
        """Its rows [start, stop), float32 [row, vertex, xyz] in the production's units.

        Raises:
            StoreError: they are damaged.
        """
        with _named(Path(str(self.store.path)), self.shot):
            return self.store.read("positions", start, stop)


def runs(frames: np.ndarray) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers in `frames` int64 [n], which ascend."""
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
    with new_group(correction_path(paths, actor, shot, number)) as group:
        positions = None
        digests: list[bytes] = []
        for block in blocks:
            digests += digests_of(block)
            positions = positions or group.positions(block.shape[1])
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
    return read_correction(paths, actor, shot, number)


def standing(paths: StorePaths, actor: str, shot: str) -> list[Correction]:
    """Those that count, the oldest first; what was taken out may be damaged.

    Raises:
        StoreError: one is damaged.
    """
    return [
        read_correction(paths, actor, shot, number)
        for number in numbers_of(paths, actor, shot)
        if not is_taken_out(paths, actor, shot, number)
    ]


def numbers_of(paths: StorePaths, actor: str, shot: str) -> list[int]:
    """The numbers of a shot's corrections, whole or damaged, ascending."""
    links = paths.corrections(actor, shot).glob(f"*{_ENDING}")
    return sorted(int(link.stem) for link in links if link.stem.isdecimal())


def written_numbers(paths: StorePaths, actor: str, shot: str) -> list[int]:
    """The numbers of all that were complete once, those too whose name is gone; ascending."""
    names = finished_names(paths.corrections(actor, shot))
    stems = [name.removesuffix(_ENDING) for name in names]
    gone = [int(stem) for stem in stems if stem.isdecimal()]
    return sorted({*gone, *numbers_of(paths, actor, shot)})


def read_correction(paths: StorePaths, actor: str, shot: str, number: int) -> Correction:
    """One of them.

    Raises:
        StoreError: it is damaged, or not there.
    """
    path = correction_path(paths, actor, shot, number)
    removed = None
    with contextlib.suppress(FileNotFoundError):
        removed = _who_and_when(_mark(paths, actor, shot, number))
    with _named(path, shot):
        store = GroupReader(path)
        return Correction(shot, number, store.read("frame"), store, removed)


def correction_path(paths: StorePaths, actor: str, shot: str, number: int) -> Path:
    """Where its group is."""
    return paths.corrections(actor, shot) / f"{number:04d}{_ENDING}"


def is_taken_out(paths: StorePaths, actor: str, shot: str, number: int) -> bool:
    """Whether a correction counts no more."""
    return _mark(paths, actor, shot, number).exists()


def take_out(paths: StorePaths, actor: str, shot: str, number: int) -> None:
    """Let a correction, be it damaged, count no more; its positions stay where they are.

    Raises:
        StoreError: that cannot be noted.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = json.dumps({"by": _user(), "date": now}) + "\n"
    write_text_atomically(_mark(paths, actor, shot, number), text)


def put_back(paths: StorePaths, actor: str, shot: str, number: int) -> None:
    """Let it count again.

    Raises:
        StoreError: that cannot be noted.
    """
    mark = _mark(paths, actor, shot, number)
    try:
        mark.unlink(missing_ok=True)
    except OSError as error:
        raise store_error(error, mark) from error


def lost_remedy(shot: str, number: int) -> str:
    """What to do about a correction that cannot be read: nothing can make it anew but its artist."""
    remove = f"farm correct {shot} --remove {number}"
    return f"put it back from a backup, or {remove} and hand its file in again"


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


@contextlib.contextmanager
def _named(path: Path, shot: str) -> Iterator[None]:
    """Damage is told with what mends a correction; to solve the shot again does not."""
    try:
        yield
    except StoreError as error:
        raise StoreError(
            f"this correction of {shot} is damaged: {error.fault.message}",
            remedy=lost_remedy(shot, int(path.stem)),
            file=path,
        ) from error


def _who_and_when(mark: Path) -> dict[str, Any]:
    """What a removal says of itself; that it is there counts, whatever became of its text."""
    try:
        told = dict(json.loads(mark.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        told = {}
    return {name: str(told.get(name, "")) for name in ("by", "date")}


def _mark(paths: StorePaths, actor: str, shot: str, number: int) -> Path:
    return correction_path(paths, actor, shot, number).with_suffix(_REMOVED)


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
