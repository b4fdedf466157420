"""Actor flags: many solved shots, each held against what its actor's training targets do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facecap_core.errors import Cancelled, FacecapError
from facecap_core.evaluation.yardstick import Yardstick
from facecap_core.flags.flagged_range import LOW_CONFIDENCE, UNLIKE_TRAINING, FlaggedRange
from facecap_core.flags.shot_flags import Limits, flag_shot, solved_yardstick
from facecap_core.flags.usual import Usual, measure_usual
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from facecap_core.solved_shot import open_solved
from facecap_core.template import Template


@dataclass(frozen=True)
class FlaggedShots:
    """What was found in some shots, and what could not be looked at."""

    ranges: list[FlaggedRange]
    frames: dict[str, int]  # of the shots that were judged
    not_judged: dict[str, list[str]]  # reason -> shots whose stores have no figure for it
    failed: dict[str, FacecapError]  # shots that could not be read


def flag_shots(
    production: Production,
    shots: Sequence[str],
    limits: Limits | None = None,
    on_progress: OnProgress | None = None,
) -> FlaggedShots:
    """Flag solved shots of any actors; the training targets of each actor are read once.

    Raises:
        StoreError: a training target is damaged. TemplateError: an actor's files are at fault.
        Cancelled: `on_progress` answered False.
    """
    known: dict[str, tuple[Template, Yardstick, Usual | None]] = {}
    found = FlaggedShots([], {}, {}, {})
    for name in shots:
        try:
            actor = production.shots[name].actor
            before = known.get(actor)
            solved = open_solved(production, name, template=before[0] if before else None)
            if before is None:
                stick = solved_yardstick(solved)
                usual = measure_usual(production, actor, stick, on_progress)
                known[actor] = solved.template, stick, usual
            _, stick, usual = known[actor]
            found.ranges.extend(
                flag_shot(solved, usual, limits, stick=stick, on_progress=on_progress)
            )
        except Cancelled:
            raise
        except FacecapError as error:
            found.failed[name] = error
            continue
        found.frames[name] = solved.frames
        for reason, figure in (
            (LOW_CONFIDENCE, solved.confidence),
            (UNLIKE_TRAINING, solved.novelty),
        ):
            if figure is None:
                found.not_judged.setdefault(reason, []).append(name)
    return found
