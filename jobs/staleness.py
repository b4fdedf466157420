"""Staleness: vertices of a model that has a successor, or was trained anew under its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from jobs.models import list_models, weights_of
from jobs.records import ShotRecord
from jobs.request import InferRequest, Request


def stale_models(store: Path, request: Request, shots: Iterable[ShotRecord]) -> dict[str, str]:
    """Of a request to solve shots: the newest model of each actor for whom it asked for an older one, or that very
    model where its weights are others by now than those that solved the shots."""
    if not isinstance(request, InferRequest):
        return {}
    now = weights_now(store, request)
    other = {actor for record in shots for actor in of_other_weights(record, now)}
    found = {actor: request.models[actor] for actor in sorted(other)}
    for actor, model in request.models.items():
        models = [m for m in list_models(store, [actor]) if m.cameras == request.cameras_of(actor)]
        ours = next((m for m in models if m.model == model), None)
        if ours is not None and models[0].model != model and models[0].date > ours.date:
            found[actor] = models[0].model
    return found


def weights_now(store: Path, request: InferRequest) -> dict[str, str]:
    """Of each actor the fingerprint of the weights that the request's model has now, where it is there."""
    found = {actor: weights_of(store, actor, model) for actor, model in request.models.items()}
    return {actor: weights for actor, weights in found.items() if weights is not None}


def of_other_weights(record: ShotRecord, now: Mapping[str, str]) -> set[str]:
    """The actor of a solved shot that other weights solved than its model has now: it was trained anew.

    Of shots whose record does not say which, nothing is known.
    """
    if record.state != "solved":
        return set()
    return {a for a, weights in record.weights.items() if now.get(a, weights) != weights}
