"""Production: the user's folder of actors and shots, read from production.toml and shots.csv."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from facecap_core.errors import Fault, ProductionError
from facecap_core.names import did_you_mean
from facecap_core.plain_path import plain_path
from facecap_core.productions.production_toml import (
    DLIB,
    CameraSettings,
    Settings,
    read_settings,
)
from facecap_core.productions.shots_csv import Shot, read_shots
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.stores.paths import StorePaths
from facecap_core.units import MM_PER_UNIT, Units

__all__ = [
    "Actor",
    "CameraSettings",
    "Production",
    "Shot",
    "find_production",
    "load_production",
    "read_production",
]

SETTINGS_FILE = "production.toml"
SHOTS_FILE = "shots.csv"


class Actor(BaseModel):
    """An actor: the mesh that is tracked, and how each camera sees the face. Paths are absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    template: Path
    animated: Path | None = None
    regions: Path | None = None
    cameras: dict[str, CameraSettings]

    @property
    def main_camera(self) -> str:
        """The camera that single-camera training uses: "center", else the first listed."""
        return "center" if "center" in self.cameras else next(iter(self.cameras))


class Production(BaseModel):
    """A folder with its settings, actors and shots (in the order of shots.csv)."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    settings_path: Path
    name: str
    fps: Fraction
    units: Units
    store: Path
    arrays: ObjectFolder | None = None
    actors: dict[str, Actor]
    shots: dict[str, Shot]

    @property
    def folder(self) -> Path:
        """The folder that relative paths are taken from."""
        return self.settings_path.parent

    @property
    def paths(self) -> StorePaths:
        """Where everything that is computed is written."""
        return StorePaths(self.store, self.arrays)

    @property
    def shots_path(self) -> Path:
        """shots.csv, for messages."""
        return self.folder / SHOTS_FILE

    @property
    def mm_per_unit(self) -> float:
        """Millimetres in one unit of the point caches."""
        return MM_PER_UNIT[self.units]

    def shots_of(self, actor: str, *, split: str | None = None) -> list[Shot]:
        """The actor's shots in order; all, or those of a split ("" is bulk footage)."""
        return [
            shot
            for shot in self.shots.values()
            if shot.actor == actor and split in (None, shot.split)
        ]

    def actor_named(self, actor: str | None) -> str:
        """The actor of this name; without one the only actor.

        Raises:
            ProductionError: there is no such actor, or none was named and there are several.
        """
        if actor is None and len(self.actors) == 1:
            return next(iter(self.actors))
        if actor is None:
            message = f"the production has {len(self.actors)} actors"
            remedy = f"name one with --actor: {', '.join(self.actors)}"
            raise ProductionError([Fault(message, remedy, str(self.settings_path))])
        self.check_actor(actor)
        return actor

    def check_actor(self, actor: str) -> None:
        """Raises ProductionError where no actor has this name."""
        if actor not in self.actors:
            fault = Fault(
                f"no actor is called {actor!r}",
                did_you_mean(actor, self.actors),
                str(self.settings_path),
            )
            raise ProductionError([fault])


def find_production(start: Path) -> Path:
    """The nearest folder at or above `start` that holds a production.toml.

    Raises ProductionError when there is none.
    """
    start = plain_path(start)
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    fault = Fault(
        f"there is no {SETTINGS_FILE} in this folder or any above it",
        "go to the production's folder, name it with --production DIR, or begin one: farm init DIR",
        str(start),
    )
    raise ProductionError([fault])


def load_production(folder_or_toml: Path) -> Production:
    """Read a production's two files; footage and caches are not looked at (see production_check).

    Raises ProductionError with every fault of both files together.
    """
    production, faults = read_production(folder_or_toml)
    if production is None or faults:
        raise ProductionError(faults)
    return production


def read_production(folder_or_toml: Path) -> tuple[Production | None, list[Fault]]:
    """As `load_production`, with what is usable beside the faults: the rows of shots.csv without one.

    The production is None when production.toml has a fault, or when shots.csv cannot be read at all.
    """
    path = plain_path(folder_or_toml)
    if path.suffix != ".toml" or path.is_dir():
        path = path / SETTINGS_FILE
    if not path.is_file():
        remedy = "name a folder that has one, or begin one: farm init DIR"
        return None, [Fault(f"there is no {path.name} here", remedy, str(path.parent))]
    settings, tables, faults = read_settings(path)
    shots, shot_faults = read_shots(
        path.parent / SHOTS_FILE, folder=path.parent, cameras=_cameras(tables)
    )
    production = (
        _resolve(settings, shots, path) if settings and (shots or not shot_faults) else None
    )
    return production, faults + shot_faults


def _cameras(tables: dict[str, Any] | None) -> dict[str, list[str] | None] | None:
    """Each actor's cameras as far as they can be made out, for shots.csv is checked regardless."""
    actors = (tables or {}).get("actors")
    if not isinstance(actors, dict):
        return None
    tables_of_cameras = {
        actor: table.get("cameras") if isinstance(table, dict) else None
        for actor, table in actors.items()
    }
    return {
        actor: list(cameras) if isinstance(cameras, dict) else None
        for actor, cameras in tables_of_cameras.items()
    }


def _resolve(settings: Settings, shots: list[Shot], path: Path) -> Production:
    folder = path.parent
    return Production(
        settings_path=path,
        name=settings.name,
        fps=settings.fps,
        units=settings.units,
        store=folder / settings.store,
        arrays=ObjectFolder.parse(settings.arrays) if settings.arrays else None,
        actors={
            name: Actor(
                name=name,
                template=folder / actor.template,
                animated=folder / actor.animated if actor.animated else None,
                regions=folder / actor.regions if actor.regions else None,
                cameras={
                    camera: _in_folder(found, folder) for camera, found in actor.cameras.items()
                },
            )
            for name, actor in settings.actors.items()
        },
        shots={shot.name: shot for shot in shots},
    )


def _in_folder(camera: CameraSettings, folder: Path) -> CameraSettings:
    """The camera with its landmarks' path made absolute."""
    if camera.landmarks in (None, DLIB):
        return camera
    return camera.model_copy(update={"landmarks": str(folder / str(camera.landmarks))})
