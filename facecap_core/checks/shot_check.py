"""Shot check: everything wrong with one shot's files, by themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from facecap_core.checks.cache_check import CacheFacts, check_cache
from facecap_core.checks.footage_check import FootageFacts, check_footage
from facecap_core.errors import Cancelled, FacecapError, Fault
from facecap_core.footage.image_sequence import pattern_of
from facecap_core.footage.landmark_file import FileLandmarks
from facecap_core.names import nearest
from facecap_core.productions.production import Production, Shot
from facecap_core.productions.production_toml import LANDMARK_FILES
from facecap_core.template import Template

GoOn = Callable[[], None]
"""Raises Cancelled when the caller asked for an end."""


@dataclass
class ShotReport:
    """A shot as found; `frames` are the main camera's, None when they could not be counted."""

    shot: Shot
    footage: dict[str, FootageFacts] = field(default_factory=dict)
    cache: CacheFacts | None = None
    frames: int | None = None
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)


def check_shot(
    shot: Shot,
    production: Production,
    template: Template | None,
    *,
    taken: Set[Path],
    go_on: GoOn,
) -> ShotReport:
    """Look at all files of a shot; without a template (it has a fault) not at the cache.

    `taken` are the files of all shots: none of them is proposed in place of a missing one.
    """
    look = _Look(shot, production, taken)
    look.footage()
    look.landmarks()
    go_on()
    if shot.cache is not None and template is not None:
        look.cache(shot.cache, template, go_on)
    if shot.split and not shot.category:
        remedy = "name it, so that the composition can be judged"
        look.warn(Fault(f"is for {shot.split}, but has no category", remedy))
    return look.report


class _Look:
    """The report in the making."""

    def __init__(self, shot: Shot, production: Production, taken: Set[Path]) -> None:
        self.report = ShotReport(shot)
        self.production = production
        self.taken = taken
        self.main = ""  # the camera whose frames are those of the shot

    def fault(self, fault: Fault) -> None:
        self.report.faults.append(place_in_list(fault, self.report.shot, self.production))

    def warn(self, fault: Fault) -> None:
        self.report.warnings.append(place_in_list(fault, self.report.shot, self.production))

    def footage(self) -> None:
        shot, actor = self.report.shot, self.production.actors[self.report.shot.actor]
        main = actor.main_camera
        for camera, path in shot.footage.items():
            facts = check_footage(path, crop=actor.cameras[camera].crop, fps=self.production.fps)
            self.report.footage[camera] = facts
            for fault in facts.faults:
                self.fault(self.with_neighbour(fault, path))
            for warning in facts.warnings:
                self.warn(warning)
        if main not in shot.footage:
            missing = f"has no footage of camera {main}"
            if shot.split:
                remedy = f"name its video under {main}: it is the camera that the network sees"
                self.fault(Fault(missing, remedy))
            else:
                remedy = "only a model of several cameras solves it"
                self.warn(Fault(missing, f"name its video under {main}; else {remedy}"))
            main = next(iter(shot.footage))
        self.main = main
        self.report.frames = frames = self.report.footage[main].frames
        for camera, facts in self.report.footage.items():
            if frames is not None and facts.frames not in (None, frames):
                message = f"camera {camera} has {facts.frames} frames, camera {main} has {frames}"
                self.fault(Fault(message, "cut them to the same frames", str(facts.path)))
            elif apart := self.apart(facts.start):
                message = (
                    f"camera {camera} begins {_told(apart)} camera {main}, by timecode or file number;"
                    " they are paired from the first frame on"
                )
                remedy = "cut both at the same moment, unless their clocks were not in step"
                self.warn(Fault(message, remedy, str(facts.path)))

    def landmarks(self) -> None:
        """Files of points, which are the shot's own."""
        shot, actor = self.report.shot, self.production.actors[self.report.shot.actor]
        for camera, facts in self.report.footage.items():
            path = actor.cameras[camera].landmark_path(shot.name)
            if path is None or path.suffix.lower() not in LANDMARK_FILES:
                continue
            try:
                points = FileLandmarks(path)
                if facts.frames is not None:
                    points.check_frames(facts.frames)
            except FacecapError as error:
                self.fault(self.with_neighbour(error.fault, path))

    def cache(self, path: Path, template: Template, go_on: GoOn) -> None:
        production = self.production
        try:
            self.report.cache = facts = check_cache(
                path,
                template,
                fps=production.fps,
                units=production.units,
                mm_per_unit=production.mm_per_unit,
                between_blocks=go_on,
            )
        except Cancelled:
            raise
        except FacecapError as error:
            self.fault(self.with_neighbour(error.fault, path))
            return
        for fault in facts.faults:
            self.fault(fault)
        for warning in facts.warnings:
            self.warn(warning)
        if facts.start_frame not in (None, 0, 1) and (apart := self.apart(facts.start_frame)):
            message = (
                f"the cache begins {_told(apart)} the video, by the number of its first frame;"
                " they are paired from the first frame on"
            )
            self.warn(Fault(message, "export both over the same range of frames", str(path)))
        if self.report.frames not in (None, facts.frames):
            message = f"the cache has {facts.frames} frames, the video {self.report.frames}"
            remedy = "export both over the same range of frames"
            self.fault(Fault(message, remedy, str(path)))

    def apart(self, start: float | None) -> int:
        """How many frames after the shot's pictures something begins; 0 where that cannot be told.

        What begins beyond them counts by another clock.
        """
        pictures = self.report.footage[self.main].start
        if start is None or pictures is None:
            return 0
        apart = round(start - pictures)
        return apart if abs(apart) < (self.report.frames or 0) else 0

    def with_neighbour(self, fault: Fault, path: Path) -> Fault:
        """For a missing file or a folder, the remedy names the one that was probably meant."""
        folder = path if path.is_dir() else path.parent
        if (path.exists() and path != folder) or "%" in path.name:
            return fault
        if "\\" in path.name:
            return replace(fault, remedy="write / between folders, not \\")
        try:
            names = [member.name for member in folder.iterdir() if member not in self.taken]
        except OSError:
            return fault
        pattern = _meant_sequence(path, names)
        if pattern is not None:
            within = f"{path.name}/" if path == folder else ""
            return replace(fault, remedy=f"name the image sequence: {within}{pattern}")
        if path == folder:
            return fault
        match = nearest(path.name, names)
        return replace(fault, remedy=f"did you mean {match}?") if match else fault


def _meant_sequence(path: Path, names: Iterable[str]) -> str | None:
    """The sequence among files that a folder or another program's notation means: `shot.####.png`, `shot.*.png`."""
    patterns = sorted({found for name in names if (found := pattern_of(name))})
    if not path.is_dir():
        start = re.split(r"[#*@$\[{<]", path.name)[0]
        if start == path.name:
            return None
        patterns = [found for found in patterns if found.startswith(start + "%")]
        patterns = [found for found in patterns if Path(found).suffix == path.suffix]
    return patterns[0] if len(patterns) == 1 else None


def _told(apart: int) -> str:
    count = f"{abs(apart)} frame" + ("s" if abs(apart) > 1 else "")
    return f"{count} {'after' if apart > 0 else 'before'}"


def place_in_list(fault: Fault, shot: Shot, production: Production) -> Fault:
    """The fault of a shot's file, placed at the shot's row: there it is named, and there mended."""
    inside = ""
    if fault.file:
        path = Path(fault.file)
        if path.is_relative_to(production.folder):
            path = path.relative_to(production.folder)
        inside = f" ({path}{f':{fault.line}' if fault.line else ''})"
    message = f"{shot.name}: {fault.message}{inside}"
    return Fault(message, fault.remedy, str(production.shots_path), shot.line)
