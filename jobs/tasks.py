"""Tasks: what Ray runs for one shot, or for one training."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facecap_core.productions.production import Production, load_production
from jobs.failpoint_variable import arm_from_environment
from jobs.ledger import Ledger
from jobs.patience import wait_without_spinning
from jobs.records import Lot


@dataclass(frozen=True)
class TaskCall:
    """What a worker is sent: paths and names, no arrays."""

    folder: str
    production: str
    name: str
    stage: str
    lot: Lot


def work(call: TaskCall) -> dict[str, Any]:
    """The Ray task: one shot, or one training; returns the final record as a small dict."""
    arm_from_environment()
    wait_without_spinning()
    ledger = _ledger(call.folder)
    production = _production(call.production)
    request = ledger.request()
    # What decodes and what learns is imported by workers alone: the driver is there half a second earlier.
    if call.stage == "ingest":
        from jobs.ingest import ingest_shot

        record = ingest_shot(ledger, production, request, call.name, call.lot)
    elif call.stage == "infer":
        from jobs.infer import infer_shot

        record = infer_shot(ledger, production, request, call.name, call.lot)
    elif call.stage in ("export", "review"):
        from jobs.outputs import make_outputs

        record = make_outputs(ledger, production, request, call.name, call.lot)
    else:
        from jobs.train import train_model

        record = train_model(ledger, production, request, call.lot)
    return record.model_dump(mode="json")


def _production(path: str) -> Production:
    """The production as it is now; read anew only where one of its files changed."""
    settings = Path(path)
    shots = settings.with_name("shots.csv")
    return _loaded(path, settings.stat().st_mtime_ns, shots.stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _loaded(path: str, *stamps: int) -> Production:
    # A worker does hundreds of shots, and to read five hundred rows takes a tenth of a short one.
    return load_production(Path(path))


@functools.lru_cache(maxsize=2)
def _ledger(folder: str) -> Ledger:
    return Ledger(Path(folder))  # its request never changes
