"""Completion: asked as a shell asks it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from made_jobs import make_job
from tiny_production import make_production

HEAVY = {"torch", "av", "zarr", "ray", "numpy", "jobs.ledger", "facecap_core.productions"}
START = "import sys; sys.argv[0] = 'farm'; from farm.app import main; main()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_production(tmp_path_factory.mktemp("shows") / "tiny", train=3, bulk=2, frames=2)
    make_job(folder, "done")
    for model in ("cpu-1f3a9c20", "demo-00000000"):
        path = folder / "store" / "models" / "ada" / model / "model.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"model": model, "cameras": ["center"]}))
    return folder


def complete(folder, line, *, code=START):
    """What bash would offer after this line; its last word is the one that is begun."""
    words = line.split(" ")
    environment = {k: v for k, v in os.environ.items() if k != "FARM_PRODUCTION"}
    environment |= {
        "_FARM_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


def job_of(folder):
    return next((folder / "store" / "jobs").iterdir()).name


def test_commands_and_options(folder):
    assert complete(folder, "farm ver") == ["verify"]
    every = {"ingest", "train", "infer", "export", "review"}
    assert set(complete(folder, "farm submit ")) == every
    assert complete(folder, "farm submit infer --max") == ["--max-parallel"]


@pytest.mark.parametrize(
    "line",
    ["status", "logs", "wait", "cancel", "retry", "skip", "verify", "submit ingest --after"],
)
def test_jobs(folder, line):
    assert complete(folder, f"farm {line} ") == [job_of(folder)]
    assert complete(folder, f"farm {line} ing") == [job_of(folder)]
    assert complete(folder, f"farm {line} train") == []


def test_shots_are_those_of_the_job(folder):
    shots = ["train_0", "train_1", "train_2"]
    assert complete(folder, f"farm skip {job_of(folder)} tr") == shots
    assert complete(folder, f"farm logs {job_of(folder)} --shot ") == shots
    assert complete(folder, "farm logs --shot bu") == ["bulk_0", "bulk_1"]


def test_actors_models_and_presets(folder):
    assert complete(folder, "farm submit train --actor ") == ["ada"]
    assert complete(folder, "farm check -a a") == ["ada"]
    assert complete(folder, "farm submit infer --model c") == ["cpu-1f3a9c20"]
    assert complete(folder, "farm submit infer --actor ada --model d") == ["demo-00000000"]
    assert complete(folder, "farm submit infer --actor bob --model ") == []
    assert set(complete(folder, "farm report ")) == {"cpu-1f3a9c20", "demo-00000000"}
    assert complete(folder, "farm submit train --preset p") == ["paper"]


def test_the_production_can_be_named(folder, tmp_path):
    assert complete(tmp_path, f"farm status -P {folder} ") == [job_of(folder)]


def test_where_nothing_can_be_read_nothing_is_said(tmp_path):
    for line in ("status ", "submit train --actor ", "submit infer --model ", "skip x "):
        assert complete(tmp_path, f"farm {line}") == []
    (tmp_path / "production.toml").write_text("name = ")
    assert complete(tmp_path, "farm status ") == []


def test_a_prompt_waits_for_nothing_heavy(folder):
    loads = f"import atexit, sys; atexit.register(lambda: print(*sys.modules)); {START}"
    loaded = complete(folder, "farm skip ", code=loads)
    assert job_of(folder) in loaded
    assert not set(loaded) & HEAVY


def test_the_shell_is_shown_how():
    done = subprocess.run(
        [sys.executable, "-c", START],
        env={**os.environ, "_FARM_COMPLETE": "source_bash"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "complete -o default -F _farm_completion farm" in done.stdout
