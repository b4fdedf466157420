"""Cancel: the end of everything that a job had still to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from jobs.ledger import Ledger
from jobs.records import ShotRecord


def cancel_unfinished(ledger: Ledger) -> None:
    """Note the end of everything that was still to do, where no stage does."""
    if not ledger.cancel_requested():
        ledger.request_cancel("farm cancel")
    training = ledger.training()
    records = [ledger.shot(name) for name in ledger.request().shots]
    note_cancelled([*records, training] if training else records, ledger.write)


def note_cancelled(records: Iterable[ShotRecord], write: Callable[[ShotRecord], None]) -> None:
    """Write the end of those of them that had none."""
    for record in records:
        if record.state in ("queued", "running"):
            ended = {"state": "cancelled", "progress": None, "ended": time.time()}
            write(record.model_copy(update=ended))
