"""Hooks: a command of the user's own that runs when a job ends."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import typer

from facecap_core.errors import ConfigError
from farm.exit_codes import OF_JOB_STATE
from jobs.ledger import Ledger
from jobs.records import JobStatus

LOG_NAME = "on-done.log"


def words(command: str) -> list[str]:
    """A command as its words; no shell ever reads it.

    Raises:
        ConfigError: there is no such command on this machine.
    """
    try:
        found = shlex.split(command)
    except ValueError as error:
        raise ConfigError(
            f"--on-done {command!r} cannot be read: {error}", remedy="close its quotes"
        ) from error
    if not found:
        raise ConfigError("--on-done is empty", remedy="give a command, e.g. 'notify-send done'")
    if shutil.which(found[0]) is None:
        raise ConfigError(
            f"--on-done: there is no command {found[0]!r} on this machine",
            remedy="install it, or write its whole path; for pipes and && give"
            " --on-done 'sh -c \"…\"'",
        )
    return found


def run_hook(command: list[str], status: JobStatus) -> None:
    """Run a hook for a job that ended; what it prints goes to stderr, and its failure is a warning."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **told(status)},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            check=False,
        )
    except OSError as error:
        typer.echo(f"warning: --on-done: {command[0]}: {error.strerror}", err=True)
        return
    if done.returncode:
        typer.echo(f"warning: --on-done: {command[0]} ended with {done.returncode}", err=True)


def told(status: JobStatus) -> dict[str, str]:
    """What a hook finds in its environment."""
    return {
        "FARM_JOB": status.job,
        "FARM_KIND": status.kind,
        "FARM_STATE": status.state,
        "FARM_SHOTS": str(len(status.shots)),
        "FARM_SOLVED": str(status.counts["solved"]),
        "FARM_FAILED": str(status.counts["failed"]),
        "FARM_EXIT_CODE": str(OF_JOB_STATE[status.state]),
    }


def wait_in_background(
    ledger: Ledger, production: Path, command: list[str]
) -> subprocess.Popen[bytes]:
    """Start a process of its own that waits for the job and runs the hook; its log is beside the job's."""
    waiting = [sys.executable, "-P", "-m", "farm.app", "wait", ledger.job]
    waiting += ["--production", str(production), "--on-done", shlex.join(command)]
    with open(ledger.folder / LOG_NAME, "ab") as file:
        # A session of its own outlives the terminal that the job was submitted from.
        return subprocess.Popen(
            waiting,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
