"""Verification: every byte that a job stored, against what was written."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from facecap_core.errors import FacecapError, StoreError
from facecap_core.productions.production import Production
from facecap_core.stores.manifests import size_of, verify
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.stores.paths import CALIBRATION
from facecap_core.template import Template, read_template
from jobs.corrections import lost_corrections
from jobs.ledger import Ledger
from jobs.outputs import outputs_of
from jobs.records import Cause, ShotRecord
from jobs.request import OutputRequest, TrainRequest
from jobs.shots import stores_of


@dataclass(frozen=True)
class Damage:
    """One part of a store that is not as it was written; `frames` are a chunk's first and last."""

    shot: str
    store: str
    part: str
    what: str
    frames: tuple[int, int] | None = None
    remedy: str = ""  # empty: `farm retry` makes it again

    def __str__(self) -> str:
        frames = "" if self.frames is None else f", frames {self.frames[0]} to {self.frames[1]}"
        part = f" {self.part}" if self.part else ""
        return f"{self.store}{part}{frames}: {self.what}"


@dataclass(frozen=True)
class Verified:
    """What was found of one shot, or of a training's model."""

    shot: str
    files: int = 0
    bytes: int = 0
    damages: list[Damage] = field(default_factory=list)

    @property
    def to_retry(self) -> list[Damage]:
        """What the job can make again."""
        return [damage for damage in self.damages if not damage.remedy]


def verify_job(production: Production, ledger: Ledger) -> Iterator[Verified]:
    """Read everything that a job's solved shots (and its training) stored, one after the other.

    Shots that shots.csv has no more are passed over: whose they were is not known, and no job could make them again.
    """
    request = ledger.request()
    for name in request.shots:
        if name not in production.shots or ledger.shot(name).state != "solved":
            continue
        if isinstance(request, OutputRequest):
            yield _verified_outputs(production, request, name)
        else:
            yield _verified(name, stores_of(production, request, name))
    training = ledger.training()
    if isinstance(request, TrainRequest) and training is not None and training.state == "solved":
        model = production.paths.model(request.actor, request.model)
        yield _with_calibration(_verified(training.name, {"model": model}), request)


def verify_corrections(production: Production, shots: Collection[str] | None) -> Iterator[Verified]:
    """Read what artists corrected in these shots (None: in all), which no job could make again; what is gone
    without a trace is told as far as a model remembers it."""
    from facecap_core.corrections.correction_check import check_corrections, corrected_shots

    templates: dict[str, Template] = {}
    lost = {
        (actor, shot): what
        for actor in production.actors
        for shot, what in lost_corrections(production, actor).items()
    }
    for actor, shot in sorted({*corrected_shots(production.paths), *lost}):
        if shots is not None and shot not in shots:
            continue
        if actor in production.actors and actor not in templates:
            templates[actor] = read_template(production.actors[actor].template)
        checked = check_corrections(production, actor, shot, templates.get(actor))
        damages = [
            Damage(shot, f"correction {f.number}", f.part, f.what, f.frames, f.remedy)
            for f in checked.faults
        ]
        if (actor, shot) in lost:
            folder = production.paths.corrections(actor, shot)
            remedy = (
                f"put {folder} back from a backup, or hand the file in again: farm correct {shot} FILE"
                " (a model that is trained anew learns without them)"
            )
            damages.append(Damage(shot, "corrections", "", lost[actor, shot], remedy=remedy))
        if checked.count or damages:
            yield Verified(shot, checked.files, checked.bytes, damages)


def mark_damaged(ledger: Ledger, verified: Verified) -> None:
    """Let a shot with damage count as failed, so that `farm retry` makes it again."""
    damages = verified.to_retry
    if not damages:
        return
    training = ledger.training()
    record: ShotRecord
    if training is not None and training.name == verified.shot:
        record = training
    else:
        record = ledger.shot(verified.shot)
    more = len(damages) - 1
    message = f"{damages[0]}" + (f", with {more} more" if more else "")
    cause = Cause(
        type="Damaged",
        message=f"damaged in the store: {message}",
        remedy=f"farm retry {ledger.job}",
    )
    ledger.write(
        record.model_copy(update={"state": "failed", "cause": cause, "ended": time.time()})
    )


def _verified_outputs(production: Production, request: OutputRequest, name: str) -> Verified:
    """The files beside their record; those of vertices that changed since are out of date."""
    try:
        outputs = outputs_of(production, request, name)
        found = outputs.damages()
    except FacecapError as error:
        if getattr(error, "transient", False):
            raise
        return Verified(name, damages=[Damage(name, "vertices", "", str(error))])
    folder = str(outputs.folder)
    damages = [Damage(name, folder, damage.part, damage.what) for damage in found]
    return Verified(name, *outputs.size(), damages)


def _with_calibration(verified: Verified, request: TrainRequest) -> Verified:
    """A calibration is made anew without another training."""
    remedy = f"farm calibrate {request.model} --actor {request.actor}"
    damages = [
        replace(damage, remedy=remedy) if damage.part == CALIBRATION else damage
        for damage in verified.damages
    ]
    return replace(verified, damages=damages)


def _verified(name: str, stores: dict[str, ArrayFolder]) -> Verified:
    files, size, damages = 0, 0, []
    for store, path in stores.items():
        counted = size_of(path)
        files, size = files + counted[0], size + counted[1]
        try:
            found = verify(path)
        except StoreError as error:
            if error.transient:  # the network's fault, and no word about the shot
                raise
            damages.append(Damage(name, store, "", str(error.fault)))
            continue
        damages += [Damage(name, store, d.part, d.what, d.frames) for d in found]
    return Verified(name, files, size, damages)
