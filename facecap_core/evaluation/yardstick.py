"""Yardstick: the vertices, pairs and directions of a face at which results are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facecap_core.regions import FaceRegions


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What is measured; regions hold animated vertices only, and none is empty."""

    animated: np.ndarray  # int64 [n]
    regions: Mapping[str, np.ndarray]  # int64 [n]
    lip_pairs: np.ndarray  # int64 [pair, upper lower]
    lid_pairs: np.ndarray
    rest: np.ndarray  # float64 [vertex, xyz], production units
    forward: np.ndarray | None  # float64 [xyz], where the face looks; None: not known
    mm_per_unit: float

    @property
    def jaw(self) -> np.ndarray | None:
        """The jaw's animated vertices, int64 [n]; None where jaw or forward direction are not known."""
        return None if self.forward is None else self.regions.get("jaw")


def yardstick(
    rest: np.ndarray, animated: np.ndarray, regions: FaceRegions, mm_per_unit: float
) -> Yardstick:
    """For a mesh at rest [vertex, xyz] and its animated vertices int64 [n]."""
    moving = {name: np.intersect1d(group, animated) for name, group in regions.groups.items()}
    return Yardstick(
        animated=animated,
        regions={name: group for name, group in moving.items() if len(group)},
        lip_pairs=regions.lip_pairs,
        lid_pairs=regions.lid_pairs,
        rest=rest.astype(np.float64),
        forward=regions.forward,
        mm_per_unit=mm_per_unit,
    )
