"""Deep check: what is wrong inside footage and caches, found by decoding all of them once."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np

from facecap_core.checks.exposure import check_exposure
from facecap_core.checks.face_in_crop import CHECK as CROP_CHECK
from facecap_core.checks.face_in_crop import check_crop
from facecap_core.checks.face_place import CameraSummary, FacePlace
from facecap_core.checks.finding import Finding
from facecap_core.checks.frame_offset import CACHE_CHECK, CAMERA_CHECK, off_as_others
from facecap_core.checks.head_motion import CHECK as HEAD_CHECK
from facecap_core.checks.head_motion import check_standing
from facecap_core.checks.production_check import CheckReport
from facecap_core.checks.shot_check import ShotReport
from facecap_core.checks.shot_look import ShotLook, look_at_shot, read_shot
from facecap_core.checks.training_range import check_composition, check_range
from facecap_core.errors import Cancelled, FacecapError
from facecap_core.productions.composition import Composition
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.template import Template, read_template

DAMAGE_CHECK = "damage"
PATIENCE_SECONDS = 0.2  # between looks at how far it is


def check_deeply(
    production: Production,
    checked: CheckReport,
    *,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[Finding]:
    """Look into all shots of a plain check that had no fault, several at once.

    Each picture is decoded once. Memory grows neither with a shot's length nor, but for a few hundred
    kilobytes each, with their number.

    Args:
        workers: threads; by default one a processor that this process may use.

    Raises:
        Cancelled: `on_progress` says so. TemplateError: a template cannot be read any more.
    """
    sound = [found for found in checked.shots if not found.faults and found.frames]
    templates = {
        name: read_template(production.actors[name].template)
        for name in {found.shot.actor for found in sound}
    }
    looks = _look_at_all(production, sound, templates, workers, on_progress)
    findings = [finding for look in looks for finding in look.findings]
    for composition in checked.compositions:
        own = [look for look in looks if look.shot.actor == composition.actor]
        findings += compare_shots(composition, own)
    order = {name: number for number, name in enumerate(production.shots)}
    return sorted(
        _without_consequences(findings),
        key=lambda found: (found.severity, found.actor, order.get(found.shot, -1)),
    )


def _without_consequences(findings: list[Finding]) -> list[Finding]:
    """Half a face says little of when it moves: where the crop is at fault, offsets are not told."""
    cropped = {(f.actor, f.camera, f.shot) for f in findings if f.check == CROP_CHECK}
    return [
        found
        for found in findings
        if found.check not in (CACHE_CHECK, CAMERA_CHECK)
        or cropped.isdisjoint((found.actor, found.camera, shot) for shot in ("", found.shot))
    ]


def _look_at_all(
    production: Production,
    sound: Sequence[ShotReport],
    templates: dict[str, Template],
    workers: int | None,
    on_progress: OnProgress | None,
) -> list[ShotLook]:
    workers = workers or _processors()
    total = sum(facts.frames or 0 for found in sound for facts in found.footage.values())
    stop = threading.Event()
    count = _Count()

    def on_frame() -> None:
        if stop.is_set():
            raise Cancelled("deep check cancelled")
        count.add()

    def look(found: ShotReport) -> ShotLook:
        shot = found.shot
        try:
            signals = read_shot(
                found,
                production,
                templates[shot.actor],
                threads=max(1, workers // max(1, len(sound))),
                on_frame=on_frame,
            )
            main = production.actors[shot.actor].main_camera
            return look_at_shot(shot, signals, main_camera=main, fps=float(production.fps))
        except Cancelled:
            raise
        except FacecapError as error:
            fault = error.fault
            message = f"{fault.message} ({os.path.basename(fault.file)})"
            damage = Finding(
                DAMAGE_CHECK, shot.actor, shot.name, "", 1, "file", message, fault.remedy, "error"
            )
            return ShotLook(shot, [damage])

    with ThreadPoolExecutor(workers, thread_name_prefix="look") as pool:
        # The longest first, or the last one would keep one processor busy and the others waiting.
        by_length = sorted(sound, key=lambda found: -(found.frames or 0))
        futures: dict[str, Future[ShotLook]] = {
            found.shot.name: pool.submit(look, found) for found in by_length
        }
        waiting = set(futures.values())
        try:
            while waiting:
                report(on_progress, Progress("look at frames", min(count.value, total), total))
                done, waiting = wait(waiting, PATIENCE_SECONDS, FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            raise
        report(on_progress, Progress("look at frames", total, total))
        return [futures[found.shot.name].result() for found in sound]


def compare_shots(composition: Composition, looks: Sequence[ShotLook]) -> list[Finding]:
    """What an actor's shots show when they are held against one another."""
    actor = composition.actor
    findings = check_composition(composition)
    findings += off_as_others(pairing for look in looks for pairing in look.pairings)
    cameras: dict[str, list[CameraSummary]] = defaultdict(list)
    for look in looks:
        for camera, summary in look.cameras.items():
            cameras[camera].append(summary)
    for camera, shots in cameras.items():
        place = FacePlace.of(shots)
        findings += check_crop(actor, camera, place, shots)
        findings += check_exposure(actor, camera, place, shots)
    tracked = {look.shot.name: look.poses for look in looks if look.poses is not None}
    moving = {found.shot for look in looks for found in look.findings if found.check == HEAD_CHECK}
    steady = {
        name: np.median(poses, axis=0) for name, poses in tracked.items() if name not in moving
    }
    findings += check_standing(steady, actor)
    split = {look.shot.name: look.shot.split for look in looks}
    trained = [poses for name, poses in tracked.items() if split[name] == "train"]
    validated = {name: poses for name, poses in tracked.items() if split[name] == "validation"}
    if trained:
        findings += check_range(actor, np.concatenate(trained), validated)
    return findings


class _Count:
    """Frames that threads have done together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = 0

    def add(self) -> None:
        with self._lock:
            self.value += 1


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1
