"""Shots: what a request means for one shot of the production."""

from __future__ import annotations

from pathlib import Path

from facecap_core.errors import Fault, ProductionError
from facecap_core.pointcaches.reader import split_mesh
from facecap_core.productions.production import Production, Shot
from facecap_core.stores.manifests import version_of
from facecap_core.stores.object_folder import ArrayFolder
from jobs.request import InferRequest, IngestRequest, OutputRequest, Request

STABILISED = "stabilised_input"  # of an actor's settings in a request: its model sees such pictures


def shot_of(production: Production, name: str) -> Shot:
    """The shot of this name.

    Raises:
        ProductionError: it was taken out of shots.csv.
    """
    shot = production.shots.get(name)
    if shot is None:
        fault = Fault(
            f"shot {name} is not in the list any more",
            "put it back, or submit a new job without it",
            str(production.shots_path),
        )
        raise ProductionError([fault])
    return shot


def cameras_of(production: Production, request: Request, shot: Shot) -> list[str]:
    """The cameras that the request reads of this shot, as far as it has footage of them."""
    wanted = wanted_cameras(production, request, shot)
    return [camera for camera in wanted if camera in shot.footage]


def wanted_cameras(production: Production, request: Request, shot: Shot) -> list[str]:
    """The cameras that the request reads, of any shot of this actor.

    Of a solved shot the one that it was solved from is read, which its store knows.
    """
    if isinstance(request, OutputRequest):
        return []
    if isinstance(request, IngestRequest):
        return list(request.cameras or production.actors[shot.actor].cameras)
    if isinstance(request, InferRequest):
        return list(request.cameras_of(shot.actor))
    return list(request.cameras)


def inputs_of(production: Production, request: Request, name: str) -> list[Path]:
    """The files that the shot's work reads; none for a shot that is not in the production, or solved."""
    numbers = (split_mesh(path)[0] for path in numbers_of(production, request, name))
    return [*footage_of(production, request, name), *numbers]


def footage_of(production: Production, request: Request, name: str) -> list[Path]:
    """Those of them that hold pictures."""
    shot = production.shots.get(name)
    if shot is None or isinstance(request, OutputRequest):
        return []
    return [shot.footage[camera] for camera in cameras_of(production, request, shot)]


def numbers_of(production: Production, request: Request, name: str) -> list[Path]:
    """Those of them that hold numbers: landmarks, where they are used, and the cache as shots.csv names it."""
    shot = production.shots.get(name)
    if shot is None or isinstance(request, OutputRequest):
        return []
    files: list[Path] = []
    solving = isinstance(request, InferRequest)
    actor = request.settings.get("actors", {}).get(shot.actor, {})
    if not solving or actor.get(STABILISED):
        for camera in cameras_of(production, request, shot):
            landmarks = production.actors[shot.actor].cameras[camera].landmark_path(name)
            files += [landmarks] if landmarks else []
    if shot.cache is not None and not solving:
        files.append(shot.cache)
    return files


def versions_of(production: Production, request: Request, name: str) -> dict[str, str]:
    """The version that each of these stores shows now; another job may replace it later.

    Raises:
        StoreError: the bucket cannot be asked.
    """
    stores = stores_of(production, request, name)
    return {store: version_of(path) for store, path in stores.items()}


def stores_of(production: Production, request: Request, name: str) -> dict[str, ArrayFolder]:
    """The stores that the shot's work makes, by name; none for a shot that is not in the production."""
    shot = production.shots.get(name)
    if shot is None or isinstance(request, OutputRequest):
        return {}
    paths = production.paths
    if isinstance(request, InferRequest):
        return {"vertices": paths.vertices(shot.actor, name)}
    stores: dict[str, ArrayFolder] = {}
    for camera in cameras_of(production, request, shot):
        stores[f"frames/{camera}"] = paths.frames(name, camera)
        if production.actors[shot.actor].cameras[camera].landmarks:
            stores[f"stabilised/{camera}"] = paths.frames(name, camera, stabilised=True)
    if shot.cache is not None:
        stores["targets"] = paths.targets(name)
    return stores
