"""Preempted training: killed at any step of writing or at any moment, it ends with the same bits."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from crashing import WORKS, call_until, in_process, processes, steps_of
from safetensors import safe_open
from test_training import assert_same_bits, config, examples, run, weights

from facecap_core import failpoints
from facecap_core.learning.checkpoint import load_checkpoint
from facecap_core.learning.run import Run
from facecap_core.stores.manifests import verify


def go_on(folder):
    """Train to the end, the state on disk after every step."""
    run(folder, config(), checkpoint_seconds=0)


def call_until_model(step, folder):
    """Go on, and be killed at that step of writing the model."""
    passed = []

    def kill(name):
        if passed or name == "directory.made":
            passed.append(name)
        if len(passed) > step:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.arm(kill)
    go_on(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed run, and the steps of writing that it passed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, steps_of(lambda: go_on(folder))


@pytest.fixture(scope="module")
def blank():
    """What a state is restored into."""
    return Run(examples(120, 0), None, config(), np.arange(30), torch.device("cpu"))


def steps_done(folder, blank):
    """How far the state on disk is, -1 where there is none; it must be whole."""
    path = folder / "state" / "state.safetensors"
    if not path.exists():
        assert load_checkpoint(path, "", blank.network, blank.optimizers, blank.average) is None
        return -1
    with safe_open(path, framework="pt") as file:
        key = json.loads(file.metadata()["position"])["key"]
    position = load_checkpoint(path, key, blank.network, blank.optimizers, blank.average)
    assert position is not None
    return position.step


def calibration(folder):
    """Of its model, all of it."""
    facts = json.loads((folder / "model" / "model.json").read_text())
    return facts["confidence"], (folder / "model" / "confidence.safetensors").read_bytes()


def test_killed_at_steps_of_writing_the_state(tmp_path, whole, blank):
    undisturbed, steps = whole
    assert steps[:3] == ("file.made", "file.synced", "file.visible")
    done = -1
    for step in range(12):  # each life takes up where the last one was killed
        assert in_process(call_until, step, go_on, tmp_path) == -signal.SIGKILL
        now = steps_done(tmp_path, blank)
        # At its third step a state is visible; three more may be the metrics'.
        assert now > done if step >= 5 else now >= done
        done = now
    go_on(tmp_path)
    assert_same_bits(weights(undisturbed), weights(tmp_path))
    assert os.listdir(tmp_path / "state") == ["metrics.jsonl"], "nothing half written is left"


def test_killed_at_steps_of_writing_the_model(tmp_path, whole, blank):
    undisturbed, steps = whole
    model = WORKS["model"].steps
    assert steps[-len(model) :] == model
    for step in range(len(model)):
        assert in_process(call_until_model, step, tmp_path) == -signal.SIGKILL
        assert (tmp_path / "model").exists() == (step >= len(model) - 1)
        assert steps_done(tmp_path, blank) == 23, "the state goes when the model is there"
    for _ in range(2):
        assert verify(tmp_path / "model") == []
        assert_same_bits(weights(undisturbed), weights(tmp_path))
        assert calibration(undisturbed) == calibration(tmp_path)
        go_on(tmp_path)


def test_killed_at_random_moments(tmp_path, whole, blank):
    moments, done = random.Random(3), -1
    for _ in range(8):
        process = processes.Process(target=go_on, args=(tmp_path,))
        process.start()
        time.sleep(moments.uniform(0, 0.5))
        with contextlib.suppress(ProcessLookupError):  # it may have come to its end
            os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        now = steps_done(tmp_path, blank)
        if (tmp_path / "model").exists():
            break
        assert now >= done, "an older state came back"
        done = now
    go_on(tmp_path)
    assert verify(tmp_path / "model") == []
    assert_same_bits(weights(whole[0]), weights(tmp_path))
    assert calibration(whole[0]) == calibration(tmp_path)
