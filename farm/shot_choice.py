"""Shot choice: the solved shots that a command means by what was typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from facecap_core.productions.production import Production


def solved_shots(
    production: Production, patterns: list[str], listed: Path | None, actor: str | None
) -> list[str]:
    """The shots meant, in the production's order. Of all of an actor, bulk shots that are not solved are told on stderr.

    Raises:
        ConfigError: none is meant. ProductionError: there is no such shot or actor.
    """
    from fnmatch import fnmatchcase

    from facecap_core.errors import ConfigError, Fault, ProductionError
    from facecap_core.names import did_you_mean, some_of
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
        shots, paths = production.shots_of(actor), production.paths
        chosen.update(shot.name for shot in shots if paths.vertices(actor, shot.name).exists())
        solving = f"farm submit infer --actor {actor}"
        if not chosen:
            raise ConfigError(f"no shot of {actor} is solved", remedy=solving)
        out = [shot.name for shot in shots if not shot.split and shot.name not in chosen]
        if out:
            typer.echo(f"not solved, so left out: {some_of(out)} ({solving})", err=True)
    return [
        name
        for name, shot in production.shots.items()
        if name in chosen and actor in (None, shot.actor)
    ]
