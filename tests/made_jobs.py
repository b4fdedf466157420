"""Jobs whose ledgers are written by hand: everything that reads them works without a cluster."""

from __future__ import annotations

import time

from facecap_core.productions.production import load_production
from jobs import tasks
from jobs.ledger import Ledger
from jobs.planning import plan_ingest
from jobs.processes import this_host, this_process
from jobs.records import Cause, Driver, Lot, Moment, Options, Process, Submission
from jobs.tasks import TaskCall

CAUSE = Cause(type="FootageMissing", message="x.mp4: no such file", remedy="find it")
ADDRESS = "http://127.0.0.1:9"  # where nobody listens


def submit(ledger, *, attempt=1, **changes):
    """Note that the job was handed over."""
    facts = {
        "attempt": attempt,
        "submission_id": f"x-{attempt}",
        "production": str(ledger.folder.parents[2] / "production.toml"),
        "address": ADDRESS,
        "dashboard": ADDRESS,
        "submitted": time.time(),
        "host": this_host(),
        "options": Options(),
    }
    ledger.write_submission(Submission(**{**facts, **changes}))


def drive(ledger, state="running", *, attempt=1, dead=False, **changes):
    """Note that this process is its driver (or one that has died)."""
    process = this_process()
    if dead:
        process = Process(host=process.host, pid=process.pid, created=1.0)
    now = time.time()
    facts = {"attempt": attempt, "process": process, "beat": now, "started": now, "state": state}
    ledger.write_driver(Driver(**{**facts, **changes}))


def note(ledger, name, state, **changes):
    """Note the state of a shot, as a worker or the driver would."""
    facts = {
        "queued": {},
        "running": {
            "attempt": 1,
            "host": this_host(),
            "started": time.time() - 10,
            "progress": Moment(what="decode", done=12, total=30),
        },
        "solved": {
            "attempt": 1,
            "host": this_host(),
            "frames": 30,
            "seconds": 10.0,
            "started": time.time() - 20,
            "ended": time.time() - 10,
        },
        "failed": {"attempt": 1, "seconds": 1.0, "cause": CAUSE},
        "cancelled": {},
    }[state]
    record = ledger.shot(name).model_copy(update={"state": state, **facts, **changes})
    ledger.write(record)
    return record


def work(ledger, name, stage):
    """Do a shot (or the training) in this process, as a worker would; it must succeed."""
    submission = ledger.submission()
    lot = Lot(threads=1)
    call = TaskCall(str(ledger.folder), submission.production, name, stage, lot)
    record = tasks.work(call)
    assert record["state"] == "solved", record


def run_job(production, request, *stages):
    """Do a job in this process, `ingest` or `infer` of its shots and then `train`; returns its request."""
    ledger = Ledger.create(production.paths.jobs, request)
    submit(ledger)
    drive(ledger)
    for shot in request.shots:
        work(ledger, shot, stages[0])
    if "train" in stages:
        work(ledger, request.model, "train")
    return request


def make_job(folder, state):
    """An ingest of a tiny production whose files say this state of the whole job."""
    request = plan_ingest(load_production(folder), actor="ada", shots=None, camera=None)
    ledger = Ledger.create(load_production(folder).paths.jobs, request)
    submit(ledger)
    if state == "queued":
        return ledger
    drive(ledger, "running" if state == "running" else "finished")
    last = {"done": "solved", "interrupted": "queued"}.get(state, state)
    *others, name = request.shots
    for other in others:
        note(ledger, other, "solved")
    note(ledger, name, last)
    return ledger
