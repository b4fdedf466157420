"""Review: a solved shot as a video and a contact sheet, to be looked at before it goes on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facecap_core.corrections.correction import runs
from facecap_core.evaluation.solved import truth_of
from facecap_core.fingerprints import fingerprint_file
from facecap_core.flags.flagged_range import FlaggedRange
from facecap_core.flags.shot_flags import flag_shot, solved_yardstick
from facecap_core.flags.usual import Usual, measure_usual
from facecap_core.outputs import Outputs, digest_of
from facecap_core.pointcaches.reader import fingerprint_cache
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.provenance import made
from facecap_core.reviews.contact_sheet import ContactSheet
from facecap_core.reviews.measures import Measures, measure
from facecap_core.reviews.playblast import write_playblast
from facecap_core.reviews.reviewed_shot import ReviewedShot, open_reviewed
from facecap_core.solved_shot import camera_of, vertices_identity
from facecap_core.stores.groups import open_targets

SCHEMA_VERSION = 1
VERSION = 4  # of what is drawn: pictures of another one are made anew
_USUAL: dict[tuple[str, ...], Usual | None] = {}  # of the actor at hand: a worker draws many shots


@dataclass(frozen=True)
class ReviewOptions:
    """What is made of a shot."""

    against: str | None = None  # point caches beside which it is held, else its own target
    video: bool = True
    sheet: bool = True
    corrected: bool = True  # False: as it was solved, without the corrections of artists
    camera: str | None = (
        None  # whose pictures are shown; None: the first that the shot was solved from
    )


@dataclass(frozen=True)
class ReviewResult:
    """What is there now; `reused` when all of it was made of the same vertices before."""

    shot: str
    frames: int
    rmse_mm: float | None  # None without a target
    files: list[Path]
    reused: bool = False


def names_of(shot: str, other_camera: str | None = None) -> tuple[str, str, str]:
    """What the video, the sheet and the record of a review are called.

    Args:
        other_camera: whose pictures are shown, where it is not the first that the shot was solved from.
    """
    # No name of a shot has a +, so that none is taken for another shot's.
    name = shot if other_camera is None else f"{shot}+{other_camera}"
    return f"{name}.mp4", f"{name}.png", f"{name}.review.json"


def review_outputs(
    production: Production, shot: str, folder: Path, options: ReviewOptions
) -> Outputs:
    """The files that a review of the shot makes.

    Raises:
        StoreError: the shot is not solved.
    """
    actor = production.actors[production.shots[shot].actor]
    first = options.camera in (None, camera_of(production, shot))
    other_camera = None if first else options.camera
    made_of = {
        "vertices": vertices_identity(production, shot, corrected=options.corrected),
        "template": fingerprint_file(actor.template, whole=True),
        "target": _target_identity(production, shot, options.against),
        # What counts in errors, and what flags are of.
        **{
            name: fingerprint_file(path, whole=True)
            for name, path in (("animated", actor.animated), ("regions", actor.regions))
            if path is not None and path.exists()
        },
        "version": VERSION,
        **({} if other_camera is None else {"camera": other_camera}),
    }
    video, sheet, record = names_of(shot, other_camera)
    names = [video] * options.video + [sheet] * options.sheet
    wanted = {name: digest_of([name, made_of]) for name in names}
    return Outputs(folder, record, wanted)


def review_shot(
    production: Production,
    shot: str,
    folder: Path,
    options: ReviewOptions,
    *,
    threads: int = 1,
    on_progress: OnProgress | None = None,
) -> ReviewResult:
    """Write SHOT.mp4, SHOT.png (see the modules playblast and contact_sheet) and SHOT.review.json beside them.

    Of another camera than the first that the shot was solved from they are SHOT+CAMERA.mp4, ... Each file appears
    whole or not at all; one that is there is replaced, unless it is whole and was made of the same vertices in the same way.

    Args:
        threads: that draw.

    Raises:
        FootageError, StoreError, PointCacheError: what is shown cannot be read.
        Cancelled: `on_progress` answered False.
    """
    outputs = review_outputs(production, shot, folder, options)
    truth = truth_of(options.against, shot) if options.against else None
    reviewed = open_reviewed(
        production, shot, truth, corrected=options.corrected, camera=options.camera
    )
    due = {damage.part for damage in outputs.damages()}
    told = outputs.read_record()
    if due:
        measures = measure(reviewed, flags_of(production, reviewed, on_progress), on_progress)
        sheet = ContactSheet(reviewed, measures)
        paths = {Path(name).suffix: folder / name for name in due}
        if ".mp4" in paths:
            write_playblast(
                paths[".mp4"],
                reviewed,
                measures,
                threads=threads,
                seen=sheet.see,
                on_progress=on_progress,
            )
        else:
            for scene in reviewed.scenes(threads):
                report(on_progress, Progress("review", scene.first, reviewed.frames))
                sheet.see(scene)
        if ".png" in paths:
            sheet.write(paths[".png"])
        entries = told.get("files", {}) | {name: outputs.entry(name) for name in due}
        told = _told(reviewed, measures, sheet) | {"files": entries}
        outputs.write_record(told)
    report(on_progress, Progress("review", reviewed.frames, reviewed.frames))
    files = [folder / name for name in outputs.wanted]
    return ReviewResult(shot, reviewed.frames, told.get("rmse_mm"), files, reused=not due)


def _told(shot: ReviewedShot, measures: Measures, sheet: ContactSheet) -> dict[str, Any]:
    """What the record says beside its files."""
    return {
        "schema_version": SCHEMA_VERSION,
        "shot": shot.name,
        "frames": shot.frames,
        "fps": str(shot.solved.fps),
        "start_frame": shot.start_frame,
        "start_timecode": shot.solved.names.start_timecode,
        "model": shot.solved.model,
        "cameras": shot.solved.cameras,
        "missing_cameras": shot.solved.missing_cameras,
        "shown_camera": shot.camera,
        "shown_crop": shot.crop,
        "rmse_mm": measures.rmse_mm,
        "ranked_by": measures.badness[1],
        "frames_shown": sheet.frames,
        "corrected": runs(np.flatnonzero(measures.corrected)),
        "flags": [asdict(flag) for flag in measures.flags],
        "made": made(),
    }


def flags_of(
    production: Production, shot: ReviewedShot, on_progress: OnProgress | None
) -> list[FlaggedRange]:
    """What is to be looked at in the shot, held against its actor's training targets, in the shot's order.

    Raises:
        StoreError, TemplateError: the shot or a training target cannot be read.
    """
    stick = solved_yardstick(shot.solved)
    actor = shot.solved.actor.name
    key = str(production.settings_path), actor, shot.template.topology_sha256
    if key not in _USUAL:
        _USUAL.clear()
        _USUAL[key] = measure_usual(production, actor, stick, on_progress)
    return flag_shot(shot.solved, _USUAL[key], stick=stick, on_progress=on_progress)


def _target_identity(production: Production, shot: str, against: str | None) -> str:
    if against is not None:
        return fingerprint_cache(truth_of(against, shot))
    tracked, cached = production.paths.targets(shot), production.shots[shot].cache is not None
    return digest_of(open_targets(tracked).attributes) if cached and tracked.exists() else ""
