"""Hooks: a command of the user's own that runs when a job ends, kept for when that is tried again."""

from __future__ import annotations

import hashlib
import json
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


def keep(ledger: Ledger, command: list[str] | None) -> None:
    """Keep the command with which the user submitted a job, for `farm retry`; None: there is none now.

    It is kept in a file of this user's alone and not in the ledger: who can write the store shall not have commands
    run by others.
    """
    path = _kept_path(ledger)
    try:
        path.unlink(missing_ok=True)
        if command is None:
            return
        path.parents[1].mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.unlink(missing_ok=True)
        facts = {"schema_version": 1, "folder": str(ledger.folder.resolve()), "command": command}
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(partial, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(facts, file)
        os.replace(partial, path)
    except OSError as error:
        typer.echo(
            f"warning: --on-done is not kept for farm retry: {error.filename}: {error.strerror}",
            err=True,
        )


def kept(ledger: Ledger) -> list[str] | None:
    """The command with which this user submitted a job the last time; None where there was none.

    A file that another user owns or could have written counts for nothing.
    """
    try:
        with open(_kept_path(ledger), encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                return None
            facts = json.load(file)
        if facts["folder"] != str(ledger.folder.resolve()):
            return None
        return [str(word) for word in facts["command"]] or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _kept_path(ledger: Ledger) -> Path:
    from farm.head import LocalHead

    digest = hashlib.sha256(str(ledger.folder.resolve()).encode()).hexdigest()[:16]
    return LocalHead().home / "hooks" / f"{ledger.job}-{digest}.json"


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
