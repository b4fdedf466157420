"""Names of jobs: which job is meant by one without its digest, or by the beginning of one."""

from __future__ import annotations

import os
import time

import pytest
from made_jobs import drive, make_job, note, submit
from tiny_production import make_production

from facecap_core.productions.production import load_production
from jobs.errors import JobNotFound
from jobs.job_list import find_job
from jobs.ledger import Ledger
from jobs.planning import plan_ingest


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=2, frames=2)


def two_jobs(folder):
    """An ingest of both shots, and a later one of the first alone."""
    older = make_job(folder, "done")
    request = plan_ingest(load_production(folder), actor="ada", shots=["train_0"], camera=None)
    newer = Ledger.create(load_production(folder).paths.jobs, request)
    submit(newer)
    drive(newer, "finished")
    note(newer, "train_0", "solved")
    for ledger, lines in ((older, "of the older"), (newer, "of the newer")):
        for name in ledger.request().shots:
            ledger.shot_log_path(name).parent.mkdir(exist_ok=True)
            ledger.shot_log_path(name).write_text(f"{name} {lines}\n")
    past = time.time() - 60
    submit(older, submitted=past - 86400)
    os.utime(older.folder / "submission.json", (past, past))
    return older, newer


def test_a_name_without_its_digest_is_the_newest_job_of_that_name(main, folder):
    older, newer = two_jobs(folder)
    assert find_job(newer.folder.parent, "ingest-ada").job == newer.job
    assert find_job(newer.folder.parent, older.job).job == older.job
    with pytest.raises(JobNotFound, match="could be") as caught:
        find_job(newer.folder.parent, "ingest-a")
    dated = [
        f"{one.job} of {time.strftime('%Y-%m-%d %H:%M', time.localtime(one.submission().submitted))}"
        for one in (newer, older)
    ]
    assert caught.value.fault.message == f"'ingest-a' could be {', '.join(dated)}"
    assert "ingest-ada alone is the newest" in caught.value.fault.remedy


@pytest.mark.parametrize(
    "line", [["status"], ["verify", "--no-mark"], ["report", "--job"], ["skip", "train_0"]]
)
def test_which_job_of_several_a_name_without_its_digest_meant_is_told(main, folder, line):
    _, newer = two_jobs(folder)

    def said(job):
        where = 1 if line[0] == "skip" else len(line)
        return main(folder, *line[:where], job, *line[where:])[2]

    told = f"{newer.job}, the newest of 2 jobs of this name (farm list names them)\n"
    assert told in said("ingest-ada")
    assert told not in said(newer.job)


def test_the_job_to_wait_for_is_told(main, folder):
    _, newer = two_jobs(folder)
    line = ["submit", "ingest", "--camera", "center", "--after", "ingest-ada", "--dry-run"]
    assert main(folder, *line)[2].count(f"{newer.job}, the newest of 2 jobs") == 1


def test_the_log_of_a_shot_is_that_of_the_newest_job_that_has_it(main, folder):
    two_jobs(folder)
    assert main(folder, "logs", "--shot", "train_0")[1] == "train_0 of the newer\n"
    assert main(folder, "logs", "--shot", "train_1")[1] == "train_1 of the older\n"
    code, _, err = main(folder, "logs", "--shot", "train_7")
    assert (code, "has no shot 'train_7'" in err) == (102, True)


def test_without_a_name_it_is_said_which_job_is_meant(main, folder):
    older, newer = two_jobs(folder)
    for ledger in (older, newer):
        drive(ledger)  # so that nothing is submitted
    for command in ("verify", "retry"):
        _, _, err = main(folder, command)
        said = (
            f"{newer.job}, the newest of 2 jobs; another: farm {command} JOB (farm list names them)"
        )
        assert said in err
        for named in (older.job, older.job[:-2]):
            _, out, err = main(folder, command, named)
            assert "the newest of" not in err
            assert older.job in out + err
