"""Outputs: files made of solved shots outside of the store, as a request asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facecap_core.outputs import Outputs
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.records import Lot, ShotRecord
from jobs.request import ExportRequest, OutputRequest, Request, ReviewRequest
from jobs.shots import shot_of
from jobs.solved_footage import footage_warnings
from jobs.worker import Outcome, carry_out

if TYPE_CHECKING:
    from facecap_core.exports.export import ExportOptions
    from facecap_core.reviews.review import ReviewOptions


def folder_of(production: Production, request: OutputRequest) -> Path:
    """Where the files of a request go."""
    return production.folder / request.folder


def outputs_of(production: Production, request: OutputRequest, name: str) -> Outputs:
    """The files of one shot, as they are to be.

    Raises:
        StoreError: it is not solved. ProductionError: it was taken out of shots.csv.
    """
    shot_of(production, name)
    folder = folder_of(production, request)
    if isinstance(request, ExportRequest):
        from facecap_core.exports.export import export_outputs

        return export_outputs(production, name, folder, export_options(request))
    from facecap_core.reviews.review import review_outputs

    return review_outputs(production, name, folder, review_options(production, request))


def make_outputs(
    ledger: Ledger, production: Production, request: Request, name: str, lot: Lot
) -> ShotRecord:
    """Make the files of one shot and note it in the ledger."""

    def task(on_progress: OnProgress, log: Log) -> Outcome:
        shot_of(production, name)
        figures = {}
        if isinstance(request, ExportRequest):
            from facecap_core.exports.export import export_shot

            folder, options = folder_of(production, request), export_options(request)
            exported = export_shot(production, name, folder, options, on_progress=on_progress)
            frames, reused, files = exported.frames, exported.reused, exported.files
        else:
            assert isinstance(request, ReviewRequest)
            from facecap_core.reviews.review import review_shot

            reviewed = review_shot(
                production,
                name,
                folder_of(production, request),
                review_options(production, request),
                threads=lot.threads,
                on_progress=on_progress,
            )
            frames, reused, files = reviewed.frames, reviewed.reused, reviewed.files
            if reviewed.rmse_mm is not None:
                figures["rmse_mm"] = round(reviewed.rmse_mm, 6)
        for file in files:
            log.line(str(file))
        how = "there already" if reused else "written"
        return Outcome(
            frames,
            reused,
            figures,
            sentence=f"{frames} frames, {len(files)} files {how}",
            warnings=tuple(footage_warnings(production, [name]).values()),
        )

    return carry_out(ledger, ledger.shot(name), lot, task)


def export_options(request: ExportRequest) -> ExportOptions:
    """What the core is asked for each shot of an export."""
    from facecap_core.exports.export import ExportOptions

    return ExportOptions(
        formats=request.formats,
        units=request.units,
        up_axis=request.up_axis,
        start_frame=request.start_frame,
        corrected=request.corrected,
    )


def review_options(production: Production, request: ReviewRequest) -> ReviewOptions:
    """What the core is asked for each shot of a review."""
    from facecap_core.reviews.review import ReviewOptions

    against = request.against
    return ReviewOptions(
        against=None if against is None else str(production.folder / against),
        video=request.video,
        sheet=request.sheet,
        corrected=request.corrected,
        camera=request.camera,
    )
