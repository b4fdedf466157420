"""Job settings: what of production.toml makes another job of the same shots when it is changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facecap_core.productions.production import Production
from jobs.inputs import file_content


def actors_of(production: Production, shots: Sequence[str]) -> list[str]:
    """The actors of these shots."""
    return sorted({production.shots[shot].actor for shot in shots})


def settings_of(production: Production, actors: Sequence[str]) -> dict[str, Any]:
    """Frame rate, units, and of each actor the template, what counts in errors and the crops, as JSON."""
    return {
        "fps": str(production.fps),
        "units": production.units,
        "actors": {
            name: {
                "template": _relative(production, production.actors[name].template),
                "template_content": file_content(production.actors[name].template),
                "animated_content": file_content(production.actors[name].animated),
                "crops": {
                    camera: list(settings.crop)
                    for camera, settings in production.actors[name].cameras.items()
                },
            }
            for name in actors
        },
    }


def _relative(production: Production, path: Path) -> str:
    # A production may be mounted elsewhere on another machine and is the same one.
    return str(path).removeprefix(f"{production.folder}/")
