"""Preflight: what a submission would do, with what is visibly wrong before it does it."""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facecap_core.errors import FacecapError, StoreError
from facecap_core.files import store_error
from facecap_core.productions.production import Production
from facecap_core.stores.manifests import replaced, verify
from facecap_core.stores.object_folder import ArrayFolder, absent
from jobs.camera_lengths import length_warnings
from jobs.ledger import Ledger
from jobs.models import model_facts
from jobs.outputs import folder_of, outputs_of
from jobs.placement import Placement, placement
from jobs.records import Options
from jobs.request import InferRequest, OutputRequest, Request, TrainRequest, job_id
from jobs.shots import cameras_of, inputs_of, stores_of, wanted_cameras
from jobs.solved_footage import footage_warnings
from jobs.staleness import of_other_weights, weights_now

LEAST_FREE_BYTES = 2**30
FREE_BYTES_A_SHOT = 50 * 2**20

Action = Literal["decode", "solve", "train", "export", "review", "nothing"]
_ACTIONS: dict[str, Action] = {"infer": "solve", "export": "export", "review": "review"}


@dataclass(frozen=True)
class PlannedShot:
    """What would happen to one shot."""

    shot: str
    action: Action
    inputs: list[str]
    warning: str = ""
    bytes: int = 0  # that it reads; 0 where that is not known


@dataclass(frozen=True)
class Plan:
    """What a submission would do."""

    job: str
    kind: str
    shots: list[PlannedShot]
    model: str | None
    stages: dict[str, str]
    free_bytes: int
    known: bool
    state: str | None  # of the job, where it is known

    @property
    def to_do(self) -> int:
        return sum(shot.action != "nothing" for shot in self.shots)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes that each shot reads, of those that are to be done, as far as they are known."""
        return {shot.shot: shot.bytes for shot in self.shots if shot.bytes}

    @property
    def warnings(self) -> list[PlannedShot]:
        return [shot for shot in self.shots if shot.warning]


def preflight(
    production: Production,
    request: Request,
    options: Options,
    nodes: Sequence[Mapping[str, float]] | None,
) -> Plan:
    """Check a request against the production, the disk and the cluster.

    What is wrong with single shots becomes a warning: they fail by name and the others are solved.

    Args:
        nodes: of the cluster, see `placement`; None where no cluster is asked.

    Raises:
        NoSuchResources: no machine of the cluster could run it.
        StoreError: the store cannot be written, its disk is nearly full, or the bucket of the arrays
            cannot be used.
    """
    production.paths.check_arrays()
    ledger = Ledger(production.paths.jobs / job_id(request))
    known = (ledger.folder / "request.json").exists()
    missing = set(missing_shots(production, request, ledger)) if known else set(request.shots)
    action = _ACTIONS.get(request.kind, "decode")
    needed, later = _needed_cameras(production, request), _solved_later(production, request)
    looks = {name: _look(production, request, name, needed, later) for name in missing}
    if isinstance(request, OutputRequest):
        # Of files that are there already too: they may be of other pictures than the footage has now.
        there = [name for name in request.shots if name not in later]
        looks |= {name: (told, 0) for name, told in footage_warnings(production, there).items()}
    else:
        whole = [name for name in request.shots if name in looks and not looks[name][0]]
        for name, told in length_warnings(production, request, whole).items():
            looks[name] = (told, looks[name][1])
    shots = [
        PlannedShot(
            name,
            action if name in missing else "nothing",
            _reads(production, request, name),
            *looks.get(name, ()),
        )
        for name in request.shots
    ]
    return Plan(
        job=job_id(request),
        kind=request.kind,
        shots=shots,
        model=request.model if isinstance(request, TrainRequest) else None,
        stages={} if nodes is None else {k: str(v) for k, v in _stages(request, options, nodes)},
        free_bytes=_free(production, request, len(missing)),
        known=known,
        state=ledger.status().state if known else None,
    )


def check_placement(
    request: Request, options: Options, nodes: Sequence[Mapping[str, float]]
) -> None:
    """That part of `preflight` which the cluster decides, without looking at every shot again.

    Raises:
        NoSuchResources: no machine of the cluster could run it.
    """
    _stages(request, options, nodes)


def missing_shots(production: Production, request: Request, ledger: Ledger) -> list[str]:
    """The request's shots that are not solved, or whose output is gone, visibly incomplete, or was replaced
    since by another job, of another model or another crop; or whose model was trained anew, to other weights.

    Shots that shall be skipped are not missing.
    """
    outputs: dict[str, list[ArrayFolder]] = {}
    versions: dict[ArrayFolder, str] = {}
    skipped = set()
    weights = weights_now(production.store, request) if isinstance(request, InferRequest) else {}
    for name in request.shots:
        record = ledger.shot(name)
        if of_other_weights(record, weights):
            continue
        if record.state == "solved" and isinstance(request, OutputRequest):
            if _is_there(production, request, name):
                outputs[name] = []
        elif record.state == "solved":
            stores = stores_of(production, request, name)
            outputs[name] = list(stores.values())
            versions |= {
                stores[s]: version for s, version in record.store_versions.items() if s in stores
            }
        elif record.state == "skipped":
            skipped.add(name)
    gone = absent(path for paths in outputs.values() for path in paths)
    gone |= replaced({path: version for path, version in versions.items() if path not in gone})
    for path in {path for paths in outputs.values() for path in paths} - gone:
        if isinstance(path, Path) and verify(path, contents=False):
            gone.add(path)
    return [
        name
        for name in request.shots
        if name not in skipped and (name not in outputs or not gone.isdisjoint(outputs[name]))
    ]


def training_missing(production: Production, request: TrainRequest, ledger: Ledger) -> bool:
    """Whether the request's model has yet to be trained."""
    record = ledger.training()
    model = production.paths.model(request.actor, request.model) / "model.json"
    return record is None or record.state != "solved" or not model.exists()


def _stages(
    request: Request, options: Options, nodes: Sequence[Mapping[str, float]]
) -> list[tuple[str, Placement]]:
    if isinstance(request, TrainRequest):
        kinds = ["ingest", "train"]
    else:
        kinds = [request.kind]
    return [(kind, placement(kind, options, nodes)) for kind in kinds]


def _needed_cameras(production: Production, request: Request) -> dict[str, tuple[str, ...]]:
    """By actor, the cameras without any one of which the request can do nothing with a shot.

    None where some may be missing, and none of a model that is still to be made.
    """
    if isinstance(request, TrainRequest):
        return {request.actor: request.cameras}
    needed: dict[str, tuple[str, ...]] = {}
    if not isinstance(request, InferRequest):
        return needed
    for actor, model in request.models.items():
        try:
            facts = model_facts(production.store, actor, model)
        except (OSError, ValueError):
            continue
        if not ((facts.get("config") or {}).get("network") or {}).get("view_dropout"):
            needed[actor] = request.cameras_of(actor)
    return needed


def _solved_later(production: Production, request: Request) -> frozenset[str]:
    """The shots that the job which is to be done before has yet to solve."""
    if isinstance(request, OutputRequest) and request.solved_by:
        before = Ledger(production.paths.jobs / request.solved_by)
        with contextlib.suppress(FacecapError):  # its ledger is gone, and it solves nothing more
            shots = before.request().shots
            return frozenset(name for name in shots if before.shot(name).state != "solved")
    return frozenset()


def _look(
    production: Production,
    request: Request,
    name: str,
    needed: Mapping[str, tuple[str, ...]],
    later: Collection[str],
) -> tuple[str, int]:
    """What is visibly wrong with a shot, and the bytes that it reads, 0 where that is not known.

    Args:
        needed: see `_needed_cameras`.
        later: see `_solved_later`.
    """
    shot = production.shots.get(name)
    if shot is None:
        return "is not in shots.csv", 0
    if isinstance(request, OutputRequest):
        solved = production.paths.vertices(shot.actor, name).exists()
        return "" if solved or name in later else "is not solved", 0
    if not cameras_of(production, request, shot):
        return f"has no footage of {' or '.join(wanted_cameras(production, request, shot))}", 0
    absent_cameras = [c for c in needed.get(shot.actor, ()) if c not in shot.footage]
    if absent_cameras:
        return f"has no footage of {' and '.join(absent_cameras)}", 0
    sizes: list[int] = []
    for path in inputs_of(production, request, name):
        if "%" in path.name:
            if not path.parent.is_dir():
                return f"{path.parent}: no such folder", 0
            sizes.append(0)
            continue
        try:
            status = path.stat()  # once: there may be thousands, on a network file system
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return f"{path}: no such file", 0
        except OSError as error:
            return f"{path}: {error.strerror}", 0
        whole = stat.S_ISREG(status.st_mode)  # a folder's own size says nothing
        if whole and status.st_size == 0:
            return f"{path}: is empty", 0
        sizes.append(status.st_size if whole else 0)
    return "", sum(sizes) if all(sizes) else 0


def _reads(production: Production, request: Request, name: str) -> list[str]:
    if isinstance(request, OutputRequest):
        shot = production.shots.get(name)
        return [] if shot is None else [str(production.paths.vertices(shot.actor, name))]
    return [str(path) for path in inputs_of(production, request, name)]


def _is_there(production: Production, request: OutputRequest, name: str) -> bool:
    try:
        return not outputs_of(production, request, name).damages(contents=False)
    except FacecapError:  # its vertices are gone; whoever does the shot says it
        return False


def _free(production: Production, request: Request, shots: int) -> int:
    """Bytes that are free where the job writes, which must be enough to begin with."""
    if isinstance(request, OutputRequest):
        _check_free(folder_of(production, request), shots, "name another folder with --out")
        shots = 0
    elif production.arrays:
        shots = 0
    remedy = "set store in production.toml to a larger disk"
    return _check_free(production.store, shots, remedy)


def _check_free(place: Path, shots: int, remedy: str) -> int:
    folder = place
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise store_error(error, place) from error
    if free < min(LEAST_FREE_BYTES, FREE_BYTES_A_SHOT * max(1, shots)):
        raise StoreError(
            f"its disk has only {free / 2**20:.0f} MiB left",
            remedy=f"free some space, or {remedy}",
            file=place,
        )
    return free
