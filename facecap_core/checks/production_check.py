"""Production check: everything wrong with a production's files, found before any GPU time is spent."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event

import numpy as np

from facecap_core.checks.footage_check import FootageFacts
from facecap_core.checks.shot_check import ShotReport, check_shot, place_in_list
from facecap_core.errors import Cancelled, FacecapError, Fault, ProductionError
from facecap_core.fingerprints import fingerprint_footage
from facecap_core.footage.landmarks import landmarks_of
from facecap_core.names import did_you_mean
from facecap_core.productions.composition import Composition, composition_warnings
from facecap_core.productions.production import Actor, Production, Shot
from facecap_core.productions.production_toml import LANDMARK_FILES
from facecap_core.productions.toml_lines import line_of
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.template import Template, read_animated, read_template

WORKERS = 4  # threads; they mostly wait for the disk or the network
ASPECT = 3 / 4  # of the network's input, width to height
ASPECT_TOLERANCE = 0.02
INPUT_SIZE = (240, 320)
SMALLEST_MM, LARGEST_MM = 40.0, 1500.0  # of a face or a part of it, of a whole head with hair


@dataclass
class CheckReport:
    """What `check_production` found; `faults` and `warnings` hold those of the shots as well."""

    shots: list[ShotReport]
    compositions: list[Composition]
    faults: list[Fault]
    warnings: list[Fault]


def check_production(
    production: Production,
    *,
    actor: str | None = None,
    on_progress: OnProgress | None = None,
) -> CheckReport:
    """Open every file of every shot, or of one actor's shots.

    Videos are demuxed to count their frames and their first picture is decoded. Point caches are read
    whole, in memory that does not grow with their length. Raises ProductionError for an unknown actor,
    Cancelled when `on_progress` says so; all else that is wrong is in the report.
    """
    if actor is not None and actor not in production.actors:
        remedy = did_you_mean(actor, production.actors)
        fault = Fault(f"there is no actor {actor!r}", remedy, str(production.settings_path))
        raise ProductionError([fault])
    chosen = [shot for shot in production.shots.values() if actor in (None, shot.actor)]
    cast = [found for found in production.actors.values() if actor in (None, found.name)]
    settings_text = production.settings_path.read_text(encoding="utf-8-sig")
    faults = _store_faults(production, settings_text) + _arrays_faults(production, settings_text)
    warnings: list[Fault] = []
    templates = {
        found.name: _read_meshes(found, production, settings_text, faults) for found in cast
    }
    for found in cast:
        faults += _predictor_faults(found, production, settings_text)
        warnings += _crop_warnings(found, production, settings_text)
        warnings += _size_warnings(found, templates[found.name], production, settings_text)
    checked = _check_shots(chosen, production, templates, on_progress)
    _compare_picture_sizes(checked, production)
    _find_copies(checked, production)
    _find_lacking_cameras(checked, production)
    compositions = [_composition(found.name, checked, production.fps) for found in cast]
    warnings += _list_warnings(cast, chosen, compositions, production)
    for found_shot in checked:
        faults += found_shot.faults
        warnings += found_shot.warnings
    return CheckReport(checked, compositions, faults, warnings)


def _store_faults(production: Production, settings_text: str) -> list[Fault]:
    existing = next(path for path in (production.store, *production.store.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return []
    what = "is no folder" if not existing.is_dir() else "cannot be written to"
    line = line_of(settings_text, ["store"])
    remedy = "make it writable, or name another store"
    return [Fault(f"store: {existing} {what}", remedy, str(production.settings_path), line)]


def _arrays_faults(production: Production, settings_text: str) -> list[Fault]:
    try:
        production.paths.check_arrays()
    except FacecapError as error:
        line = line_of(settings_text, ["arrays"])
        message = f"arrays: {error.fault.message}"
        return [Fault(message, error.fault.remedy, str(production.settings_path), line)]
    return []


def _read_meshes(
    actor: Actor, production: Production, settings_text: str, faults: list[Fault]
) -> Template | None:
    """The actor's template, None when it cannot be read; that, and a bad `animated`, is noted."""
    template = None
    key = "template"
    try:
        template = read_template(actor.template)
        if actor.animated is not None:
            key = "animated"
            read_animated(actor.animated, template.vertex_count)
    except FacecapError as error:
        fault = error.fault
        inside = f":{fault.line}" if fault.line else ""
        line = line_of(settings_text, ["actors", actor.name, key])
        message = f"actor {actor.name}: {key}: {fault.message} ({fault.file}{inside})"
        faults.append(Fault(message, fault.remedy, str(production.settings_path), line))
    return template


def _predictor_faults(actor: Actor, production: Production, settings_text: str) -> Iterator[Fault]:
    """Of dlib and what it needs; files of landmarks are looked at with their shots."""
    for camera, settings in actor.cameras.items():
        if settings.landmarks is None or settings.landmarks.lower().endswith(LANDMARK_FILES):
            continue
        try:
            landmarks_of(settings, "")
        except FacecapError as error:
            line = line_of(settings_text, ["actors", actor.name, "cameras", camera, "landmarks"])
            message = f"actor {actor.name}, camera {camera}: landmarks: {error.fault.message}"
            yield Fault(message, error.fault.remedy, str(production.settings_path), line)


def _crop_warnings(actor: Actor, production: Production, settings_text: str) -> Iterator[Fault]:
    for camera, settings in actor.cameras.items():
        _, _, width, height = settings.crop
        line = line_of(settings_text, ["actors", actor.name, "cameras", camera, "crop"])
        place = str(production.settings_path)
        called = f"actor {actor.name}, camera {camera}: the crop"
        if abs(width / height / ASPECT - 1) > ASPECT_TOLERANCE:
            remedy = f"make it 3 wide to 4 high, for example {width} x {round(width / ASPECT)}"
            message = f"{called} of {width} x {height} is squeezed to 3:4"
            yield Fault(message, remedy, place, line)
        if width < INPUT_SIZE[0] or height < INPUT_SIZE[1]:
            message = f"{called} of {width} x {height} is enlarged to 240 x 320"
            yield Fault(message, "record the face larger if you can", place, line)


def _size_warnings(
    actor: Actor, template: Template | None, production: Production, settings_text: str
) -> Iterator[Fault]:
    """Of a template that is no face's size in the production's units, which all errors in mm hang on."""
    if template is None:
        return
    size_mm = float(np.ptp(template.positions, axis=0).max()) * production.mm_per_unit
    if not SMALLEST_MM <= size_mm <= LARGEST_MM:
        message = f"actor {actor.name}: the template is {size_mm:.3g} mm large, which no face is"
        remedy = f"units is {production.units!r}: is it m, cm, mm or another?"
        yield Fault(
            message, remedy, str(production.settings_path), line_of(settings_text, ["units"])
        )


def _check_shots(
    shots: list[Shot],
    production: Production,
    templates: Mapping[str, Template | None],
    on_progress: OnProgress | None,
) -> list[ShotReport]:
    """A report a shot, in the order of `shots`; several are looked at at once."""
    stop = Event()
    taken = {path for shot in production.shots.values() for path in _files(shot)}

    def go_on() -> None:
        if stop.is_set():
            raise Cancelled("check cancelled")

    def look(shot: Shot) -> ShotReport:
        go_on()
        return check_shot(shot, production, templates[shot.actor], taken=taken, go_on=go_on)

    report(on_progress, Progress("check", 0, len(shots), unit="shots"))
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="check") as pool:
        futures = [pool.submit(look, shot) for shot in shots]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                report(on_progress, Progress("check", done, len(shots), unit="shots"))
        except BaseException:
            stop.set()
            raise
        return [future.result() for future in futures]


def _compare_picture_sizes(checked: list[ShotReport], production: Production) -> None:
    """One actor's pictures of one camera must be of one size, or the crop shows another part of the face."""
    groups: dict[tuple[str, str], list[tuple[ShotReport, FootageFacts]]] = defaultdict(list)
    for found in checked:
        for camera, facts in found.footage.items():
            if facts.picture_size is not None:
                groups[found.shot.actor, camera].append((found, facts))
    for (actor, camera), members in groups.items():
        # What is trained on decides; without it, the most.
        trained = [facts.picture_size for found, facts in members if found.shot.split == "train"]
        sizes = Counter(trained or [facts.picture_size for _, facts in members])
        usual = sizes.most_common(1)[0][0]
        assert usual is not None
        for found, facts in members:
            if facts.picture_size is not None and facts.picture_size != usual:
                message = (
                    f"the picture is {facts.picture_size[0]} x {facts.picture_size[1]}, "
                    f"{actor}'s other shots of camera {camera} are {usual[0]} x {usual[1]}"
                )
                remedy = f"export it at {usual[0]} x {usual[1]}, or make it a camera of its own"
                fault = Fault(message, remedy, str(facts.path))
                found.faults.append(place_in_list(fault, found.shot, production))


def _find_copies(checked: list[ShotReport], production: Production) -> None:
    """Warn where two shots have the same footage or cache: copied rows, or a validation shot that is trained on."""
    by_size: dict[tuple[str, int], list[tuple[ShotReport, Path]]] = defaultdict(list)
    for found in checked:
        for path in _files(found.shot):
            if path.is_file():
                kind = "cache" if path == found.shot.cache else "video"
                by_size[kind, path.stat().st_size].append((found, path))
    for (kind, _), members in by_size.items():
        first: dict[str, tuple[ShotReport, Path]] = {}
        for found, path in members if len(members) > 1 else ():
            try:
                original, other = first.setdefault(fingerprint_footage(path), (found, path))
            except FacecapError:
                continue  # It went away meanwhile; the fault is another's to find.
            if other is path:
                continue
            message = f"its {kind} is that of {original.shot.name} too"
            if original is found:
                message = "two of its cameras have the same video"
            if {found.shot.split, original.shot.split} == {"train", "validation"}:
                message += ": trained on and validated on, so the validation error flatters"
            warning = Fault(message, "use another file, or remove one of the rows", str(path))
            found.warnings.append(place_in_list(warning, found.shot, production))


def _find_lacking_cameras(checked: list[ShotReport], production: Production) -> None:
    """Warn where a tracked shot lacks a camera that most have: none of several cameras is trained without it."""
    tracked = [found for found in checked if found.shot.split]
    for actor in production.actors.values():
        own = [found for found in tracked if found.shot.actor == actor.name]
        for camera in actor.cameras:
            lacking = [found for found in own if camera not in found.shot.footage]
            if camera == actor.main_camera or 2 * len(lacking) > len(own):
                continue
            for found in lacking:
                message = f"has no footage of camera {camera}, which {actor.name}'s other tracked shots have"
                remedy = (
                    f"name its video under {camera}: a training with --camera {camera} needs it"
                )
                warning = Fault(message, remedy)
                found.warnings.append(place_in_list(warning, found.shot, production))


def _files(shot: Shot) -> list[Path]:
    return [*shot.footage.values(), *([shot.cache] if shot.cache else [])]


def _composition(actor: str, checked: list[ShotReport], fps: Fraction) -> Composition:
    composition = Composition(actor)
    for found in checked:
        if found.shot.actor == actor:
            composition.add(found.shot.split, found.shot.category, found.frames or 0, fps)
    return composition


def _list_warnings(
    cast: list[Actor], shots: list[Shot], compositions: list[Composition], production: Production
) -> Iterator[Fault]:
    """Of the list as a whole."""
    place = str(production.shots_path)
    for actor, composition in zip(cast, compositions, strict=True):
        own = [shot for shot in shots if shot.actor == actor.name]
        if not own:
            yield Fault(f"actor {actor.name} has no shots", "add a row for each", place)
        elif not any(shot.split == "train" for shot in own):
            remedy = "set split to train for tracked shots, about 10 min of them"
            yield Fault(f"actor {actor.name} has no shot to train on", remedy, place)
        yield from composition_warnings(composition, place)
    seen: dict[str, Shot] = {}
    for shot in shots:
        other = seen.setdefault(shot.name.casefold(), shot)
        if other is not shot:
            message = f"shots {other.name} and {shot.name} differ in case only"
            remedy = "rename one: on Windows and macOS they are the same folder"
            yield Fault(message, remedy, place, shot.line)
