"""Units: the lengths that a production's meshes may be in, with what each is in mm."""

from __future__ import annotations

from typing import Literal, get_args

Units = Literal["mm", "cm", "dm", "m", "in", "ft"]
UNITS: tuple[str, ...] = get_args(Units)
MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "dm": 100.0, "m": 1000.0, "in": 25.4, "ft": 304.8}
MM_PER_CM = 10.0  # of the network's positions, whatever the production is in
