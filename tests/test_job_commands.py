"""Job commands: jobs cancelled, waited for, looked at, their shots left out, all from the ledger."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest
from made_jobs import drive, make_job, note, submit, work
from tiny_production import make_production

from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from farm.watch import plain_lines
from jobs.driver import JobDriver
from jobs.ledger import Ledger
from jobs.planning import plan_ingest, plan_train
from jobs.preflight import preflight
from jobs.records import options
from jobs.sentences import result_sentence


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=2, frames=2)


def test_cancelling_an_interrupted_job_needs_no_cluster(main, folder):
    ledger = make_job(folder, "interrupted")
    code, out, _ = main(folder, "cancel", ledger.job)
    assert code == 0
    assert "1 shot stays ingested" in out
    assert ledger.status().state == "cancelled"
    code, out, _ = main(folder, "cancel", ledger.job)
    assert code == 0
    assert "had ended already (cancelled): there was nothing to cancel" in out


def test_shots_are_left_out_by_name_or_glob_and_taken_back(main, folder):
    ledger = make_job(folder, "failed")
    code, out, _ = main(folder, "skip", ledger.job[:8], "train_*")
    assert code == 0
    assert f"{ledger.job} leaves out train_1" in out
    assert "stay so: train_0" in out
    code, out, _ = main(folder, "status")
    assert (code, "1 ingested, 1 skipped" in out) == (0, True)
    assert "train_1  skipped" in out
    code, out, _ = main(folder, "skip", ledger.job, "train_1", "--undo", "--json")
    found = json.loads(out)
    assert (found["shots"], found["undo"], found["counts"]["skipped"]) == (["train_1"], True, 0)
    assert not ledger.skip_requested("train_1")


@pytest.mark.parametrize("shot", ["train_7", "../../x", "bulk_*"])
def test_what_is_no_shot_of_the_job_cannot_be_left_out(main, folder, shot):
    ledger = make_job(folder, "failed")
    code, out, err = main(folder, "skip", ledger.job, "train_1", shot)
    assert (code, out) == (102, "")
    assert f"has no shot {shot!r}" in err
    assert "did you mean" in err or "use one of: train_0, train_1" in err
    assert not ledger.skip_requested("train_1")


def test_a_job_can_wait_for_another_but_not_for_itself(main, folder):
    first = make_job(folder, "running")
    (folder / "list.txt").write_text("train_0\n")
    arguments = ["submit", "ingest", "--shots", "list.txt", "--dry-run", "--json"]
    code, out, _ = main(folder, *arguments, "--after", "ingest-ada")
    assert code == 0
    request = plan_ingest(load_production(folder), actor=None, shots=["train_0"], camera=None)
    second = Ledger.create(first.folder.parent, request)
    assert json.loads(out)["job"] == second.job
    submit(first, options=options(after=second.job))
    code, out, err = main(folder, *arguments, "--after", first.job)
    assert (code, out) == (2, "")
    assert f"{second.job} waits for {first.job} waits for {second.job}" in err
    code, _, err = main(folder, *arguments, "--after", second.job)
    assert (code, "does not wait for it" in err) == (2, True)


def test_a_job_that_waits_says_when_the_other_one_stands_still(folder, monkeypatch):
    monkeypatch.setattr("jobs.driver.LOOK_SECONDS", 0.05)
    first = make_job(folder, "interrupted")
    request = plan_ingest(load_production(folder), actor=None, shots=["train_0"], camera=None)
    second = Ledger.create(first.folder.parent, request)
    submit(second, options=options(after=first.job))
    drive(second)
    driver = JobDriver(second)
    driver._driver = second.driver()
    waiting = threading.Thread(target=driver._wait_for, args=[first.job])
    waiting.start()

    def says(text):
        deadline = time.monotonic() + 60.0
        while text != second.status().detail:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    says(f"waits for {first.job}, which is interrupted: farm retry {first.job} goes on with it")
    drive(first, "running")
    says(f"waits for {first.job}")
    note(first, "train_1", "solved")
    drive(first, "finished")
    waiting.join(60.0)
    assert (second.status().state, second.status().detail) == ("running", "")


def test_one_damaged_ledger_hides_no_other_job(main, folder):
    ledger = make_job(folder, "failed")
    request = plan_ingest(load_production(folder), actor=None, shots=["train_0"], camera=None)
    other = Ledger.create(ledger.folder.parent, request)
    whole = (other.folder / "request.json").read_text()
    (other.folder / "request.json").write_text(whole[:-9])
    code, out, err = main(folder, "list")
    assert (code, ledger.job in out) == (0, True)
    assert f"warning: {other.job} is left out: {other.folder / 'request.json'}: is not a" in err
    assert "remove this file and submit the job again" in err
    (folder / "list.txt").write_text("train_0\n")
    (other.folder / "request.json").unlink()  # as it says
    code, out, _ = main(folder, "submit", "ingest", "--shots", "list.txt", "--dry-run", "--json")
    assert (code, json.loads(out)["job"]) == (0, other.job)


def test_shots_can_be_solved_with_the_model_of_a_training_that_still_runs(main, folder):
    production = load_production(folder)
    config = resolve("demo", [])
    training = plan_train(production, actor="ada", config=config)
    ledger = Ledger.create(production.paths.jobs, training)
    submit(ledger)
    (folder / "list.txt").write_text("train_0\n")
    arguments = ["submit", "infer", "--shots", "list.txt", "--dry-run", "--json"]
    code, _, err = main(folder, *arguments)
    assert (code, "has no model yet" in err) == (2, True)
    code, out, _ = main(folder, *arguments, "--after", "train-ada")
    assert code == 0
    assert json.loads(out)["request"]["models"] == {"ada": training.model}


def test_an_unknown_model_is_refused_with_what_there_is(main, folder):
    (folder / "list.txt").write_text("train_0\n")
    for model in ("cpu-1f3a9c20", "demo-00000000"):
        path = load_production(folder).paths.model("ada", model) / "model.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"model": model, "cameras": ["center"]}))
    arguments = ["submit", "infer", "--shots", "list.txt", "--model"]
    code, out, err = main(folder, *arguments, "x")
    assert (code, out) == (2, "")
    assert "ada has no model 'x'; it has demo-00000000, cpu-1f3a9c20" in err
    code, _, err = main(folder, *arguments, "cpu-1f3a9c21")
    assert (code, "did you mean 'cpu-1f3a9c20'?" in err) == (2, True)


def test_the_table_of_jobs_knows_the_time_left(main, folder):
    ledger = make_job(folder, "running")
    assert ledger.status().seconds_left is not None
    _, out, _ = main(folder, "list")
    assert "left" in out.splitlines()[0].split()
    _, out, _ = main(folder, "status")
    assert "about " in out


def test_the_sizes_of_what_is_submitted_are_kept(folder):
    production = load_production(folder)
    ledger = make_job(folder, "queued")
    request = ledger.request()
    (folder / "footage" / "train_1.mp4").unlink()
    planned = preflight(production, request, options(), None)
    read = [folder / "footage" / "train_0.mp4", folder / "caches" / "train_0.pc2"]
    assert planned.sizes == {"train_0": sum(path.stat().st_size for path in read)}
    ledger.add_sizes({"train_1": 7})
    ledger.add_sizes(planned.sizes)
    assert ledger.sizes() == {"train_1": 7, **planned.sizes}
    (ledger.folder / "sizes.json").write_text("{")
    assert ledger.sizes() == {}


def test_following_logs_ends_with_the_job(main, folder):
    ledger = make_job(folder, "running")
    ledger.driver_log_path.write_text("begun\n")

    def end():
        with ledger.driver_log_path.open("a") as log:
            log.write("ended\n")
        make_job(folder, "done")

    threading.Timer(1.0, end).start()
    code, out, _ = main(folder, "logs", "-f")
    assert (code, out) == (0, "begun\nended\n")


def test_the_log_of_a_job_that_did_not_begin_says_why(main, folder):
    ledger = make_job(folder, "queued")
    code, out, err = main(folder, "logs")
    assert (code, out) == (0, "")
    assert f"nothing is logged yet; {ledger.job} is queued" in err
    _, _, err = main(folder, "logs", "--shot", "train_1")
    assert f"nothing is logged of train_1 yet; {ledger.job} is queued" in err
    submit(ledger, submitted=0.0)
    _, _, err = main(folder, "logs", "-f")
    assert "is interrupted: did not begin within 900 s; farm retry" in err


def test_what_is_submitted_again_says_what_becomes_of_it(main, folder):
    ledger = make_job(folder, "running")
    again = ["submit", "ingest"]
    assert f"{ledger.job} is running already\n" in main(folder, *again)[2]
    code, _, err = main(folder, *again, "--max-parallel", "2")
    assert code == 0
    assert "is running already, with the options it was submitted with" in err
    assert f"farm cancel {ledger.job}, then the same command again" in err
    assert ledger.submission().options.max_parallel is None
    assert f"{ledger.job} is running: nothing to retry yet" in main(folder, "retry")[2]


def test_a_retry_with_nothing_failed_tells_of_what_was_skipped(main, folder):
    ledger = make_job(folder, "done")
    for name in ledger.request().shots:
        work(ledger, name, "ingest")
    assert f"{ledger.job} is done: nothing to retry\n" in main(folder, "retry")[2]
    ledger.write(ledger.shot("train_1").model_copy(update={"state": "queued"}))
    ledger.skip("train_1")
    said = f"nothing to retry; 1 skipped: farm skip {ledger.job} SHOT --undo takes one in again"
    assert said in main(folder, "retry")[2]


def test_what_a_training_read_is_not_called_solved(main, folder):
    production = load_production(folder)
    ledger = Ledger.create(
        production.paths.jobs, plan_train(production, actor="ada", config=resolve("demo", []))
    )
    submit(ledger)
    drive(ledger)
    work(ledger, "train_0", "ingest")
    note(ledger, "train_1", "running")
    lines = [*plain_lines(ledger.status())]
    for arguments in (["status", "--all"], ["wait", "--timeout", "0"], ["verify"]):
        _, out, err = main(folder, *arguments)
        lines += [line for line in (out + err).splitlines() if "farm retry" not in line]
    text = "\n".join(lines)
    assert "solved" not in text
    assert "1/2 ingested, 1 running" in text
    assert "1 ingested + 0 failed" in text


def test_a_tuned_model_is_told_with_the_error_before():
    figures = {"validation_rmse_mm": 0.844, "training_rmse_mm": 0.3, "seconds": 19.0}
    assert result_sentence(figures) == "validation 0.844 mm, training 0.300 mm, in 19s"
    figures["base_validation_rmse_mm"] = 0.82
    said = "validation 0.844 mm (before 0.820), training 0.300 mm, in 19s"
    assert result_sentence(figures) == said
    del figures["validation_rmse_mm"]  # no shot is left to validate on
    assert result_sentence(figures) == "training 0.300 mm, in 19s"


def test_what_cannot_be_written_is_told_without_a_traceback(main, folder):
    (folder / "afile").write_text("")
    code, _, err = main(folder, "init", "afile/below")
    assert (code, err.count("\n")) == (1, 1)
    assert "afile/below" in err
    assert "Not a directory -> name another place" in err


def test_a_file_in_place_of_a_folder_is_named(main, folder):
    (folder / "afile").write_text("")
    for out in ("afile", "afile/below"):
        for command in (["export"], ["submit", "export"], ["review"]):
            code, _, err = main(folder, *command, "train_0", "--out", str(folder / out))
            assert code == 2, err
            assert "afile: is a file, not a folder -> name a folder: --out" in err


def test_a_file_that_cannot_be_written_is_named_before_the_work(main, folder):
    """Nothing is solved or trained here: whatever looks at it first would say so instead."""
    (folder / "afile").write_text("")
    for *command, option in (
        ["compare", "a", "b", "--csv"],
        ["flag", "--actor", "ada", "--csv"],
        ["suggest", "--csv"],
        ["regions", "--out"],
        ["regions", "--picture"],
        ["report", "--out"],
        ["report", "--job", "x", "--out"],
        ["review", "train_0", "--save"],
    ):
        code, _, err = main(folder, *command, option, "afile/below")
        assert code == 2, err
        assert f"afile: is a file, not a folder -> name a file elsewhere: {option}" in err
        code, _, err = main(folder, *command, option, "footage")
        assert code == 2, err
        assert f"footage: is a folder, not a file -> name a file: {option}" in err


def test_a_folder_that_may_only_be_read_is_named_before_the_work(main, folder, monkeypatch):
    """Nothing is solved or trained here, as above."""

    def access(place, mode):  # as for another user than root, who may write everywhere
        return os.stat(place).st_mode & 0o222 != 0

    monkeypatch.setattr(os, "access", access)
    shut = folder / "shut"
    shut.mkdir(mode=0o555)
    for *command, option in (
        ["compare", "a", "b", "--csv"],
        ["flag", "--actor", "ada", "--csv"],
        ["regions", "--out"],
        ["report", "--out"],
    ):
        code, _, err = main(folder, *command, option, "shut/new/file.csv")
        assert code == 2, err
        remedy = f"make it writable, or name a file elsewhere: {option}"
        assert f"shut: cannot be written to -> {remedy}" in err
    (folder / "reports").mkdir(mode=0o555)
    code, _, err = main(folder, "report")
    assert (code, "reports: cannot be written to" in err) == (2, True)
