"""Submit output commands: export and review, of solved shots or of those that a job solves first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.context import find_and_load
from farm.handing_in import earlier, hand_in
from farm.option_groups import (
    AllOfActorOption,
    Exporting,
    Handing,
    Reviewing,
    Running,
    ShotListOption,
    SolvedShotsArgument,
    grouped,
)
from farm.submit_commands import app

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.ledger import Ledger


@app.command()
@grouped("gpus", "decoder")
def export(
    shots: SolvedShotsArgument = None,
    listed: ShotListOption = None,
    actor: AllOfActorOption = None,
    *,
    exporting: Exporting,
    running: Running,
    handing: Handing,
) -> None:
    """Write solved shots as animation files; options as for farm export.

    A file that is there and of the same vertices is not written again. --after a job that solves: without shots
    named, all of that job's, as it leaves them.

    Examples:

    farm submit export --actor ada --format usd,abc --wait

    farm submit export --after infer-ada --format abc

    farm submit export --shots bulk.txt --start-frame 1001 --dry-run
    """
    from dataclasses import asdict

    from farm.output_choice import export_options, folder_of
    from jobs.output_planning import plan_export

    found = find_and_load(handing.production)
    options = asdict(export_options(found, exporting))
    after = earlier(found, handing.after)
    request = plan_export(
        found,
        _shots(found, shots, listed, actor, after),
        after=after,
        folder=_inside(found, folder_of(found, exporting.out, "exports")),
        **options,
    )
    hand_in(found, request, running, handing)


@app.command()
@grouped("gpus", "decoder")
def review(
    shots: SolvedShotsArgument = None,
    listed: ShotListOption = None,
    actor: AllOfActorOption = None,
    *,
    reviewing: Reviewing,
    running: Running,
    handing: Handing,
) -> None:
    """Draw videos and contact sheets of solved shots; options as for farm review.

    What is there and of the same vertices is not drawn again. --after a job that solves: without shots named, all
    of that job's, as it leaves them.

    Examples:

    farm submit review --actor ada --wait

    farm submit review --after infer-ada --out /mnt/dailies

    farm submit review --shots bulk.txt --sheet --max-parallel 8
    """
    from dataclasses import asdict

    from farm.output_choice import folder_of, review_options
    from jobs.output_planning import plan_review

    found = find_and_load(handing.production)
    after = earlier(found, handing.after)
    names = _shots(found, shots, listed, actor, after)
    options: dict[str, Any] = asdict(review_options(found, names, reviewing))
    if options["against"] is not None:
        options["against"] = _inside(found, Path(options["against"]))
    request = plan_review(
        found,
        names,
        after=after,
        folder=_inside(found, folder_of(found, reviewing.out, "reviews")),
        **options,
    )
    hand_in(found, request, running, handing)


def _shots(
    production: Production,
    patterns: list[str] | None,
    listed: Path | None,
    actor: str | None,
    after: Ledger | None,
) -> list[str]:
    """The shots meant; of a job that solves them before they need not be solved yet."""
    from farm.shot_choice import solved_shots
    from jobs.output_planning import solved_by

    solving = solved_by(after)
    if solving is None or patterns or listed is not None:
        return solved_shots(production, patterns or [], listed, actor)
    known = [name for name in solving.shots if name in production.shots]
    chosen = [name for name in known if actor in (None, production.shots[name].actor)]
    return chosen or solved_shots(production, [], None, actor)


def _inside(production: Production, path: Path) -> str:
    """A path of the production as seen from it, for it may be mounted elsewhere; others whole."""
    if path.is_relative_to(production.folder):
        return str(path.relative_to(production.folder))
    return str(path)
