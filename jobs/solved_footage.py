"""Solved footage: whether the pictures that a shot was solved from are still those of the production."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from facecap_core.errors import FacecapError, FootageMissing
from facecap_core.fingerprints import fingerprint_footage
from facecap_core.names import is_name
from facecap_core.productions.production import Production
from jobs.inputs import stamp
from jobs.ledger import Ledger
from jobs.shots import footage_of, numbers_of


def footage_warnings(production: Production, shots: Iterable[str]) -> dict[str, str]:
    """What is to be said of solved shots whose footage was replaced since, by shot; others have no entry.

    Footage with the names, sizes and times by which its job knew it counts as the same, unread: there may be
    hundreds of sequences. Of footage that is gone nothing is said, nor of shots that are not solved.
    """
    jobs: dict[str, Ledger] = {}
    found = {}
    for shot in shots:
        replaced = _replaced(production, shot, jobs)
        if replaced:
            of = f" of {' and '.join(replaced)}" if len(production.shots[shot].footage) > 1 else ""
            found[shot] = (
                f"its footage{of} is another file than the one that was solved"
                " -> solve it again, if the pictures differ"
            )
    return found


def _replaced(production: Production, name: str, jobs: dict[str, Ledger]) -> list[str]:
    """The cameras that the shot was solved from whose footage has other content now."""
    from facecap_core.solved_shot import (
        fingerprints_solved,  # Zarr, which other requests do without
    )
    from facecap_core.stores.groups import open_vertices

    shot = production.shots.get(name)
    if shot is None:
        return []
    try:
        facts = open_vertices(production.paths.vertices(shot.actor, name)).attributes
    except FacecapError:  # whoever reads the vertices says so
        return []
    job, main = facts.get("job"), production.actors[shot.actor].main_camera
    if isinstance(job, str) and is_name(job):
        ledger = jobs.setdefault(job, Ledger(production.paths.jobs / job))
        if _as_then(production, name, ledger):
            return []
    return [
        camera
        for camera, fingerprint in fingerprints_solved(facts, main).items()
        if fingerprint is not None
        and camera in shot.footage
        and _differs(shot.footage[camera], fingerprint)
    ]


def _as_then(production: Production, name: str, ledger: Ledger) -> bool:
    """Whether the files that the job read have the names, sizes and times that they had then."""
    try:
        request = ledger.request()
    except FacecapError:
        return False
    now = stamp(footage_of(production, request, name), numbers_of(production, request, name))
    return request.inputs.get(name) == now


def _differs(footage: Path, fingerprint: str) -> bool:
    try:
        return fingerprint_footage(footage) != fingerprint
    except FootageMissing:  # whoever decodes it says so
        return False
