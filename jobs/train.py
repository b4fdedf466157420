"""Train: one model of one actor, from the store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from facecap_core.learning.config import parse
from facecap_core.learning.validated import held_shots, validated_on
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.models import model_facts
from jobs.records import Lot, ShotRecord
from jobs.request import Request, TrainRequest
from jobs.sentences import result_sentence
from jobs.shots import shot_of
from jobs.worker import Outcome, carry_out

if TYPE_CHECKING:
    from facecap_core.learning.training import TrainResult

UNCALIBRATED = (
    "too few validation frames: what this model solves will have no confidence"
    " -> give some shots split validation, then farm calibrate"
)


def train_model(ledger: Ledger, production: Production, request: Request, lot: Lot) -> ShotRecord:
    """Train the request's model and note it in the ledger; a killed training goes on where it was."""
    assert isinstance(request, TrainRequest)
    record = ledger.training()
    assert record is not None

    def task(on_progress: OnProgress, log: Log) -> Outcome:
        from facecap_core.learning.actor_training import (
            train_actor,  # torch, which the driver does without
        )

        asked, corrections = _as_asked(production, request, ledger), _corrections(request, ledger)
        for line in _told_before(request, asked, corrections):
            log.line(line)
        result = train_actor(
            asked,
            request.actor,
            parse(request.config),
            model=request.model,
            cameras=request.cameras,
            base=request.base.model if request.base else None,
            corrections=corrections,
            threads=lot.threads,
            on_progress=on_progress,
        )
        if request.base is not None:
            log.line(_beside_base(production, request.actor, request.base.model, request.model))
        figures = _figures(production, request, result)
        frames = sum(ledger.shot(name).frames or 0 for name in request.training)
        return Outcome(
            frames,
            figures=figures,
            sentence=f"{result.directory}: {result_sentence(figures)}",
            warnings=tuple(_warnings(result)),
        )

    return carry_out(ledger, record, lot, task)


def _warnings(result: TrainResult) -> Iterator[str]:
    for camera in result.unused:
        yield (
            f"camera {camera} decides nothing of what this model solves: its pictures are all alike, or its layers"
            " fell silent in training -> look at its footage, or train again with another seed (--set seed=1)"
            " or in smaller steps (--set optimizer.muon_learning_rate=0.005)"
        )
    if not result.calibrated:
        yield UNCALIBRATED


def _told_before(
    request: TrainRequest, asked: Production, corrections: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """What is learned from, for the log."""
    skipped = len(request.training) + len(request.validation) - len(asked.shots)
    yield (
        f"{len(request.training)} training and {len(request.validation)} validation shots"
        + (f", {skipped} of them skipped" if skipped else "")
    )
    if corrections:
        yield f"frames that artists corrected in {', '.join(corrections)}"
    if request.base is not None:
        yield f"starts from {request.base.model}"


def _figures(
    production: Production, request: TrainRequest, result: TrainResult
) -> dict[str, float]:
    """What the ledger keeps of the result, as far as it is known."""
    base_mm = math.nan
    if request.base is not None:
        before, after = (
            model_facts(production.store, request.actor, model)
            for model in (request.base.model, request.model)
        )
        if validated_on(before) == validated_on(after):  # else its log tells of shots in common
            base_mm = before["validation"].get("rmse_mm", math.nan)
    figures = {
        "training_rmse_mm": result.training_rmse_mm,
        "validation_rmse_mm": result.validation_rmse_mm,
        "base_validation_rmse_mm": base_mm,
        "seconds": result.seconds,
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _beside_base(production: Production, actor: str, base: str, model: str) -> str:
    """The errors of each validation shot that two models have: one hard shot may hide that all others gained."""
    facts = [model_facts(production.store, actor, name) for name in (base, model)]
    before, after = (told["validation"]["shots"] for told in facts)
    known, now = map(held_shots, facts)
    figures = [
        f"{shot} {before[shot]['rmse_mm']:.3f} -> {after[shot]['rmse_mm']:.3f} mm"
        for shot in after
        if known.get(shot) == now[shot]
    ]
    return f"validation, {base} -> {model}: {', '.join(figures) or 'no shot in common'}"


def _as_asked(production: Production, request: TrainRequest, ledger: Ledger) -> Production:
    """The production with the shots of the request alone, whatever was added to it since, without
    those that were skipped."""
    shots = {}
    for split, names in (("train", request.training), ("validation", request.validation)):
        for name in names:
            if ledger.shot(name).state == "skipped":
                continue
            shots[name] = shot_of(production, name).model_copy(update={"split": split})
    return production.model_copy(update={"shots": shots})


def _corrections(request: TrainRequest, ledger: Ledger) -> dict[str, tuple[str, ...]]:
    """Those of the request, without those of shots that were skipped."""
    return {
        shot: contents
        for shot, contents in request.corrections.items()
        if ledger.shot(shot).state != "skipped"
    }
