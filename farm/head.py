"""Head: a Ray head of this user on this machine, on the loopback address only, with a token."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from facecap_core.errors import FacecapError
from facecap_core.files import write_text_atomically
from farm.cluster import Cluster
from farm.head_process import end_head, start_head
from jobs.processes import known_dead, process_of, this_host
from jobs.records import Process

HOME_VARIABLE = "FARM_HOME"
START_SECONDS = 120.0
ANSWER_SECONDS = 30.0
LOOK_SECONDS = 0.1
LONGEST_TEMPORARY = 44
"""Ray puts sockets 63 characters deeper, and a Unix socket's path may have 107."""


class HeadError(FacecapError, RuntimeError):
    """The local head does not start."""


class HeadState(BaseModel):
    """What head.json says of a running head."""

    model_config = ConfigDict(frozen=True)

    address: str
    dashboard: str
    process: Process
    folder: str
    log: str
    schema_version: int = 1


class LocalHead:
    """The head of this machine and one state folder; several folders (FARM_HOME) can have one each."""

    def __init__(self, home: Path | None = None) -> None:
        named = os.environ.get(HOME_VARIABLE)
        self.home = Path(home or named or Path.home() / ".facecap").absolute()

    @property
    def token_path(self) -> Path:
        return self.home / "ray_token"

    @property
    def state_path(self) -> Path:
        return self._folder / "head.json"

    @property
    def log_path(self) -> Path:
        return self._folder / "head.log"

    @property
    def _folder(self) -> Path:
        return self.home / "heads" / this_host()  # home folders are often shared by machines

    def state(self) -> HeadState | None:
        """The running head, or None."""
        try:
            state = HeadState.model_validate_json(self.state_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return None if known_dead(state.process) else state

    def cluster(self) -> Cluster | None:
        """The running head as a cluster, or None."""
        state = self.state()
        if state is None:
            return None
        return Cluster(state.dashboard, self._token(), local=True)

    def up(self, *, cpus: int | None = None, gpus: int | None = None) -> HeadState:
        """Start the head unless it runs, and wait until it takes jobs.

        Raises:
            HeadError: it does not start.
        """
        with self._lock():
            found = self.state()
            if found is None:
                return self._start(cpus, gpus)
            # A busy machine answers late: a head with jobs on it is never taken for a dead one.
            deadline = time.monotonic() + ANSWER_SECONDS
            while not Cluster(found.dashboard, self._token()).answers():
                if time.monotonic() > deadline:
                    raise HeadError(
                        f"the local Ray head runs but does not answer at {found.dashboard}",
                        remedy="end it with farm down, which interrupts its jobs, and start again",
                        file=found.log,
                    )
                time.sleep(0.5)
            return found

    def down(self) -> bool:
        """End this head with everything it started; False when none runs. No other Ray is touched."""
        with self._lock():
            state = self.state()
            if state is not None:
                end_head(state.process.pid, state.folder)
                shutil.rmtree(Path(state.folder).parent, ignore_errors=True)
            self.state_path.unlink(missing_ok=True)
            return state is not None

    # -- the process ---------------------------------------------------------------------------

    def _start(self, cpus: int | None, gpus: int | None) -> HeadState:
        token, folder = self._token(), self._temporary()
        log = self.log_path
        started = start_head(
            home=self.home,
            token_path=self.token_path,
            folder=folder,
            log=log,
            cpus=cpus,
            gpus=gpus,
        )
        keeper = process_of(started.process.pid)
        if keeper is None:
            raise HeadError("the local Ray head ended at once", remedy=f"see {log}", file=log)
        state = HeadState(
            address=started.address,
            dashboard=started.dashboard,
            process=keeper,
            folder=str(folder),
            log=str(log),
        )
        # Written before it is ready, so that `farm down` finds it whatever happens from here on.
        write_text_atomically(self.state_path, state.model_dump_json(indent=1) + "\n")
        try:
            self._wait(started.process, Cluster(started.dashboard, token), log)
        except BaseException:
            end_head(state.process.pid, state.folder)
            self.state_path.unlink(missing_ok=True)
            raise
        return state

    def _wait(self, process: subprocess.Popen[bytes], cluster: Cluster, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            # The dashboard answers before the machine is registered.
            if cluster.answers() and cluster.nodes():
                return
            time.sleep(LOOK_SECONDS)
        tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        raise HeadError(
            "the local Ray head does not start: " + " | ".join(tail),
            remedy=f"see {log}",
            file=log,
        )

    # -- files ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._folder / "head.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HeadError(
                f"cannot write: {error.strerror}",
                remedy=f"make it writable, or set {HOME_VARIABLE} to a folder that is",
                file=self.home,
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _token(self) -> str:
        """The token, made on first use and readable by this user only."""
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(self.token_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
        if self.token_path.stat().st_mode & 0o077:
            self.token_path.chmod(0o600)
        return self.token_path.read_text(encoding="ascii").strip()

    def _temporary(self) -> Path:
        """A fresh folder for Ray's session, closed to others (Ray opens its own to everyone)."""
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:8]
        base = Path(tempfile.gettempdir())
        name = f"farm-{os.getuid()}-{digest}"
        if len(str(base / name)) > LONGEST_TEMPORARY - 2:
            base = Path("/tmp")
        outer = base / name
        with contextlib.suppress(FileExistsError):
            outer.mkdir(mode=0o700)
        if outer.is_symlink() or outer.stat().st_uid != os.getuid():
            raise HeadError("belongs to another user", remedy="set TMPDIR", file=outer)
        outer.chmod(0o700)
        shutil.rmtree(outer / "r", ignore_errors=True)
        return outer / "r"
