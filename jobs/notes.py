"""Notes: what the driver writes into the ledger, which a full disk delays but does not lose."""

from __future__ import annotations

from facecap_core.errors import StoreError
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.records import ShotRecord


class Notes:
    """The records of one stage's shots; those that could not be written are kept in memory."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._unwritten: dict[str, ShotRecord] = {}

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
