"""The command line: instant help with examples, exit codes, and JSON alone on stdout."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest
from command_tree import commands
from made_jobs import make_job
from solved_shots import solve
from tiny_production import make_production

from facecap_core.provenance import versions


def test_the_start_imports_nothing_heavy():
    code = "import sys, farm.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {
        "torch",
        "av",
        "zarr",
        "ray",
        "numpy",
        "pydantic",
        "matplotlib",
        "requests",
    }


@pytest.mark.parametrize(
    ("path", "command"),
    list(commands()),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_every_help_has_an_example_that_parses(path, command):
    text = command.help
    lines = [line.strip() for line in text.splitlines()]
    examples = [line for line in lines if line.startswith("farm " + " ".join(path))]
    assert examples, text
    assert max(map(len, examples)) <= 76, "it breaks on a terminal of 80 columns"
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])[1 + len(path) :]
        command.make_context(path[-1], words, resilient_parsing=False).close()


def test_the_version_is_that_which_outputs_record(main, folder):
    code, out, _ = main(folder, "--version")
    assert code == 0
    assert dict(part.split(" ") for part in out.strip().split(", ")) == versions()


CONTRACT = """
demo init check models report up down dashboard
submit_ingest submit_train submit_infer
list status logs wait cancel retry skip verify
"""


def test_all_of_the_contract_is_there():
    names = {"_".join(path) for path, _ in commands()}
    assert names >= set(CONTRACT.split())


@pytest.mark.parametrize(
    ("path", "command"),
    list(commands()),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_every_command_can_print_json(path, command):
    assert "--json" in {name for option in command.params for name in option.opts}


@pytest.mark.parametrize("kind", ["export", "review"])
def test_jobs_that_write_files_offer_nothing_that_does_not_concern_them(kind):
    command = dict(commands())["submit", kind]
    names = {name for option in command.params for name in option.opts}
    assert names >= {"--cpus", "--memory"}
    assert not names & {"--gpus", "--decoder"}


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=2, frames=2)


CODES = {"done": 0, "failed": 100, "queued": 101, "running": 101, "interrupted": 101}
CODES["cancelled"] = 103


@pytest.mark.parametrize("state", list(CODES))
def test_the_exit_code_tells_the_state(main, folder, state):
    ledger = make_job(folder, state)
    code, out, _ = main(folder, "status", ledger.job[:8])
    assert code == CODES[state]
    assert f"{ledger.job} {state}" in out
    assert ("x.mp4: no such file -> find it" in out) == (state == "failed")
    code, out, err = main(folder, "wait", "--timeout", "0", "--json")
    assert code == CODES[state]
    assert json.loads(out)["state"] == state
    assert state in err
    code, out, _ = main(folder, "list")
    assert code == 0
    assert state in out


def test_json_is_one_object_on_one_line(main, folder):
    make_job(folder, "failed").driver_log_path.write_text("begun\n")
    for arguments in (
        ["status"],
        ["list"],
        ["logs"],
        ["models"],
        ["submit", "ingest", "--dry-run"],
        ["down"],
    ):
        _, out, _ = main(folder, *arguments, "--json")
        assert json.loads(out)["schema_version"] == 1
        assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["status"], 102, "no jobs yet"),
        (["status", "nothing"], 102, "no job 'nothing'"),
        (["logs", "nothing"], 102, "no job"),
        (["cancel", "../../etc"], 102, "no job"),
        (["frobnicate"], 2, "No such command"),
        (["cancel"], 2, "Missing argument"),
        (["submit", "train", "--preset", "papr"], 2, "unknown preset"),
        (
            ["submit", "train", "--preset", "cpu", "--set", "network.dropuot=0"],
            2,
            "network.dropout",
        ),
        (["submit", "infer", "--actor", "adda"], 2, "did you mean 'ada'"),
        (["submit", "infer", "--actor", "ada"], 2, "no bulk shots"),
        (["submit", "infer", "--shots", "list.txt"], 2, "farm submit train --actor ada"),
        (["submit", "ingest", "--cpus", "-1", "--dry-run"], 2, "--cpus"),
        (["submit", "ingest", "--memory", "0", "--dry-run"], 2, "--memory"),
        (["submit", "ingest", "--max-parallel", "0", "--dry-run"], 2, "--max-parallel"),
        (["submit", "ingest", "--hung-after", "0", "--dry-run"], 2, "--hung-after"),
        (["submit", "ingest", "--hung-after", "inf", "--dry-run"], 2, "--hung-after"),
        (["submit", "ingest", "--gpus", "1", "--dry-run"], 2, "No such option"),
        (["submit", "ingest", "--after", "train-ada"], 102, "no job 'train-ada'"),
        (["submit", "ingest", "--on-done", "notify-sendd x"], 2, "no command 'notify-sendd'"),
        (["submit", "ingest", "--on-done", "echo 'x"], 2, "close its quotes"),
        (["wait", "--on-done", "", "nothing"], 102, "no job"),
        (["skip", "nothing", "train_0"], 102, "no job"),
        (["skip", "nothing"], 2, "Missing argument"),
        (["verify"], 102, "no jobs yet"),
        (["verify", "--all", "nothing"], 2, "--all takes no JOB"),
        (["status", "--watch", "--json"], 2, "farm wait --json"),
        (["logs", "--follow", "--json"], 2, "--json is one object"),
        (["models", "--actor", "bob"], 2, "no actor"),
        (["dashboard"], 1, "no local head"),
        (["dashboard", "--address", "ray-head:6379"], 1, "not a dashboard's address"),
        (["submit", "ingest", "--address", "http://127.0.0.1:9"], 1, "no answer from the cluster"),
        (["status", "--production", "nowhere"], 2, "production.toml"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_slips_end_with_a_sentence_and_their_code(main, folder, arguments, code, text):
    (folder / "list.txt").write_text("train_*\n")
    found, out, err = main(folder, *arguments)
    assert found == code, err
    assert text in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("fixed.pc2", ["correct", "train_0", "fixed.pc2"]),
        ("template.obj", ["regions"]),
        ("footage/train_0.mp4", ["review", "train_0", "--save", "page.html"]),
        ("list.txt", ["export", "--shots", "list.txt", "--out", "out"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_users_own_file_that_is_faulty_is_no_internal_error(main, folder, file, arguments):
    solve(folder, "train_0", 2)
    (folder / file).write_bytes(b"\xff\x00 neither")
    found, out, err = main(folder, *arguments)
    assert found == 2, err
    assert file in err
    assert " -> " in err
    assert "Traceback" not in err
    assert out == ""


def test_a_folder_that_is_gone_is_said_so(tmp_path):
    (tmp_path / "gone").mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); sys.argv[0] = 'farm';"
    code += "from farm.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "status"],
        cwd=tmp_path / "gone",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "the current folder is gone -> go to another" in done.stderr


def test_a_shot_list_cannot_lead_out(main, folder):
    (folder / "list.txt").write_text("train_0\n../../etc/passwd\n")
    code, _, err = main(folder, "submit", "ingest", "--shots", "list.txt", "--dry-run")
    assert code == 2
    assert "list.txt:2" in err


def test_a_dry_run_writes_nothing(main, folder):
    before = sorted(folder.rglob("*"))
    code, out, _ = main(
        folder, "submit", "train", "--preset", "cpu", "--epochs", "3", "--dry-run", "--json"
    )
    assert code == 0
    plan = json.loads(out)
    assert plan["to_do"] == 2
    assert plan["request"]["config"]["schedule"]["epochs"] == 3
    assert plan["model"].startswith("cpu-")
    assert sorted(folder.rglob("*")) == before


def test_a_dry_run_starts_no_head_to_choose_a_preset(main, folder, monkeypatch):
    monkeypatch.setattr("farm.head.LocalHead.up", lambda head: pytest.fail("a head was started"))
    code, out, err = main(folder, "submit", "train", "--dry-run", "--json")
    assert code == 0, err
    preset = json.loads(out)["model"].partition("-")[0]
    assert preset in ("cpu", "fast")
    assert f"preset {preset}" in err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--camera", "centr"], "did you mean 'center'"),
        (["--set", "network.dropuot=0"], "did you mean"),
        (["--actor", "adda"], "did you mean 'ada'"),
    ],
)
def test_what_is_misspelt_is_told_before_a_head_starts(main, folder, monkeypatch, wrong, told):
    monkeypatch.setattr("farm.head.LocalHead.up", lambda head: pytest.fail("a head was started"))
    code, _, err = main(folder, "submit", "train", *wrong)
    assert code == 2
    assert told in err


def test_a_training_says_that_it_needs_every_shot(main, folder):
    (folder / "footage" / "train_0.mp4").unlink()
    code, out, err = main(folder, "submit", "train", "--preset", "cpu", "--dry-run")
    assert code == 0, err
    assert "2 of 2 shots to do, 1 warning\n" in out
    assert "a training does not begin before all of its shots are ingested" in out


def dry_training(main, folder, *arguments):
    code, out, err = main(
        folder, "submit", "train", "--preset", "cpu", *arguments, "--dry-run", "--json"
    )
    assert code == 0, err
    return json.loads(out)["request"], err


def test_a_network_is_chosen_with_what_suits_it(main, folder):
    request, err = dry_training(main, folder, "--network", "fully-connected")
    config = request["config"]
    assert config["network"]["kind"] == "fully-connected"
    assert config["network"]["dropout"] == 0.2
    assert config["augmentation"]["translation"] == 0
    assert config["optimizer"]["kind"] == "adam"
    assert not config["stabilised_input"]
    assert "pictures in which the head stands still" in err, "its camera has no landmarks"
    settings = folder / "production.toml"
    text = settings.read_text().replace("crop =", 'landmarks = "points/{shot}.npy"\ncrop =', 1)
    settings.write_text(text)
    request, err = dry_training(main, folder, "--network", "fully-connected")
    assert request["config"]["stabilised_input"]
    assert "stands still" not in err
    unasked = ["--network", "fully-connected", "--set", "stabilised_input=false"]
    assert not dry_training(main, folder, *unasked)[0]["config"]["stabilised_input"]
    unknown = ["--preset", "cpu", "--network", "recurrent"]  # without a preset a head is started
    code, _, err = main(folder, "submit", "train", *unknown, "--dry-run")
    assert code == 2
    assert "convolutional, fully-connected" in err
