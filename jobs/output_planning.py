"""Output planning: from a production and a user's choice to a request for files of solved shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facecap_core.errors import StoreError
from facecap_core.productions.production import Production
from jobs.inputs import MISSING
from jobs.job_settings import actors_of, settings_of
from jobs.ledger import Ledger
from jobs.request import ExportRequest, InferRequest, OutputRequest, ReviewRequest


def plan_export(
    production: Production, shots: Sequence[str], *, after: Ledger | None = None, **options: Any
) -> ExportRequest:
    """Export these shots.

    Args:
        after: a job that ends before; of one that solves, the vertices that it makes are taken.
        options: the other fields of `ExportRequest`.
    """
    request = ExportRequest(**_usual(production, shots, after), **options)
    return request.model_copy(update={"inputs": _vertices(production, request)})


def plan_review(
    production: Production, shots: Sequence[str], *, after: Ledger | None = None, **options: Any
) -> ReviewRequest:
    """Draw these shots; arguments as for `plan_export`."""
    request = ReviewRequest(**_usual(production, shots, after), **options)
    return request.model_copy(update={"inputs": _vertices(production, request)})


def solved_by(after: Ledger | None) -> InferRequest | None:
    """What a job that ends before will have solved; None where it does something else."""
    request = after.request() if after is not None else None
    return request if isinstance(request, InferRequest) else None


def _usual(production: Production, shots: Sequence[str], after: Ledger | None) -> dict[str, Any]:
    """What both kinds of request say."""
    actors = actors_of(production, shots)
    return {
        "settings": settings_of(production, actors),
        "actors": tuple(actors),
        "shots": tuple(shots),
        "solved_by": after.job if after is not None and solved_by(after) else "",
    }


def _vertices(production: Production, request: OutputRequest) -> dict[str, str]:
    """What each shot's vertices are; of those that are solved only now, nothing is known yet."""
    if request.solved_by:
        return {}
    from facecap_core.solved_shot import vertices_identity  # Zarr, which other requests do without

    found = {}
    for shot in request.shots:
        try:
            found[shot] = vertices_identity(production, shot, corrected=request.corrected)
        except StoreError:
            found[shot] = MISSING
    return found
