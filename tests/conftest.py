"""Shared by tests: a Ray head of the session's own, `farm` as a user runs it, stores to be broken."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# Threads that share the work of a tiny network wait for each other longer than they compute: on a
# busy machine twice as many were ten times slower. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HIDDEN = (
    "RAY_ADDRESS",
    "FARM_PRODUCTION",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
)
for name in HIDDEN:  # what a developer has set for work of their own
    os.environ.pop(name, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Whatever starts a Ray head is marked so: with other tests beside it, heads come up too late."""
    for item in items:
        if "farm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)


@dataclass(frozen=True)
class Farm:
    """Runs `farm` in a folder, with a state folder of its own."""

    home: Path

    def run(self, folder, *arguments, code=0, **environment):
        """Run it; returns stdout. `code` is the exit code that is expected."""
        variables = {k: v for k, v in os.environ.items() if k not in HIDDEN}
        variables.update(FARM_HOME=str(self.home), **environment)
        done = subprocess.run(
            [sys.executable, "-m", "farm.app", *map(str, arguments)],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code != 2 else done.stdout + done.stderr

    def main(self, folder, *arguments):
        """Run it in this process, which saves its start; returns the exit code."""
        from farm import app

        with pytest.MonkeyPatch.context() as patch:
            for name in HIDDEN:
                patch.delenv(name, raising=False)
            patch.setenv("FARM_HOME", str(self.home))
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["farm", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                app.main()
        return ended.value.code or 0


@pytest.fixture
def main(monkeypatch, capfd, tmp_path):
    """Runs `farm` in this process, in a folder; returns exit code, stdout, stderr."""
    monkeypatch.setenv("HOME", str(tmp_path))
    own = Farm(tmp_path / "home")

    def call(folder, *arguments):
        capfd.readouterr()
        code = own.main(folder, *arguments)
        return code, *capfd.readouterr()

    return call


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """A production in which `farm check` finds no fault; nobody changes it."""
    from checked_production import make_sound

    return make_sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def server():
    """A server with one empty bucket, see `s3_server`."""
    from s3_server import server_in_use

    with server_in_use() as server:
        yield server


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """What the writers of `crashing` read; nobody changes it."""
    from crashing import make_inputs

    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def filled(tmp_path_factory, inputs):
    """A store with an old version of all that they write, to be copied."""
    from crashing import make_store

    return make_store(tmp_path_factory.mktemp("filled") / "store", inputs)


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """One with nothing of it yet."""
    from crashing import make_store

    return make_store(tmp_path_factory.mktemp("bare") / "store", None)


@pytest.fixture(scope="session")
def farm(tmp_path_factory):
    """`farm` with a local head that is started on first use and ended with the session."""
    from farm.head import LocalHead

    home = tmp_path_factory.mktemp("farm_home")
    yield Farm(home)
    LocalHead(home).down()
