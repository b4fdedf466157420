"""Actor choice: the actor that a command means by what was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facecap_core.productions.production import Production


def chosen_actor(production: Production, actor: str | None) -> str:
    """The one that was named, else the production's only one.

    Raises:
        ProductionError: there is no such actor, or none was named and there are several.
    """
    from facecap_core.errors import Fault, ProductionError
    from facecap_core.names import did_you_mean

    if actor is None and len(production.actors) == 1:
        return next(iter(production.actors))
    if actor is None:
        remedy = "name one of: " + ", ".join(production.actors)
        raise ProductionError([Fault("the production has several actors", remedy)])
    if actor not in production.actors:
        remedy = did_you_mean(actor, production.actors)
        raise ProductionError([Fault(f"no actor is called {actor!r}", remedy)])
    return actor
