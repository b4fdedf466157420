"""Driver: the process that takes one job through the cluster, beating in its ledger while it lives."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from facecap_core.errors import Cancelled, FacecapError
from facecap_core.productions.production import load_production
from jobs.cancel import cancel_unfinished
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.metrics import DriverMetrics
from jobs.nodes import alive_nodes
from jobs.placement import placement
from jobs.processes import HEARTBEAT_SECONDS, known_dead, this_process
from jobs.records import Cause, Driver, ShotRecord, Submission, shot_stage
from jobs.request import Request, TrainRequest
from jobs.sentences import counted
from jobs.stage import Stage

LOOK_SECONDS = 2.0


class JobDriver:
    """One run of a job: connect, submit what is missing, watch, note, end."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._log = Log(ledger.driver_log_path)
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._driver: Driver | None = None
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
        self._driver = Driver(
            attempt=submission.attempt,
            process=this_process(),
            beat=time.time(),
            started=time.time(),
            submission_id=submission.submission_id,
            dashboard=submission.dashboard,
        )
        self._note()
        heart = threading.Thread(target=self._beat, daemon=True)
        heart.start()
        try:
            solved = self._run(request, submission)
        except Cancelled:
            solved = False
        except BaseException as error:
            self._end(heart, state="failed", cause=Cause.of(error))
            self.say(f"{self._ledger.job} failed: {Cause.of(error)}")
            raise
        self._end(heart, state="finished", cause=None)
        status = self._ledger.status()
        self.say(f"{status.job} {status.state}: {counted(status)}")
        return solved

    def say(self, *texts: str) -> None:
        """Lines in driver.log and in the job's log on the dashboard."""
        print("\n".join(texts), flush=True)  # noqa: T201
        try:
            self._log.lines(texts)
        except FacecapError as error:  # a full disk must not end the job before its shots do
            print(f"driver.log: {error}", flush=True)  # noqa: T201

    # -- heartbeat -----------------------------------------------------------------------------

    def _note(self, **changes: Any) -> None:
        with self._writing:
            assert self._driver is not None
            self._driver = self._driver.model_copy(update={"beat": time.time(), **changes})
            self._ledger.write_driver(self._driver)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                self._note()
            except OSError as error:
                print(f"heartbeat: {error}", flush=True)  # noqa: T201

    def _end(self, heart: threading.Thread, *, state: str, cause: Cause | None) -> None:
        self._ended.set()
        heart.join()
        self._note(state=state, cause=cause, waits_for="", waits_state="")

    # -- the work ------------------------------------------------------------------------------

    def _run(self, request: Request, submission: Submission) -> bool:
        import ray

        ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
        signal.signal(signal.SIGTERM, self._on_signal)  # after ray.init, which sets its own
        self._note(ray_job_id=ray.get_runtime_context().get_job_id())
        if submission.options.after is not None:
            self._wait_for(submission.options.after)
        load_production(Path(submission.production))  # its faults are told before any task is begun
        shots = [self._ledger.shot(name) for name in request.shots]
        solved = self._stage(shot_stage(request.kind), shots, submission)
        training = self._ledger.training()
        if isinstance(request, TrainRequest) and training is not None:
            if self._stopped() or not solved:
                self._do_not_train(training)
                return False
            solved = self._stage("train", [training], submission)
        return solved

    def _stage(self, name: str, records: Sequence[ShotRecord], submission: Submission) -> bool:
        stage = Stage(
            ledger=self._ledger,
            name=name,
            place=placement(name, submission.options, alive_nodes()),
            submission=submission,
            say=self.say,
            stopped=self._stopped,
            patient=lambda: not self._terminated,
            metrics=DriverMetrics(self._ledger.job, self._ledger.request().kind),
        )
        return stage.run(records)

    def _wait_for(self, job: str) -> None:
        """Until another job of the production is done.

        Raises:
            FacecapError: it failed or was cancelled. Cancelled: this job was.
        """
        other = Ledger(self._ledger.folder.parent / job)
        told = ""
        while True:
            status = other.status()
            if status.state == "done":
                break
            if status.state != told:
                told = status.state
                self.say(f"waits for {job}, which is {told}")
                self._note(waits_for=job, waits_state=told)
            if status.state in ("failed", "cancelled"):
                raise FacecapError(
                    f"{job}, which was to be done before, {status.state}",
                    remedy=f"farm retry {job}, then farm retry {self._ledger.job}",
                )
            if self._stopped():
                cancel_unfinished(self._ledger)
                raise Cancelled(f"{self._ledger.job} was cancelled while it waited for {job}")
            self._stop.wait(LOOK_SECONDS)
        self._note(waits_for="", waits_state="")

    # -- ends ----------------------------------------------------------------------------------

    def _stopped(self) -> bool:
        if self._stop.is_set() and not self._ledger.cancel_requested():
            # Ray was told to stop us and kills soon: one write, and the ledger says why.
            self._ledger.request_cancel("ray")
        return self._stop.is_set() or self._ledger.cancel_requested()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._terminated = True
        self._stop.set()

    def _do_not_train(self, training: ShotRecord) -> None:
        records = [self._ledger.shot(name) for name in self._ledger.request().shots]
        failed = [record for record in records if record.state == "failed"]
        state, cause = "cancelled", None
        if failed:
            first = failed[0]
            state = "failed"
            cause = Cause(
                type="TrainingError",
                message=f"{len(failed)} of its shots failed, first {first.name}:"
                f" {first.cause.message if first.cause else ''}",
                remedy="mend or remove them, then farm retry",
            )
        self._ledger.write(training.model_copy(update={"state": state, "cause": cause}))
        self.say(f"train {training.name}: {state}" + (f": {cause}" if cause else ""))
