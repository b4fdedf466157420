"""Notes: what the driver writes into the ledger, which a full disk delays but does not lose."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

from facecap_core.errors import StoreError
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.records import ShotRecord

_Key = TypeVar("_Key")
_Stamp = tuple[int, int]
"""Number of the file, and time of its change: each state is a file of its own."""


class Notes:
    """The records of one stage's shots; those that could not be written are kept in memory."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._unwritten: dict[str, ShotRecord] = {}
        self._seen: dict[str, tuple[_Stamp, ShotRecord]] = {}

    @property
    def unwritten(self) -> int:
        """How many states are in memory alone."""
        return len(self._unwritten)

    def current(self, record: ShotRecord) -> ShotRecord:
        """The newest state of this shot (or training)."""
        if record.name in self._unwritten:
            return self._unwritten[record.name]
        found = self.ledger.training() if record.stage == "train" else None
        return found or self.ledger.shot(record.name)

    def look(self, records: Mapping[_Key, ShotRecord]) -> dict[_Key, ShotRecord]:
        """The newest states of many, as far as a listing tells: only files that changed are read.

        A network file system may list what was there half a minute ago; `current` is never old.
        """
        stamps = self._stamps()
        found = {}
        for key, record in records.items():
            if record.stage == "train" or record.name in self._unwritten:
                found[key] = self.current(record)
            elif (stamp := stamps.get(record.name)) is None:
                found[key] = record  # nobody has begun it
            else:
                if record.name not in self._seen or self._seen[record.name][0] != stamp:
                    self._seen[record.name] = stamp, self.current(record)
                found[key] = self._seen[record.name][1]
        asked = {record.name for record in records.values()}
        self._seen = {name: seen for name, seen in self._seen.items() if name in asked}
        return found

    def _stamps(self) -> dict[str, _Stamp]:
        stamps = {}
        try:
            with os.scandir(self.ledger.folder / "shots") as entries:
                for entry in entries:
                    name, _, ending = entry.name.rpartition(".")
                    if ending == "json":
                        status = entry.stat()
                        stamps[name] = status.st_ino, status.st_mtime_ns
        except OSError:  # no shot has been begun, or the store is away: then nothing is new
            pass
        return stamps

    def write(self, record: ShotRecord) -> None:
        """Note a state, now or when there is room again."""
        self._unwritten.pop(record.name, None)
        try:
            self.ledger.write(record)
        except StoreError as error:
            if not self._unwritten:
                print(f"{error}", flush=True)  # noqa: T201
            self._unwritten[record.name] = record

    def write_rest(self) -> None:
        """Try again what could not be written."""
        for record in list(self._unwritten.values()):
            self.write(record)

    def log(self, record: ShotRecord, text: str) -> None:
        """A line in the shot's log; where that cannot be written, in the job's on the dashboard."""
        try:
            Log(self.ledger.log_path(record)).line(text)
        except StoreError:
            print(text, flush=True)  # noqa: T201
