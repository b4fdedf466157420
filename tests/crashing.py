"""Crashing: every writer of a store as work that a test can break off at any of its steps."""

from __future__ import annotations

import functools
import hashlib
import itertools
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from tiny_model import CROP, save_tiny_model
from tiny_production import TEMPLATE, write_cache, write_video

from facecap_core import failpoints
from facecap_core.inference import infer_shot
from facecap_core.ingest import ingest_frames, ingest_targets
from facecap_core.learning.confidence import Confidence, Fit
from facecap_core.learning.model import save_model, set_confidence
from facecap_core.learning.novelty import FeatureSpace
from facecap_core.stores.groups import GroupReader
from facecap_core.stores.manifests import verify
from facecap_core.stores.versions import STALE_SECONDS
from facecap_core.template import read_template
from jobs.ledger import Ledger
from jobs.records import Driver, Lot, Process, ShotRecord
from jobs.request import IngestRequest
from jobs.worker import Outcome, carry_out

FRAMES = 66  # two chunks
FPS = Fraction(30)
VERSIONS = ("old", "new")

# Its processes are forked from one that has imported what takes long: a trial costs milliseconds.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "pytest",
        "facecap_core.inference",
        "facecap_core.ingest",
        "facecap_core.learning.training",
        "jobs.worker",
        "torch._dynamo",  # imported by the first step of an optimizer
    ]
)


@dataclass(frozen=True)
class Work:
    """What one writer does; `do(inputs, store, version)` returns whether it found its work done."""

    do: Callable[[Path, Path, str], bool]
    final: str  # what it makes, in the store
    steps: tuple[str, ...]  # all that it passes, in their order

    @property
    def is_folder(self) -> bool:
        return "directory.made" in self.steps

    @property
    def visible(self) -> int:
        """From this step on the new one is seen."""
        return len(self.steps) - 1


def make_inputs(folder: Path) -> Path:
    """Footage, a cache, and a model of either version."""
    for seed, version in enumerate(VERSIONS):
        write_video(folder / f"{version}.mp4", FRAMES, seed=seed)
        write_cache(folder / f"{version}.pc2", FRAMES, seed)
    (folder / "template.obj").write_text(TEMPLATE)
    save_tiny_model(folder / "model", read_template(folder / "template.obj"))
    return folder


# -- the writers ---------------------------------------------------------------------------------


def _frames(inputs, store, version):
    final = store / WORKS["frames"].final
    return ingest_frames(inputs / f"{version}.mp4", crop=CROP, fps=FPS, destination=final).reused


def _targets(inputs, store, version):
    return ingest_targets(
        inputs / f"{version}.pc2",
        template=read_template(inputs / "template.obj"),
        units="cm",
        fps=FPS,
        destination=store / WORKS["targets"].final,
        expected_frames=FRAMES,
    ).reused


def _vertices(inputs, store, version):
    return infer_shot(
        inputs / "model",
        {"center": inputs / f"{version}.mp4"},
        fps=FPS,
        destination=store / WORKS["vertices"].final,
        device="cpu",
        threads=1,
    ).reused


def _model(_inputs, store, version):
    weights = {"fc.weight": torch.full((50, 40), float(VERSIONS.index(version)))}
    save_model(
        store / WORKS["model"].final,
        weights,
        {"version": version},
        [{"epoch": version}],
        _confidence(version),
    )
    return False


def _calibration(_inputs, store, version):
    """Of a model that is there."""
    set_confidence(store / WORKS["model"].final, _confidence(version))
    return False


def _confidence(version):
    shapes = ((40,), (40, 8), (8,), (30, 8), (20, 8), (50,), ())
    number = 1.0 + VERSIONS.index(version)
    space = FeatureSpace(*(torch.full(shape, number) for shape in shapes))
    fit = Fit(4 * (number,), 4 * (number,), 4 * (1.0,), 2 * (number,))
    return Confidence((space,), {(0,): fit}, number, {})


REQUEST = IngestRequest(settings={}, actors=("ada",), shots=("s",))


def _ledger(store):
    return Ledger.create(store / "jobs", REQUEST)


def _request(_inputs, store, _version):
    _ledger(store)
    return False


def _record(_inputs, store, version):
    record = ShotRecord(name="s", stage="ingest", state="solved", frames=VERSIONS.index(version))
    Ledger(store / JOB).write(record)
    return False


def _driver(_inputs, store, version):
    process = Process(host=version * 50, pid=1, created=0.0)
    driver = Driver(attempt=VERSIONS.index(version), process=process, beat=0.0, started=0.0)
    Ledger(store / JOB).write_driver(driver)
    return False


def _shot(inputs, store, version):
    ledger = _ledger(store)

    def task(on_progress, log):
        return Outcome(FRAMES, _targets(inputs, store, version))

    return carry_out(ledger, ledger.shot("s"), Lot(threads=1), task).reused


FILE = ("file.made", "file.synced", "file.visible")
JOB = f"jobs/ingest-ada-{REQUEST.digest}"


def _folder(*inside):
    end = ("directory.synced", "directory.named", "directory.linked", "directory.visible")
    return ("directory.made", *inside, "directory.filled", *FILE, *end)


CHUNK = ("chunk.written",)
WORKS = {
    "frames": Work(_frames, "frames/s/center.zarr", _folder(*3 * CHUNK)),
    "targets": Work(_targets, "targets/s.zarr", _folder(*2 * CHUNK)),
    # Two chunks of positions, and one of each figure of its frames.
    "vertices": Work(_vertices, "vertices/ada/s.zarr", _folder(*5 * CHUNK)),
    "model": Work(_model, "models/ada/m", _folder(*4 * FILE)),
    "request": Work(_request, f"{JOB}/request.json", FILE),
    "record": Work(_record, f"{JOB}/shots/s.json", FILE),
    "driver": Work(_driver, f"{JOB}/driver.json", FILE),
}
FOLDERS = [name for name, work in WORKS.items() if work.is_folder]
FILES = ["record", "driver"]
REUSING = ["frames", "targets", "vertices"]
TARGETS = WORKS["targets"]
CALIBRATION = Work(_calibration, WORKS["model"].final, WORKS["model"].steps)
SHOT = Work(_shot, f"{JOB}/shots/s.json", (*FILE, *TARGETS.steps, *FILE))


def make_store(store: Path, inputs: Path | None) -> Path:
    """A store with a job and the old version of everything; without inputs, with the job alone."""
    _ledger(store)
    for work in WORKS.values() if inputs else ():
        work.do(inputs, store, "old")
    return store


def copy(store: Path, work: Work, to: Path) -> Path:
    """A copy of the part of the store that this work is about."""
    part = Path(work.final).parts[0]
    if (store / part).exists():
        shutil.copytree(store / part, to / part, symlinks=True)
    return to


# -- breaking off --------------------------------------------------------------------------------


@contextmanager
def armed(action: Callable[[int, str], None]) -> Iterator[None]:
    """Call `action` with number and name of every step within."""
    numbers = itertools.count()
    failpoints.arm(lambda step: action(next(numbers), step))
    try:
        yield
    finally:
        failpoints.arm(None)


def steps_of(function: Callable[[], object]) -> tuple[str, ...]:
    """The steps that it passes."""
    passed: list[str] = []
    with armed(lambda _, step: passed.append(step)):
        function()
    return tuple(passed)


def call_until(step: int, function: Callable[..., object], *arguments: object) -> None:
    """Call it in this process, which is killed at that step."""

    def kill(number: int, _: str) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with armed(kill):
        function(*arguments)


def in_process(function: Callable[..., object], *arguments: object) -> int:
    """Call it in a process of its own; its exit code, -9 when it was killed."""
    process = processes.Process(target=function, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


# -- looking -------------------------------------------------------------------------------------


def seen(store: Path, work: Work) -> object:
    """All that a reader finds of what the work makes, None where nothing is; it must be whole."""
    final = store / work.final
    if not os.path.lexists(final):
        return None
    if not work.is_folder:
        return final.read_text()
    assert verify(final) == []
    if final.suffix != ".zarr":
        return {file.name: _digest(file.read_bytes()) for file in final.iterdir()}
    reader = GroupReader(final)
    attributes = {name: value for name, value in reader.attributes.items() if name != "made"}
    arrays = {path.parent.name for path in final.glob("*/zarr.json")}
    return attributes, {name: _digest(reader.read(name).tobytes()) for name in sorted(arrays)}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.cache
def whole(inputs: Path, work: Work) -> dict[str | None, object]:
    """What is seen after undisturbed work of either version; None of nothing."""
    found: dict[str | None, object] = {None: None}
    for version in VERSIONS:
        store = inputs / "undisturbed" / f"{Path(work.final).parent.name}-{version}"
        _ledger(store)
        assert not work.do(inputs, store, version)
        found[version] = seen(store, work)
    return found


def version_of(store: Path, work: Work) -> str:
    """The name of the folder that is visible."""
    return os.path.basename(os.path.realpath(store / work.final))


def left_over(store: Path, work: Work) -> set[str]:
    """What lies beside the visible version: all but its manifest and the lock."""
    final = store / work.final
    if not work.is_folder:
        return set(os.listdir(final.parent)) - {"request.json", "shots", "logs", final.name}
    current = version_of(store, work)
    found = set(os.listdir(final.parent / ".versions"))
    assert {current, f"{current}.json"} <= found
    return found - {current, f"{current}.json", f"{final.name}.lock"}


def grow_old(store: Path, work: Work) -> None:
    """As if the readers of every replaced version had had their hour."""
    then = time.time() - STALE_SECONDS - 1
    for path in (store / work.final).parent.glob(".versions/*@*"):
        if not path.is_symlink():
            os.utime(path, (then, then))
