"""Ingest: one shot's footage and point cache into the store."""

from __future__ import annotations

from facecap_core.errors import FootageError, FootageMissing
from facecap_core.footage.input_stabilisation import stabiliser
from facecap_core.ingest import ingest_frames, ingest_stabilised, ingest_targets
from facecap_core.productions.production import Production, Shot
from facecap_core.progress import OnProgress
from facecap_core.template import read_template
from jobs.decoder import Decoder
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.records import Lot, ShotRecord
from jobs.request import InferRequest, Request, TrainRequest
from jobs.shots import cameras_of, shot_of, versions_of
from jobs.worker import Outcome, carry_out


def ingest_shot(
    ledger: Ledger, production: Production, request: Request, name: str, lot: Lot
) -> ShotRecord:
    """Bring one shot's cameras and cache into the store, and note it in the ledger."""

    def task(on_progress: OnProgress, log: Log) -> Outcome:
        shot = shot_of(production, name)
        return _ingest(production, request, shot, lot, on_progress, log)

    return carry_out(ledger, ledger.shot(name), lot, task)


def _ingest(
    production: Production,
    request: Request,
    shot: Shot,
    lot: Lot,
    on_progress: OnProgress,
    log: Log,
) -> Outcome:
    assert not isinstance(request, InferRequest)
    actor = production.actors[shot.actor]
    paths = production.paths
    cameras = cameras_of(production, request, shot)
    if not cameras:
        raise FootageMissing(
            "the shot has no footage of " + (", ".join(actor.cameras)),
            remedy="fill in its camera columns",
            file=production.shots_path,
            line=shot.line,
        )
    if isinstance(request, TrainRequest):
        _check_cameras(production, request, shot, cameras)
    lengths: dict[str, int] = {}
    reused = True
    for camera in cameras:
        log.line(f"{camera}: {shot.footage[camera]}")
        result = ingest_frames(
            shot.footage[camera],
            crop=actor.cameras[camera].crop,
            fps=production.fps,
            destination=paths.frames(shot.name, camera),
            threads=lot.threads,
            hardware=lot.decoder is Decoder.AUTO,
            on_progress=on_progress,
        )
        log.line(
            f"{camera}: {result.frames} frames"
            + (
                ", in the store already"
                if result.reused
                else f" in {result.seconds:.1f} s, decoded by {result.decoder}"
            )
        )
        lengths[camera], reused = result.frames, reused and result.reused
        stabilise = stabiliser(actor.cameras[camera], shot.name)
        if stabilise is not None:
            log.line(f"{camera}: landmarks from {actor.cameras[camera].landmarks}")
            stabilised = ingest_stabilised(
                paths.frames(shot.name, camera),
                stabiliser=stabilise,
                destination=paths.frames(shot.name, camera, stabilised=True),
                on_progress=on_progress,
            )
            reused = reused and stabilised.reused
            log.line(
                f"{camera}: stabilised"
                + (" already" if stabilised.reused else f" in {stabilised.seconds:.1f} s")
            )
            if stabilised.without_face:
                log.line(f"{camera}: no face found in {stabilised.without_face} pictures")
    frames = lengths[cameras[0]]
    for camera, length in lengths.items():
        if length != frames:
            raise FootageError(
                f"camera {camera} has {length} frames, camera {cameras[0]} has {frames}",
                remedy="cut all cameras of the shot to the same frames",
                file=shot.footage[camera],
            )
    if shot.cache is not None:
        log.line(f"cache: {shot.cache}")
        targets = ingest_targets(
            shot.cache,
            template=read_template(actor.template),
            units=production.units,
            fps=production.fps,
            destination=paths.targets(shot.name),
            expected_frames=frames,
            on_progress=on_progress,
        )
        reused = reused and targets.reused
    elif isinstance(request, TrainRequest) and shot.name not in request.corrections:
        raise FootageMissing(
            "the shot has no point cache to learn from",
            remedy="fill in its cache, or clear its split",
            file=production.shots_path,
            line=shot.line,
        )
    return Outcome(
        frames,
        reused,
        sentence=f"{frames} frames in the store",
        versions=versions_of(production, request, shot.name),
    )


def _check_cameras(
    production: Production, request: TrainRequest, shot: Shot, cameras: list[str]
) -> None:
    """A network of several cameras learns from shots that have them all."""
    missing = [camera for camera in request.cameras if camera not in cameras]
    if missing:
        raise FootageMissing(
            f"the shot has no footage of {' and '.join(missing)}",
            remedy="fill in that column, clear the shot's split, or train without that camera",
            file=production.shots_path,
            line=shot.line,
        )
