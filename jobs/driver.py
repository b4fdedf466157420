"""Driver: the process that takes one job through the cluster, a task a shot, and keeps its ledger."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from facecap_core.errors import FacecapError
from facecap_core.productions.production import Production, load_production
from jobs.infer import infer_shot
from jobs.ingest import ingest_shot
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.placement import Placement, placement
from jobs.processes import HEARTBEAT_SECONDS, known_dead, this_process
from jobs.records import Cause, Driver, ShotRecord, Submission
from jobs.request import Request, TrainRequest
from jobs.sentences import result_sentence, training_sentence
from jobs.train import train_model

LOOP_SECONDS = 0.5
WIND_DOWN_SECONDS = 15.0
SYSTEM_RETRIES = 3
"""How often Ray starts a task again whose worker or node died; a user's fault is never retried."""


@dataclass(frozen=True)
class TaskCall:
    """What a worker is sent: paths and names, no arrays."""

    folder: str
    production: str
    name: str
    stage: str
    threads: int


def work(call: TaskCall) -> dict[str, Any]:
    """The Ray task: one shot, or one training; returns the final record as a small dict."""
    ledger = Ledger(Path(call.folder))
    production = load_production(Path(call.production))
    request = ledger.request()
    if call.stage == "ingest":
        record = ingest_shot(ledger, production, request, call.name, threads=call.threads)
    elif call.stage == "infer":
        record = infer_shot(ledger, production, request, call.name, threads=call.threads)
    else:
        record = train_model(ledger, production, request, threads=call.threads)
    return record.model_dump(mode="json")


class JobDriver:
    """One run of a job: connect, submit what is missing, watch, note, end."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._log = Log(ledger.driver_log_path)
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._terminated = False

    def run(self) -> bool:
        """Take the job to its end; True when every shot (and the training) is solved."""
        request = self._ledger.request()
        submission = self._ledger.submission()
        if submission is None:
            raise FacecapError("the job has no submission.json", remedy="use farm submit")
        before = self._ledger.driver()
        if (
            before is not None
            and before.attempt == submission.attempt
            and before.state == "running"
            and not known_dead(before.process)
            and time.time() - before.beat < 4 * HEARTBEAT_SECONDS
        ):
            raise FacecapError(f"{self._ledger.job} has a driver already", remedy="farm wait")
        driver = Driver(
            attempt=submission.attempt,
            process=this_process(),
            beat=time.time(),
            started=time.time(),
            submission_id=submission.submission_id,
            dashboard=submission.dashboard,
        )
        self._ledger.write_driver(driver)
        heart = threading.Thread(target=self._beat, args=(driver,), daemon=True)
        heart.start()
        try:
            production = load_production(Path(submission.production))
            solved = self._run(request, production, submission)
        except BaseException as error:
            self._end(heart, driver, "failed", Cause.of(error))
            self.say(f"{self._ledger.job} failed: {Cause.of(error)}")
            raise
        self._end(heart, driver, "finished", None)
        status = self._ledger.status()
        self.say(f"{status.job} {status.state}: {_counted(status.counts)}")
        return solved

    def say(self, text: str) -> None:
        """A line in driver.log and in the job's log on the dashboard."""
        self._log.line(text)
        print(text, flush=True)  # noqa: T201

    # -- heartbeat -----------------------------------------------------------------------------

    def _beat(self, driver: Driver) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                self._ledger.write_driver(driver.model_copy(update={"beat": time.time()}))
            except OSError as error:  # a full disk must not end the job before its shots do
                print(f"heartbeat: {error}", flush=True)  # noqa: T201

    def _end(
        self, heart: threading.Thread, driver: Driver, state: str, cause: Cause | None
    ) -> None:
        self._ended.set()
        heart.join()
        self._ledger.write_driver(
            driver.model_copy(update={"beat": time.time(), "state": state, "cause": cause})
        )

    # -- the work ------------------------------------------------------------------------------

    def _run(self, request: Request, production: Production, submission: Submission) -> bool:
        import ray

        ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
        signal.signal(signal.SIGTERM, self._on_signal)  # after ray.init, which sets its own
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        shots = [self._ledger.shot(name) for name in request.shots]
        stage = "infer" if request.kind == "infer" else "ingest"
        place = placement(stage, submission.options, nodes)
        solved = self._stage(stage, shots, place, submission)
        training = self._ledger.training()
        if isinstance(request, TrainRequest) and training is not None:
            if not solved:
                self._do_not_train(training)
                return False
            place = placement("train", submission.options, nodes)
            solved = self._stage("train", [training], place, submission)
        return solved

    def _stage(
        self, stage: str, records: Sequence[ShotRecord], place: Placement, submission: Submission
    ) -> bool:
        import ray

        missing = [record for record in records if record.state != "solved"]
        if not missing:
            return True
        self.say(
            f"{stage}: {len(missing)} to do, {len(records) - len(missing)} solved already;"
            f" {place} each"
        )
        task = ray.remote(work).options(
            name=stage,  # the dashboard counts tasks of one name in one bar
            num_cpus=place.cpus,
            num_gpus=place.gpus,
            max_retries=SYSTEM_RETRIES,
        )
        pending = {}
        for record in missing:
            queued = record.model_copy(
                update={"state": "queued", "stage": stage, "progress": None, "cause": None}
            )
            self._ledger.write(queued)
            call = TaskCall(
                folder=str(self._ledger.folder),
                production=submission.production,
                name=record.name,
                stage=stage,
                threads=place.threads,
            )
            pending[task.remote(call)] = queued
        return self._watch(pending)

    def _watch(self, pending: dict[Any, ShotRecord]) -> bool:
        """Wait for tasks and note their ends; True when all were solved."""
        import ray

        total, count, solved = len(pending), 0, True
        told = ""
        while pending:
            if self._stop.is_set() or self._ledger.cancel_requested():
                self._cancel(pending)
                return False
            ready, _ = ray.wait(list(pending), num_returns=1, timeout=LOOP_SECONDS)
            for reference in ready:
                record, count = pending.pop(reference), count + 1
                final = self._final(reference, record)
                solved = solved and final.state == "solved"
                self.say(_line(final, count, total))
            if total == 1 and pending:
                told = self._tell_training(next(iter(pending.values())), told)
        return solved

    def _final(self, reference: Any, record: ShotRecord) -> ShotRecord:
        import ray

        try:
            return ShotRecord.model_validate(ray.get(reference))
        except Exception as error:
            # The worker could not write its own end: it was killed, or its node was lost.
            told = getattr(error, "cause", None)  # of an exception that came from our own code
            if isinstance(told, FacecapError):
                cause = Cause.of(told)
            else:
                cause = Cause(
                    type=type(error).__name__,
                    message=str(error).strip().split("\n", 1)[0] or "the worker died",
                    remedy=f"farm retry {self._ledger.job}",
                )
            now = self._current(record)
            final = now.model_copy(
                update={
                    "state": "failed",
                    "progress": None,
                    "cause": cause,
                    "ended": time.time(),
                }
            )
            self._ledger.write(final)
            Log(self._ledger.log_path(final)).line(f"failed: {cause.type}: {error}")
            return final

    def _current(self, record: ShotRecord) -> ShotRecord:
        found = self._ledger.training() if record.stage == "train" else None
        return found or self._ledger.shot(record.name)

    def _tell_training(self, record: ShotRecord, told: str) -> str:
        """Repeat a training's epochs in the driver's log."""
        if record.stage != "train":
            return told
        now = self._current(record).progress
        if now is None:
            return told
        epoch = str(int(now.figures.get("epoch", 0)))
        if epoch != told:
            self.say(f"train {record.name}: {training_sentence(now.figures)}")
        return epoch

    # -- ends ----------------------------------------------------------------------------------

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._terminated = True
        self._stop.set()

    def _cancel(self, pending: dict[Any, ShotRecord]) -> None:
        """End what runs; workers see cancel.json themselves and leave nothing half done."""
        import ray

        self.say(f"cancelling {len(pending)} tasks")
        if not self._ledger.cancel_requested():
            # Ray was told to stop us and kills soon: one write, and the ledger says why.
            self._ledger.request_cancel("ray")
        for reference, record in pending.items():
            now = self._current(record)
            if now.state == "queued":
                ray.cancel(reference, force=False)
        patience = 0.0 if self._terminated else WIND_DOWN_SECONDS
        deadline = time.monotonic() + patience
        left = list(pending)
        while left and time.monotonic() < deadline:
            _, left = ray.wait(left, num_returns=len(left), timeout=LOOP_SECONDS)
        for reference in left:
            ray.cancel(reference, force=True)
        for record in pending.values():
            now = self._current(record)
            if now.state in ("queued", "running"):
                self._ledger.write(
                    now.model_copy(
                        update={"state": "cancelled", "progress": None, "ended": time.time()}
                    )
                )

    def _do_not_train(self, training: ShotRecord) -> None:
        bad = [r for name in self._ledger.request().shots if (r := self._ledger.shot(name)).cause]
        state = "failed" if any(record.state == "failed" for record in bad) else "cancelled"
        cause = None
        if state == "failed":
            failed = [record for record in bad if record.state == "failed"]
            first = failed[0]
            cause = Cause(
                type="TrainingError",
                message=f"{len(failed)} of its shots failed, first {first.name}:"
                f" {first.cause.message if first.cause else ''}",
                remedy="mend or remove them, then farm retry",
            )
        self._ledger.write(training.model_copy(update={"state": state, "cause": cause}))
        self.say(f"train {training.name}: {state}" + (f": {cause}" if cause else ""))


def _line(record: ShotRecord, count: int, total: int) -> str:
    head = f"{record.stage} {count}/{total} {record.name}: {record.state}"
    if record.state == "solved":
        if record.stage == "train":
            return f"{head}, {result_sentence(record.figures)}"
        how = "there already" if record.reused else f"{record.seconds or 0:.1f} s"
        return f"{head}, {record.frames} frames, {how}"
    return f"{head}: {record.cause}" if record.cause else head


def _counted(counts: dict[Any, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items() if number)
