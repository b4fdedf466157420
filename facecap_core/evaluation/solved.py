"""Solved shots: results that are in the vertex stores, and the caches that know better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from facecap_core.errors import ModelError, PointCacheError, StoreError
from facecap_core.evaluation.subject import EvaluatedShot, Subject
from facecap_core.productions.production import Production
from facecap_core.stores.groups import open_vertices


def solved_by(production: Production, actor: str, shots: Iterable[str]) -> str:
    """The one model that solved these shots' vertex stores.

    Raises:
        StoreError: a shot is not solved. ModelError: several models did.
    """
    models: dict[str, str] = {}
    for shot in shots:
        path = production.paths.vertices(actor, shot)
        models[str(open_vertices(path).attributes.get("model"))] = shot
    if len(models) != 1:
        listed = ", ".join(f"{shot} by {model}" for model, shot in list(models.items())[:4])
        if not models:
            raise StoreError("no shots to evaluate", remedy="name some with --shots or --split")
        raise ModelError(
            f"the shots were solved by several models: {listed}",
            remedy=f"farm submit infer --actor {actor} solves what is stale",
        )
    return next(iter(models))


def shots_solved_by(production: Production, actor: str, model: str) -> list[str]:
    """The actor's shots whose stored vertices this model made; of damaged stores nothing is known."""
    found = []
    for shot in production.shots_of(actor):
        try:
            store = open_vertices(production.paths.vertices(actor, shot.name))
        except StoreError:
            continue
        if store.attributes.get("model") == model:
            found.append(shot.name)
    return found


def solved_shot(subject: Subject, shot: EvaluatedShot) -> EvaluatedShot:
    """The shot as the subject's model solved it.

    Raises:
        StoreError: it is not solved. ModelError: another model solved it.
    """
    path = subject.production.paths.vertices(subject.actor, shot.shot)
    model = str(open_vertices(path).attributes.get("model"))
    if model != subject.model.facts["model"]:
        raise ModelError(
            f"{shot.shot} was solved by {model}, not by {subject.model.facts['model']}",
            remedy="name that model, or solve the shot again with the other",
        )
    return replace(shot, solved=path)


def truth_of(caches: str, shot: str) -> Path:
    """The point cache of a shot: `caches` is a pattern with {shot}, or a folder of files named as the shots.

    Raises:
        PointCacheError: there is none, or there are several.
    """
    if "{shot}" in caches:
        return Path(caches.replace("{shot}", shot))
    found = sorted(path for path in Path(caches).glob("*") if path.name.split(".")[0] == shot)
    if len(found) != 1:
        message = "has no point cache of" if not found else f"has {len(found)} files of"
        raise PointCacheError(
            f"{message} {shot}", remedy="name the files: --against 'DIR/{shot}.pc2'", file=caches
        )
    return found[0]
