"""Threads that wait for each other do not keep others from the processor."""

import os
import subprocess
import sys

import pytest

from jobs.patience import SPINS, wait_without_spinning


def shown(code, **said):
    """What libgomp says of its settings once torch is loaded."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE", **said}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return ran.stderr


def test_libgomp_hears_of_it():
    by_itself = shown("import torch")
    if "GOMP_SPINCOUNT" not in by_itself:
        pytest.skip("torch waits by another library than libgomp here")
    assert f"GOMP_SPINCOUNT = '{SPINS}'" not in by_itself
    code = "from jobs.patience import wait_without_spinning as w; w(); import torch"
    assert f"GOMP_SPINCOUNT = '{SPINS}'" in shown(code)


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_what_the_user_says_stays(name):
    environment = {name: "17"}
    wait_without_spinning(environment)
    assert environment == {name: "17"}
