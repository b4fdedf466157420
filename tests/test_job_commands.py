"""Job commands: jobs cancelled, waited for, looked at, their shots left out, all from the ledger."""

from __future__ import annotations

import json
import os
import threading
import time

import numpy as np
import pytest
from made_jobs import drive, make_job, note, submit, work
from tiny_production import make_production, write_cache

from facecap_core.corrections.correction import add_correction, take_out
from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from facecap_core.template import read_template
from farm.watch import plain_lines
from jobs.errors import JobNotFound
from jobs.job_list import find_job
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


def make_model(folder, name, date, **facts):
    """As much of a model as its choice looks at."""
    place = load_production(folder).paths.model("ada", name)
    place.mkdir(parents=True)
    (place / "weights.safetensors").write_text(name)
    known = {"model": name, "cameras": ["center"], "made": {"date": date}}
    (place / "model.json").write_text(json.dumps({**known, **facts}))


def test_the_default_model_is_shown_and_that_its_base_was_better(main, folder):
    def tuned(error_mm, base="cpu-2"):
        return {
            "validation": {"rmse_mm": error_mm},
            "training": {"base": {"model": base, "fingerprint": ""}},
        }

    make_model(folder, "cpu-1", "2026-01-01", validation={"rmse_mm": 0.4})
    make_model(folder, "cpu-2", "2026-01-02", validation={"rmse_mm": 0.5})
    (folder / "list.txt").write_text("train_0\n")
    infer = ["submit", "infer", "--shots", "list.txt", "--dry-run"]
    _, out, _ = main(folder, "models")
    assert "tuned" not in out
    make_model(folder, "cpu_tuned-3", "2026-01-03", **tuned(0.51))
    said = (
        "cpu_tuned-3 has a validation error of 0.510 mm, cpu-2, from which it was tuned, 0.500:"
        " name the model that you want"
    )
    _, out, _ = main(folder, "models")
    assert [line.split()[:3] for line in out.splitlines()[1:4]] == [
        ["cpu_tuned-3", "ada", "yes"],
        ["cpu-2", "ada", "center"],
        ["cpu-1", "ada", "center"],
    ]
    assert said in out
    _, out, _ = main(folder, "models", "--json")
    assert [m["default"] for m in json.loads(out)["models"]] == [True, False, False]
    code, _, err = main(folder, *infer)
    assert code == 0
    assert "cpu_tuned-3 of ada: the newest, and so the default" in err
    assert f"warning: {said}" in err
    _, _, err = main(folder, *infer, "--model", "cpu-2")
    assert "default" not in err
    make_model(folder, "cpu_tuned-4", "2026-01-04", **tuned(0.49))
    _, _, err = main(folder, *infer)
    assert "cpu_tuned-4 of ada: the newest" in err
    assert "warning" not in err
    # Better than its base, but that had lost already.
    make_model(folder, "cpu_tuned-5", "2026-01-05", **tuned(0.495, base="cpu_tuned-3"))
    make_model(folder, "cpu_tuned-6", "2026-01-06", **tuned(0.505, base="cpu_tuned-5"))
    make_model(folder, "cpu_tuned-7", "2026-01-07", **tuned(0.498, base="cpu_tuned-6"))
    _, _, err = main(folder, *infer)
    assert "cpu_tuned-7 has a validation error of 0.498 mm, cpu_tuned-5, from which" in err
    make_model(folder, "cpu_tuned-8", "2026-01-08", **tuned(0.6, base="cpu_tuned-8"))
    assert "warning" not in main(folder, *infer)[2], "a file that was changed by hand"
    harder = tuned(0.6)
    harder["validation"]["shots"] = {"validation_0": {"frames": 30, "rmse_mm": 0.6}}
    make_model(folder, "cpu_tuned-9", "2026-01-09", **harder)
    _, _, err = main(folder, *infer)
    assert "cpu_tuned-9 of ada: the newest" in err
    assert "warning" not in err, "errors of other frames say nothing about the two"


def test_a_tuning_with_nothing_new_to_learn_is_warned_of(main, folder):
    production = load_production(folder)
    first = plan_train(production, actor="ada", config=resolve("demo", []))
    Ledger.create(production.paths.jobs, first)
    template = read_template(folder / "template.obj")
    make_model(
        folder,
        first.model,
        "2026-01-01",
        config=first.config,
        crop={"center": [0, 0, 48, 64]},
        topology_sha256=template.topology_sha256,
        units="cm",
        training={},
    )
    train = ["submit", "train", "--from", first.model, "--dry-run"]

    def warned(*more):
        code, _, err = main(folder, *train, *more)
        assert code == 0, err
        return f"warning: {first.model} learned from the same shots and corrections" in err

    assert warned()
    assert not warned("--epochs", "3"), "who says how long means it"
    found = add_correction(
        production.paths,
        "ada",
        "train_0",
        frames=np.arange(2),
        blocks=[np.tile(template.positions, (2, 1, 1)).astype(np.float32)],
        facts={"topology_sha256": template.topology_sha256},
    )
    assert not warned()
    assert warned("--without-corrections")
    take_out(production.paths, "ada", "train_0", found.number)
    assert warned()
    write_cache(folder / "caches" / "train_1.pc2", 2, seed=5)
    assert not warned(), "another target"
