"""Corrections: those of artists that a training learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from facecap_core.errors import StoreError
from facecap_core.names import is_name
from facecap_core.productions.production import Production, Shot
from jobs.models import list_models, model_facts

if TYPE_CHECKING:
    from facecap_core.corrections.correction import Correction


def corrections_to_learn(
    production: Production, actor: str, cameras: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Of each shot the contents of the corrections that count, the oldest first; and why others are left out.

    Not those of validation shots, or errors would be measured on frames that were learned.

    Raises:
        StoreError: one is damaged, or its shot has other footage now.
    """
    if not any(production.paths.corrections(actor, "").glob("*")):
        return {}, {}
    from facecap_core.corrections.correction import (
        standing,  # Zarr, which most submissions do without
    )

    chosen: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, str] = {}
    for shot in production.shots_of(actor):
        found = standing(production.paths, actor, shot.name)
        missing = [camera for camera in cameras if camera not in shot.footage]
        if not found:
            continue
        if shot.split == "validation":
            left_out[shot.name] = "is a validation shot"
        elif missing:
            left_out[shot.name] = f"has no footage of {' and '.join(missing)}"
        else:
            for correction in found:
                _check_footage(shot, correction)
            chosen[shot.name] = tuple(correction.content for correction in found)
    return chosen, left_out


def lost_corrections(production: Production, actor: str) -> dict[str, str]:
    """Of each shot what is gone from the store of the corrections that the actor's newest model learned from.

    When all of a shot's folder is gone, nothing else knows that there was a correction. Those that were taken out
    are there. A shot of which one is damaged is passed over: that is told, and it may be the one.

    Raises:
        StoreError: a file cannot be read for now.
    """
    models = list_models(production.store, [actor])
    facts = model_facts(production.store, actor, models[0].model) if models else {}
    learned = (facts.get("training") or {}).get("corrections") or {}
    if not learned:
        return {}
    from facecap_core.corrections.correction import read_correction, written_numbers

    lost = {}
    for shot, contents in learned.items():
        if not is_name(shot):  # written by whom? It is no folder of ours
            continue
        numbers = written_numbers(production.paths, actor, shot)
        try:
            every = [read_correction(production.paths, actor, shot, one) for one in numbers]
        except StoreError as error:
            if error.transient:
                raise
            continue
        gone = len(set(contents) - {one.content for one in every})
        if gone:
            lost[shot] = f"{gone} of those that {models[0].model} learned from are gone"
    return lost


def _check_footage(shot: Shot, correction: Correction) -> None:
    """It is of the pictures that the shot has now."""
    from facecap_core.corrections.correction_check import is_of_footage

    if not is_of_footage(shot, correction):
        raise StoreError(
            f"correction {correction.number} of {shot.name} was made for other footage than the shot has now",
            remedy=f"farm correct {shot.name} --remove {correction.number}, or --without-corrections",
            file=correction.store.path,
        )
