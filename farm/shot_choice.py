"""Shot choice: the solved shots that a command means by what was typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facecap_core.productions.production import Production


def solved_shots(
    production: Production, patterns: list[str], listed: Path | None, actor: str | None
) -> list[str]:
    """The shots meant, in the production's order.

    Raises:
        ConfigError: none is meant. ProductionError: there is no such shot or actor.
    """
    from fnmatch import fnmatchcase

    from facecap_core.errors import ConfigError, Fault, ProductionError
    from facecap_core.names import did_you_mean
    from facecap_core.productions.shot_list import read_shot_list

    if not patterns and listed is None and actor is None:
        raise ConfigError(
            "no shot is named",
            remedy="name shots, or all of an actor with --actor, or --shots LIST",
        )
    if actor is not None:
        production.check_actor(actor)
    faults, chosen = [], set()
    for pattern in patterns:
        matching = [name for name in production.shots if fnmatchcase(name, pattern)]
        if not matching:
            faults.append(
                Fault(
                    f"no shot is called {pattern!r}",
                    did_you_mean(pattern, production.shots),
                    str(production.shots_path),
                )
            )
        chosen.update(matching)
    if faults:
        raise ProductionError(faults)
    if listed is not None:
        chosen.update(read_shot_list(listed, production, actor=actor))
    if not patterns and listed is None and actor is not None:
        paths = production.paths
        chosen.update(
            shot.name
            for shot in production.shots_of(actor)
            if paths.vertices(actor, shot.name).exists()
        )
        if not chosen:
            raise ConfigError(
                f"no shot of {actor} is solved", remedy=f"farm submit infer --actor {actor}"
            )
    return [
        name
        for name, shot in production.shots.items()
        if name in chosen and actor in (None, shot.actor)
    ]
