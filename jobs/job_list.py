"""Job list: every job of a store, the newest first, of which a name means one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from facecap_core.names import some_of
from jobs.errors import JobNotFound
from jobs.ledger import Ledger


def ledgers(jobs: Path) -> Iterator[Ledger]:
    """Every job of a store, the newest first."""
    found = [Ledger(path.parent) for path in jobs.glob("*/request.json")]
    dated = [(ledger.handed_in(), ledger.job, ledger) for ledger in found]
    for _, _, ledger in sorted((one for one in dated if one[0] is not None), reverse=True):
        yield ledger


def find_job(jobs: Path, name: str | None) -> Ledger:
    """The job with this name or unique beginning; None: the newest. `infer-ada`, all of a name but its
    digest, is the newest of these.

    Raises:
        JobNotFound: none or several.
    """
    every = list(ledgers(jobs))
    if name is None:
        if not every:
            raise JobNotFound("there are no jobs yet", remedy="farm submit ingest --actor …")
        return every[0]
    exact = [ledger for ledger in every if ledger.job == name]
    matching = exact or [ledger for ledger in every if ledger.job.startswith(name)]
    alike = [ledger for ledger in matching if ledger.name == name]
    if alike or len(matching) == 1:
        return (alike or matching)[0]
    if not matching:
        raise JobNotFound(f"there is no job {name!r}", remedy="see farm list")
    listed = some_of((f"{ledger.job} of {_date(ledger)}" for ledger in matching), most=6)
    raise JobNotFound(
        f"{name!r} could be {listed}",
        remedy=f"write more of its name; {matching[0].name} alone is the newest job of that name",
    )


def _date(ledger: Ledger) -> str:
    submission = ledger.submission()
    when = submission.submitted if submission else ledger.handed_in()
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
