"""Usual: what the actor's own tracked performance does, beyond which a result is flagged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facecap_core.evaluation.yardstick import Yardstick
from facecap_core.flags.frame_signals import FrameSignals, measure_frames
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.stores.groups import is_of_mesh, open_targets
from facecap_core.template import read_template

PERCENTILE = 99.9  # not the highest: tracked caches have jumps of their own


@dataclass(frozen=True, eq=False)
class Usual:
    """The most that the training targets do, but for one frame in a thousand."""

    frames: int
    jumps: Mapping[str, np.ndarray]  # region -> float64 [surrounding], mm/frame²
    crossings_mm: Mapping[str, np.ndarray]  # "lips" or "lids" -> float64 [pair], at least 0

    @staticmethod
    def of(signals: list[FrameSignals]) -> Usual:
        """Of the targets of some shots; there must be one."""
        regions, openings = signals[0].accelerations, signals[0].crossings_mm
        jumps = {name: np.concatenate([s.jumps(name) for s in signals], 1) for name in regions}
        crossed = {
            name: np.concatenate([s.crossings_mm[name] for s in signals]) for name in openings
        }
        return Usual(
            frames=max((of_region.shape[1] for of_region in jumps.values()), default=0),
            jumps={name: np.percentile(found, PERCENTILE, axis=1) for name, found in jumps.items()},
            crossings_mm={
                name: np.maximum(np.percentile(found, PERCENTILE, axis=0), 0)
                for name, found in crossed.items()
            },
        )


def measure_usual(
    production: Production, actor: str, stick: Yardstick, on_progress: OnProgress | None = None
) -> Usual | None:
    """From the training targets of the present template that are in the store; None where there is none.

    Raises:
        StoreError: one of them is damaged. TemplateError: the template cannot be read. Cancelled: `on_progress` answered False.
    """
    paths, template = production.paths, read_template(production.actors[actor].template)
    found = [paths.targets(shot.name) for shot in production.shots_of(actor, split="train")]
    stores = [open_targets(path) for path in found if path.exists()]
    mesh = template.topology_sha256, len(stick.rest)
    stores = [store for store in stores if is_of_mesh(store, *mesh)]
    signals = []
    for number, store in enumerate(stores):
        report(on_progress, Progress("training targets", number, len(stores), "shots"))
        if store.frames:
            signals.append(measure_frames(store.chunks("positions"), stick))
    return Usual.of(signals) if signals else None
