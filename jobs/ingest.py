"""Ingest: one shot's footage and point cache into the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facecap_core.errors import FootageError, FootageMissing
from facecap_core.footage.input_stabilisation import Stabiliser, stabiliser
from facecap_core.ingest import ingest_frames, ingest_stabilised, ingest_targets
from facecap_core.productions.production import Production, Shot
from facecap_core.productions.production_toml import CameraSettings
from facecap_core.progress import OnProgress
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.template import read_template
from jobs.decoder import Decoder
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.records import Lot, ShotRecord
from jobs.request import InferRequest, Request, TrainRequest
from jobs.shots import cameras_of, shot_of, versions_of, wanted_cameras
from jobs.worker import Outcome, carry_out


def ingest_shot(
    ledger: Ledger, production: Production, request: Request, name: str, lot: Lot
) -> ShotRecord:
    """Bring one shot's cameras and cache into the store, and note it in the ledger."""

    def task(on_progress: OnProgress, log: Log) -> Outcome:
        assert not isinstance(request, InferRequest)
        shot = shot_of(production, name)
        cameras = cameras_of(production, request, shot)
        _check_cameras(production, request, shot, cameras)
        work = _Ingest(production, shot, lot, on_progress, log)
        lengths = {camera: work.camera(camera) for camera in cameras}
        frames = _same_length(lengths, shot)
        if shot.cache is not None:
            work.targets(shot.cache, frames)
        elif isinstance(request, TrainRequest) and name not in request.corrections:
            raise FootageMissing(
                "the shot has no point cache to learn from",
                remedy="fill in its cache, or clear its split",
                file=production.shots_path,
                line=shot.line,
            )
        return Outcome(
            frames,
            work.reused,
            sentence=f"{frames} frames in the store",
            versions=versions_of(production, request, name),
        )

    return carry_out(ledger, ledger.shot(name), lot, task)


@dataclass
class _Ingest:
    """A shot's way into the store, told in its log."""

    production: Production
    shot: Shot
    lot: Lot
    on_progress: OnProgress
    log: Log
    reused: bool = True  # whether all of it was there already

    def camera(self, camera: str) -> int:
        """A camera's pictures, stabilised ones too where it has landmarks; how many there are."""
        footage, destination = self.shot.footage[camera], self._frames(camera)
        self.log.line(f"{camera}: {footage}")
        result = ingest_frames(
            footage,
            crop=self._settings(camera).crop,
            fps=self.production.fps,
            destination=destination,
            threads=self.lot.threads,
            hardware=self.lot.decoder is Decoder.AUTO,
            on_progress=self.on_progress,
        )
        how = f" in {result.seconds:.1f} s, decoded by {result.decoder}"
        how = ", in the store already" if result.reused else how
        self.log.line(f"{camera}: {result.frames} frames{how}")
        self.reused = self.reused and result.reused
        stabilise = stabiliser(self._settings(camera), self.shot.name)
        if stabilise is not None:
            self._stabilised(camera, stabilise)
        return result.frames

    def _stabilised(self, camera: str, stabilise: Stabiliser) -> None:
        self.log.line(f"{camera}: landmarks from {self._settings(camera).landmarks}")
        result = ingest_stabilised(
            self._frames(camera),
            stabiliser=stabilise,
            destination=self._frames(camera, stabilised=True),
            on_progress=self.on_progress,
        )
        self.reused = self.reused and result.reused
        how = " already" if result.reused else f" in {result.seconds:.1f} s"
        self.log.line(f"{camera}: stabilised{how}")
        if result.without_face:
            self.log.line(f"{camera}: no face found in {result.without_face} pictures")

    def targets(self, cache: Path, frames: int) -> None:
        """The point cache, which must have as many frames as the pictures."""
        self.log.line(f"cache: {cache}")
        result = ingest_targets(
            cache,
            template=read_template(self.production.actors[self.shot.actor].template),
            units=self.production.units,
            fps=self.production.fps,
            destination=self.production.paths.targets(self.shot.name),
            expected_frames=frames,
            on_progress=self.on_progress,
        )
        self.reused = self.reused and result.reused

    def _settings(self, camera: str) -> CameraSettings:
        return self.production.actors[self.shot.actor].cameras[camera]

    def _frames(self, camera: str, *, stabilised: bool = False) -> ArrayFolder:
        return self.production.paths.frames(self.shot.name, camera, stabilised=stabilised)


def _check_cameras(
    production: Production, request: Request, shot: Shot, cameras: Sequence[str]
) -> None:
    """There is footage; for a network of several cameras of all of them, since it learns from such shots.

    Raises:
        FootageMissing: there is none, or not of all.
    """
    if not cameras:
        raise FootageMissing(
            f"the shot has no footage of {' or '.join(wanted_cameras(production, request, shot))}",
            remedy="fill in that column of its row",
            file=production.shots_path,
            line=shot.line,
        )
    wanted = request.cameras if isinstance(request, TrainRequest) else ()
    missing = [camera for camera in wanted if camera not in cameras]
    if missing:
        raise FootageMissing(
            f"the shot has no footage of {' and '.join(missing)}",
            remedy="fill in that column, clear the shot's split, or train without that camera",
            file=production.shots_path,
            line=shot.line,
        )


def _same_length(lengths: Mapping[str, int], shot: Shot) -> int:
    """The frames of the shot, by those of its cameras.

    Raises:
        FootageError: they differ.
    """
    (first, frames), *others = lengths.items()
    for camera, length in others:
        if length != frames:
            raise FootageError(
                f"camera {camera} has {length} frames, camera {first} has {frames}",
                remedy="cut all cameras of the shot to the same frames",
                file=shot.footage[camera],
            )
    return frames
