"""Staleness: vertices of a model that has a successor."""

from __future__ import annotations

from pathlib import Path

from jobs.models import list_models
from jobs.request import InferRequest, Request


def stale_models(store: Path, request: Request) -> dict[str, str]:
    """Of a request to solve shots: the newest model of each actor for whom it asked for an older one."""
    if not isinstance(request, InferRequest):
        return {}
    found = {}
    for actor, model in request.models.items():
        models = [m for m in list_models(store, [actor]) if m.cameras == request.cameras_of(actor)]
        ours = next((m for m in models if m.model == model), None)
        if ours is not None and models[0].model != model and models[0].date > ours.date:
            found[actor] = models[0].model
    return found
