"""Own store: the folder in which a benchmark trains models on the frames of a production that stays as it is."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.trainingset import ShotPaths
from facecap_core.productions.production import Production, load_production
from facecap_core.stores.groups import open_targets


def with_own_store(folder: Path, out: Path) -> Production:
    """The production with a store under `out`, which has the production's frames and targets in it."""
    given = load_production(folder)
    store = out / "store"
    store.mkdir(parents=True, exist_ok=True)
    for kind in ("frames", "targets", "stabilised"):
        if not (store / kind).is_symlink():
            (store / kind).symlink_to(given.store / kind)
    return given.model_copy(update={"store": store})


def training_frames(production: Production, actor: str) -> dict[str, int]:
    """How many frames each training shot has."""
    return {
        shot.name: open_targets(production.paths.targets(shot.name)).frames
        for shot in production.shots_of(actor, split="train")
    }


def shortened(production: Production, actor: str, minutes: float) -> Production:
    """The production with so many minutes of training footage: whole shots, drawn once for all lengths."""
    frames = training_frames(production, actor)
    names = list(frames)
    np.random.default_rng(2017).shuffle(names)
    kept, total = set(), 0
    for name in names:
        if total < minutes * 60 * production.fps:
            kept.add(name)
            total += frames[name]
    shots = {
        name: shot
        for name, shot in production.shots.items()
        if shot.split != "train" or shot.actor != actor or name in kept
    }
    return production.model_copy(update={"shots": shots})


def shot_paths(
    production: Production,
    actor: str,
    split: str,
    cameras: Sequence[str],
    *,
    stabilised: bool = False,
) -> list[ShotPaths]:
    """The stores of the actor's shots of a split; `stabilised` pictures or the original ones."""
    paths = production.paths
    return [
        ShotPaths(
            shot.name,
            paths.views(shot.name, cameras, stabilised=stabilised),
            paths.targets(shot.name),
        )
        for shot in production.shots_of(actor, split=split)
    ]


def validation_of(
    production: Production,
    actor: str,
    config: TrainConfig,
    model: str,
    notes: Path,
    *,
    device: str | None = None,
) -> dict[str, float]:
    """The validation figures of a model, with the `processor_seconds` that it took on one thread.

    Args:
        notes: where they are kept; a model with notes is not trained again.
    """
    if not notes.exists():
        began = time.process_time()
        train_actor(production, actor, config, model=model, device=device, threads=1)
        told = json.loads((production.paths.model(actor, model) / "model.json").read_text())
        facts = {**told["validation"], "processor_seconds": time.process_time() - began}
        notes.parent.mkdir(parents=True, exist_ok=True)
        notes.write_text(json.dumps(facts) + "\n")
    found: dict[str, float] = json.loads(notes.read_text())
    return found
