"""Shot look: what the deep checks find in one shot by itself, with what is kept to compare others with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.cache_signals import CacheSignals, read_cache
from facecap_core.checks.exposure import check_steadiness
from facecap_core.checks.face_place import CameraSummary, predicted_motion
from facecap_core.checks.finding import Finding
from facecap_core.checks.frame_offset import Pairing, pair_cameras, pair_with_cache
from facecap_core.checks.head_motion import check_head_motion
from facecap_core.checks.held_frames import check_meshes, check_pictures
from facecap_core.checks.picture_signals import PictureSignals, read_pictures
from facecap_core.checks.shot_check import ShotReport
from facecap_core.productions.production import Production, Shot
from facecap_core.template import Template

POSES = 100  # frames of a shot that others are compared with
HEAD_POSES = 300


@dataclass
class ShotLook:
    """One shot, seen whole. `poses` [frame, vertex, xyz] in mm are some frames of its cache.

    `findings` are what it shows by itself.
    """

    shot: Shot
    findings: list[Finding] = field(default_factory=list)
    pairings: list[Pairing] = field(default_factory=list)
    cameras: dict[str, CameraSummary] = field(default_factory=dict)
    poses: NDArray[np.float64] | None = None


@dataclass
class ShotSignals:
    """What was read of a shot: its cameras' pictures, and its cache where it has one."""

    pictures: dict[str, PictureSignals]
    cache: CacheSignals | None


def read_shot(
    found: ShotReport,
    production: Production,
    template: Template,
    *,
    threads: int = 1,
    on_frame: Callable[[], None] = lambda: None,
) -> ShotSignals:
    """Decode all cameras of a shot that the plain check found sound, and read its cache.

    `on_frame` is called after each decoded picture, and may raise to end it. Raises FootageError and
    PointCacheError for damage that only shows when all is decoded.
    """
    cameras = production.actors[found.shot.actor].cameras
    pictures = {}
    for camera, facts in found.footage.items():
        assert facts.picture_size is not None
        assert facts.frames is not None
        pictures[camera] = read_pictures(
            facts.path,
            crop=cameras[camera].crop,
            picture_size=facts.picture_size,
            fps=production.fps,
            frames=facts.frames,
            threads=threads,
            on_frame=on_frame,
        )
    path = found.shot.cache
    cache = read_cache(path, template, mm_per_unit=production.mm_per_unit) if path else None
    return ShotSignals(pictures, cache)


def look_at_shot(shot: Shot, signals: ShotSignals, *, main_camera: str, fps: float) -> ShotLook:
    """What is wrong with a shot by itself, and what is kept of it."""
    look = ShotLook(shot)
    cache = signals.cache
    if cache is not None:
        look.findings += check_meshes(shot, cache)
        look.findings += check_head_motion(shot, cache.some(HEAD_POSES))
        look.poses = cache.some(POSES)
    main = signals.pictures.get(main_camera)
    off = False
    if cache is not None and main is not None:
        off = _paired(look, pair_with_cache(shot, main_camera, main, cache))
    for camera, pictures in signals.pictures.items():
        look.findings += check_pictures(shot, camera, pictures)
        look.findings += check_steadiness(shot, camera, pictures, fps)
        apart = False
        if main is not None and pictures is not main:
            apart = _paired(look, pair_cameras(shot, main_camera, camera, main, pictures))
        # Pictures that do not go with the cache do not say where the face is.
        usable = cache is not None and not off and not apart
        motion = predicted_motion(pictures, cache) if cache and usable else None
        look.cameras[camera] = CameraSummary.of(shot.name, pictures, motion)
    return look


def _paired(look: ShotLook, pairing: Pairing | None) -> bool:
    """Keep it; whether the two are off."""
    if pairing is None:
        return False
    look.pairings.append(pairing)
    if pairing.curve.is_off:
        look.findings.append(pairing.finding())
    return pairing.curve.is_off
