"""Cancel: what is left of a job once its driver is gone."""

from __future__ import annotations

import time

from jobs.ledger import Ledger


def cancel_unfinished(ledger: Ledger) -> None:
    """Note the end of everything that was still to do, where no driver does."""
    if not ledger.cancel_requested():
        ledger.request_cancel("farm cancel")
    training = ledger.training()
    records = [ledger.shot(name) for name in ledger.request().shots]
    for record in [*records, training] if training else records:
        if record.state in ("queued", "running"):
            ended = {"state": "cancelled", "progress": None, "ended": time.time()}
            ledger.write(record.model_copy(update=ended))
