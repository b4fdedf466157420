"""File axes: the units of a delivered file, the axis that is up in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.cache import PointCache
from facecap_core.units import MM_PER_UNIT


@dataclass(frozen=True)
class Axes:
    """Units and up axis of a file."""

    units: str
    up_axis: str

    def converted(self, positions: np.ndarray, units: str) -> np.ndarray:
        """Positions [frame, vertex, xyz] in these units, y up; the same bits where nothing changes."""
        if self.up_axis == "z":  # what was up is z, what was front is -y: see Animation.converted
            x, y, z = np.moveaxis(positions, -1, 0)
            positions = np.stack([x, z, -y], axis=-1)
        if self.units != units:
            scale = MM_PER_UNIT[self.units] / MM_PER_UNIT[units]
            positions = (positions.astype(np.float64) * scale).astype(np.float32)
        return positions


def axes_of(
    cache: PointCache,
    units: str | None,
    up_axis: str | None,
    told: Mapping[str, Any],
    units_of_production: str,
) -> Axes:
    """What was asked for, else what the file says, else what `told` has of it, else as the production is.

    Raises:
        PointCacheError: unknown units or axis.
    """
    units = units or cache.units or str(told.get("units", units_of_production))
    up_axis = (up_axis or cache.up_axis or str(told.get("up_axis", "y"))).lower()
    for option, value, known in (
        ("--units", units, list(MM_PER_UNIT)),
        ("--up-axis", up_axis, ["y", "z"]),
    ):
        if value not in known:
            raise PointCacheError(
                f"{option[2:]}: {value!r} is not known",
                remedy=f"say what the numbers are: {option} {', '.join(known)}",
                file=cache.path,
            )
    return Axes(units, up_axis)


def disagreements(cache: PointCache, units: str | None, up_axis: str | None) -> list[str]:
    """Where something was asked for that the file contradicts."""
    notes = []
    if units and cache.units not in (None, units):
        notes.append(f"the file says that it is in {cache.units}; taken as {units}")
    if up_axis and (cache.up_axis or up_axis).lower() != up_axis.lower():
        notes.append(f"the file says that {cache.up_axis} is up; taken as {up_axis.lower()}")
    return notes
