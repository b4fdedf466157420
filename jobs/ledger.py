"""Ledger: the files of one job, from which alone its state is known.

    store/jobs/<job>/request.json      what was asked
                     submission.json   when and where it was last submitted, and how it is to run
                     driver.json       the driver's heartbeat
                     cancel.json       present once its end was asked for
                     sizes.json        bytes that each shot reads, from which the time left is guessed
                     skipped/<shot>    present for a shot that shall not be done
                     shots/<shot>.json one state file a shot; training.json that of a model's training
                     logs/<shot>.log   what happened to it; driver.log and training.log beside

Each file is replaced whole, and each has one writer at a time: request, submission and cancel the
command line, driver.json the driver, a shot's file the worker that has the shot, or the driver while no
worker has it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from facecap_core.files import write_text_atomically
from facecap_core.names import is_name
from jobs.errors import JobNotFound
from jobs.ledger_file import load_record, read_text, save_record
from jobs.records import SHOT_STATES, Driver, JobStatus, ShotRecord, Submission, shot_stage
from jobs.request import Request, TrainRequest, job_id, parse_request
from jobs.staleness import stale_models
from jobs.state import job_state
from jobs.time_left import seconds_left

_SIZES = TypeAdapter(dict[str, int])


class Ledger:
    """One job's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._asked: Request | None = None

    @property
    def job(self) -> str:
        return self.folder.name

    @property
    def name(self) -> str:
        """The job's, without its digest: what it does and for whom, as other jobs may."""
        return self.job.rpartition("-")[0]

    # -- request, submission, driver, cancellation ---------------------------------------------

    @classmethod
    def create(cls, jobs: Path, request: Request) -> Ledger:
        """The ledger of this request, made if it is a new one."""
        ledger = cls(jobs / job_id(request))
        if not (ledger.folder / "request.json").exists():
            write_text_atomically(
                ledger.folder / "request.json", request.model_dump_json(indent=1) + "\n"
            )
        return ledger

    def request(self) -> Request:
        """What was asked.

        Raises:
            JobNotFound: there is no such job.
            StoreError: the file is damaged.
        """
        if self._asked is None:  # it never changes
            path = self.folder / "request.json"
            text = read_text(path)
            if text is None:
                raise JobNotFound(f"there is no job {self.job}", remedy="see farm list")
            self._asked = parse_request(text, str(path))
        return self._asked

    def submission(self) -> Submission | None:
        """How it was handed over the last time; None: never."""
        return load_record(self.folder / "submission.json", Submission)

    def handed_in(self) -> float | None:
        """When it was last submitted, else asked for; None where it is gone."""
        for name in ("submission.json", "request.json"):
            with suppress(FileNotFoundError):
                return (self.folder / name).stat().st_mtime
        return None

    def write_submission(self, submission: Submission) -> None:
        save_record(self.folder / "submission.json", submission)

    def sizes(self) -> dict[str, int]:
        """Bytes that a shot reads, of those of which they are known; a guess needs no more."""
        text = read_text(self.folder / "sizes.json")
        try:
            return _SIZES.validate_json(text) if text else {}
        except ValidationError:
            return {}

    def add_sizes(self, sizes: Mapping[str, int]) -> None:
        """Keep those of shots that are submitted beside those of shots that were before."""
        text = json.dumps({**self.sizes(), **sizes}) + "\n"
        write_text_atomically(self.folder / "sizes.json", text, durable=False)

    def driver(self) -> Driver | None:
        """The driver's last sign of life; None: it never began."""
        return load_record(self.folder / "driver.json", Driver)

    def write_driver(self, driver: Driver) -> None:
        save_record(self.folder / "driver.json", driver)

    def request_cancel(self, by: str) -> None:
        """Ask driver and workers to end; they look about once a second."""
        text = json.dumps({"schema_version": 1, "by": by, "time": time.time()})
        write_text_atomically(self.folder / "cancel.json", text + "\n")

    def cancel_requested(self) -> bool:
        """Whether driver and workers are asked to end."""
        return (self.folder / "cancel.json").exists()

    def clear_cancel(self) -> None:
        """Take that back; the job is handed over again."""
        (self.folder / "cancel.json").unlink(missing_ok=True)

    def skip(self, shot: str) -> None:
        """Ask that a shot be left out; one that runs ends, a solved one stays solved."""
        write_text_atomically(self._skip_path(shot), "")

    def unskip(self, shot: str) -> None:
        """Take that back; `farm retry` does the shot then."""
        self._skip_path(shot).unlink(missing_ok=True)

    def skip_requested(self, shot: str) -> bool:
        """Whether the shot is to be left out."""
        return self._skip_path(shot).exists()

    def _skip_path(self, shot: str) -> Path:
        return self.folder / "skipped" / _checked(shot)

    # -- shots and training --------------------------------------------------------------------

    def shot(self, name: str) -> ShotRecord:
        """The shot's record; of a shot that nobody touched yet, one that says queued."""
        request = self.request()
        return self._shot(request, name)

    def _shot(self, request: Request, name: str) -> ShotRecord:
        record = load_record(self._shot_path(name), ShotRecord, tolerant=True) or ShotRecord(
            name=name, stage=shot_stage(request.kind)
        )
        if record.state not in ("solved", "running") and self.skip_requested(name):
            return record.model_copy(update={"state": "skipped", "progress": None})
        if record.state == "skipped":  # and taken back since
            return record.model_copy(update={"state": "queued"})
        return record

    def training(self) -> ShotRecord | None:
        """The training's record; None when the job trains nothing."""
        request = self.request()
        if not isinstance(request, TrainRequest):
            return None
        found = load_record(self.folder / "training.json", ShotRecord, tolerant=True)
        return found or ShotRecord(name=request.model, stage="train")

    def write(self, record: ShotRecord) -> None:
        """Replace the state of a shot or of the training.

        It does not wait for the disk: a state that a power cut takes away counts as queued, and the shot
        is found in the store, verified.
        """
        save_record(self._record_path(record), record, durable=False)

    def attempt(self, record: ShotRecord) -> int:
        """How often this shot's (or training's) work was begun, by its file."""
        found = load_record(self._record_path(record), ShotRecord, tolerant=True)
        return found.attempt if found else 0

    def log_path(self, record: ShotRecord) -> Path:
        """The log of a shot or of the training."""
        if record.stage == "train":
            return self.folder / "training.log"
        return self.shot_log_path(record.name)

    def shot_log_path(self, shot: str) -> Path:
        """The log of a shot; `farm logs --shot` takes names from users."""
        return self.folder / "logs" / f"{_checked(shot)}.log"

    @property
    def driver_log_path(self) -> Path:
        return self.folder / "driver.log"

    def _record_path(self, record: ShotRecord) -> Path:
        if record.stage == "train":
            return self.folder / "training.json"
        return self._shot_path(record.name)

    def _shot_path(self, shot: str) -> Path:
        return self.folder / "shots" / f"{_checked(shot)}.json"

    # -- the whole -----------------------------------------------------------------------------

    def status(self) -> JobStatus:
        """The job's state, derived from its files alone.

        Raises:
            JobNotFound: there is no such job.
            StoreError: a file is damaged.
        """
        request = self.request()
        submission, driver = self.submission(), self.driver()
        shots = [self._shot(request, name) for name in request.shots]
        training = self.training()
        everything = [*shots, training] if training else shots
        state, detail = job_state(
            submission,
            driver,
            everything,
            cancelled=self.cancel_requested(),
            now=time.time(),
        )
        if state not in ("queued", "running"):
            # What a dead driver's workers were at is not running any more.
            shots = [_stopped(record, self.skip_requested(record.name)) for record in shots]
            training = _stopped(training) if training else None
        counts: dict[Any, int] = dict.fromkeys(SHOT_STATES, 0)
        for record in shots:
            counts[record.state] += 1
        ended = state not in ("queued", "running")
        return JobStatus(
            seconds_left=None
            if ended
            else seconds_left(everything, now=time.time(), sizes=self.sizes()),
            stale=stale_models(self.folder.parent.parent, request, shots) if ended else {},
            job=self.job,
            kind=request.kind,
            label=request.label,
            state=state,
            detail=detail,
            counts=counts,
            shots=shots,
            training=training,
            model=request.model if isinstance(request, TrainRequest) else None,
            submission=submission,
            driver=driver,
        )


def _stopped(record: ShotRecord, skipped: bool = False) -> ShotRecord:
    if record.state != "running":
        return record
    return record.model_copy(update={"state": "skipped" if skipped else "queued"})


def _checked(name: str) -> str:
    if not is_name(name):
        raise JobNotFound(f"there is no shot {name!r} in this job", remedy="see farm status")
    return name
