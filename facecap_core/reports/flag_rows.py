"""Flag rows: the severest ranges of solved shots as a page shows them, the first ones with pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from facecap_core.errors import StoreError
from facecap_core.flags.actor_flags import FlaggedShots
from facecap_core.flags.flagged_range import FlaggedRange, ranked
from facecap_core.frame_names import frame_names
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from facecap_core.reports.worst_moments import thumbnails
from facecap_core.stores.groups import open_vertices

SHOWN = 20


def flag_rows(
    production: Production,
    flagged: FlaggedShots,
    *,
    pictures: int = 0,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """The table of the severest ranges, with what was looked at; the first `pictures` have thumbnails."""
    chosen = ranked(flagged.ranges, top=SHOWN)
    moments = [(one.shot, _frame(production, one)) for one in chosen[:pictures]]
    drawn = thumbnails(production, moments, on_progress)
    rows = []
    for number, one in enumerate(chosen):
        rows.append(
            {
                "shot": one.shot,
                "first": one.shown[0],
                "last": one.shown[1],
                "timecode": frame_names(production, one.shot).timecode(one.first),
                "reason": one.reason,
                "severity": f"{one.severity:.1f}",
                "detail": one.detail,
                "pictures": drawn[number] if number < len(drawn) else [],
                "frame": one.start_frame + moments[number][1] if number < len(moments) else None,
            }
        )
    return {
        "rows": rows,
        "found": len(flagged.ranges),
        "in_shots": len({one.shot for one in flagged.ranges}),
        "shots": len(flagged.frames),
        "with_pictures": bool(moments),
        "notes": [
            *(
                f"{reason.capitalize()} could not be judged in {len(names)} of the shots:"
                " their model knows nothing of it."
                for reason, names in flagged.not_judged.items()
            ),
            *(f"{name}: {error.fault.message}." for name, error in flagged.failed.items()),
        ],
    }


def _frame(production: Production, one: FlaggedRange) -> int:
    """The frame of the range to be shown: of least confidence, where there is any, else the middle one."""
    shot = production.shots[one.shot]
    try:
        store = open_vertices(production.paths.vertices(shot.actor, shot.name))
        if store.has("confidence"):
            confidence = store.read("confidence", one.first, one.last + 1)
            if np.isfinite(confidence).all():
                return one.first + int(confidence.argmin())
    except StoreError:
        pass
    return (one.first + one.last) // 2
