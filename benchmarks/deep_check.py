"""Which planted faults does `farm check --deep` find, what does it cry wolf at, and what does it cost beside decoding?

    python -m benchmarks.deep_check PRODUCTION [--shots a,b,c] [--camera left] [--all-caches]

PRODUCTION is sound footage with caches: what is found there as it is counts as false alarms, to be looked at one by
one. Faults are planted in the named shots one after another, by writing their video or their cache anew; each
time the changed shot is held against all the others as they are. "others" are findings that nobody planted.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.record import figure
from benchmarks.spoilt_footage import (
    Edit,
    black,
    darker,
    dimming,
    doubled,
    flatter,
    flickering,
    later,
    moved,
    recode,
    with_head_motion,
)
from facecap_core.checks.cache_signals import read_cache
from facecap_core.checks.deep_check import compare_shots
from facecap_core.checks.finding import Finding
from facecap_core.checks.picture_signals import read_pictures, surroundings
from facecap_core.checks.production_check import check_production
from facecap_core.checks.shot_check import ShotReport
from facecap_core.checks.shot_look import ShotLook, ShotSignals, look_at_shot, read_shot
from facecap_core.footage.footage import Footage
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.productions.production import Production, load_production
from facecap_core.template import Template, read_template

TOLERANCE = 0.25  # of a figure; offsets are whole frames, so theirs is right or wrong
OFFSETS = (-15, -8, -3, -2, -1, 1, 2, 3, 8, 15)


@dataclass(frozen=True)
class Fault:
    """A fault to plant in a shot: how its video or its cache is changed, and what must be found."""

    name: str
    check: str
    order: Callable[[int], list[int]] | None = None  # of a camera's pictures
    edit: Callable[[int, tuple[int, int]], Edit] | None = None  # of frames, and of the crop's size
    cache: Callable[[np.ndarray, float], np.ndarray] | None = None  # of positions, mm a unit
    figure: float | None = None
    second_camera: bool = False


def cache_faults() -> list[Fault]:
    """Those of caches, which cost no decoding."""
    found = [
        Fault(
            f"cache {offset:+d} frames",
            "frame offset",
            cache=lambda positions, _, offset=offset: positions[later(len(positions), offset)],
            figure=-offset,
        )
        for offset in OFFSETS
    ]
    found += [
        Fault(
            f"head motion {degrees:g} degrees, {mm:g} mm",
            "head motion",
            cache=lambda positions, unit, degrees=degrees, mm=mm: with_head_motion(
                positions, degrees, mm, mm_per_unit=unit
            ),
        )
        for degrees, mm in ((0.25, 0.5), (0.5, 1), (1, 2), (2, 4))
    ]
    found.append(
        Fault(
            "head 3 mm aside",
            "head motion",
            cache=lambda positions, unit: positions + np.float32(3 / unit / 3**0.5),
        )
    )
    found.append(
        Fault(
            "every 5th mesh doubled",
            "held frames",
            cache=lambda p, _: p[doubled(len(p), range(4, len(p), 5))],
        )
    )
    found.append(
        Fault(
            "one mesh doubled",
            "held frames",
            cache=lambda p, _: p[doubled(len(p), [len(p) // 2])],
        )
    )
    found.append(Fault("every 2nd mesh interpolated", "held frames", cache=_bent))
    return found


def video_faults() -> list[Fault]:
    """Those of pictures, which are encoded anew."""
    return [
        Fault("nothing (only encoded anew)", ""),
        Fault("every 5th picture doubled", "held frames", lambda n: doubled(n, range(4, n, 5))),
        Fault(
            "2 of 5 pictures doubled",
            "held frames",
            lambda n: doubled(n, [i for i in range(2, n) if i % 5 in (2, 4)]),
        ),
        Fault("one picture doubled", "held frames", lambda n: doubled(n, [n // 2])),
        Fault("25 pictures frozen", "held frames", lambda n: doubled(n, range(60, 85))),
        Fault("20 % darker", "exposure", edit=lambda *_: darker(0.20), figure=-20),
        Fault("25 % less contrast", "exposure", edit=lambda *_: flatter(0.25), figure=-25),
        Fault("dims by 30 %", "exposure", edit=lambda n, _: dimming(0.3, n)),
        Fault("flickers by 6 %", "exposure", edit=lambda *_: flickering(0.06), figure=6),
        Fault("12 black pictures", "black pictures", edit=lambda *_: black(40, 51), figure=12),
        Fault(
            "picture moved by 25 % of the crop",
            "face in crop",
            edit=lambda _, size: moved(size[0] // 4, 0),
        ),
        *(
            Fault(
                f"second camera {offset:+d} frames",
                "camera sync",
                lambda n, offset=offset: later(n, offset),
                figure=-offset,
                second_camera=True,
            )
            for offset in (-8, -2, -1, 1, 5)
        ),
    ]


def _bent(positions: np.ndarray, _: float) -> np.ndarray:
    bent = positions.copy()
    last = len(bent) - 1 - len(bent) % 2
    bent[1:last:2] = (bent[0 : last - 1 : 2] + bent[2 : last + 1 : 2]) / 2
    return bent


class Bench:
    """A production that was looked into, in whose shots faults are planted one at a time."""

    def __init__(self, production: Production, work: Path, camera: str) -> None:
        self.production = production
        self.camera = camera
        self.work = work
        self.report = check_production(production)
        self.sound = [found for found in self.report.shots if not found.faults]
        self.templates: dict[str, Template] = {
            name: read_template(actor.template) for name, actor in production.actors.items()
        }
        self.looks: dict[str, ShotLook] = {}
        self.kept: dict[str, ShotSignals] = {}

    def look(self, found: ShotReport, signals: ShotSignals) -> ShotLook:
        main = self.production.actors[found.shot.actor].main_camera
        return look_at_shot(found.shot, signals, main_camera=main, fps=float(self.production.fps))

    def clean(self, wanted: set[str]) -> tuple[list[Finding], list[float]]:
        """All findings as it is; for each wanted shot the processor time of looking by that of decoding."""
        ratios = []
        for found in self.sound:
            began = time.process_time()
            signals = read_shot(found, self.production, self.templates[found.shot.actor])
            self.looks[found.shot.name] = self.look(found, signals)
            looking = time.process_time() - began
            if found.shot.name in wanted:
                self.kept[found.shot.name] = signals
                began = time.process_time()
                for camera in found.footage:
                    for _ in self.footage(found, camera):
                        pass
                ratios.append(looking / (time.process_time() - began))
        return self.findings(self.looks), ratios

    def footage(self, found: ShotReport, camera: str) -> Footage:
        """A camera's pictures as the check decodes them."""
        crop = self.production.actors[found.shot.actor].cameras[camera].crop
        facts = found.footage[camera]
        around = surroundings(crop, facts.picture_size or (0, 0))
        return Footage(facts.path, crop=around, fps=self.production.fps)

    def findings(self, looks: dict[str, ShotLook]) -> list[Finding]:
        found = [finding for look in looks.values() for finding in look.findings]
        for composition in self.report.compositions:
            own = [look for look in looks.values() if look.shot.actor == composition.actor]
            found += compare_shots(composition, own)
        return found

    def planted(self, found: ShotReport, fault: Fault) -> list[Finding]:
        """What is found when a shot has a fault."""
        shot, signals = found.shot, self.kept[found.shot.name]
        if fault.cache is not None:
            assert shot.cache is not None
            template, unit = self.templates[shot.actor], self.production.mm_per_unit
            with open_point_cache(shot.cache, vertex_count=template.vertex_count) as cache:
                positions = cache.read(0, cache.frame_count)
            path = self.work / "planted.pc2"
            write_pc2(path, np.ascontiguousarray(fault.cache(positions, unit), np.float32))
            signals = replace(signals, cache=read_cache(path, template, mm_per_unit=unit))
        else:
            actor = self.production.actors[shot.actor]
            camera = actor.main_camera
            if fault.second_camera:
                camera = next(name for name in found.footage if name != camera)
            elif self.camera:
                camera = self.camera
            facts = found.footage[camera]
            frames, crop = facts.frames or 0, actor.cameras[camera].crop
            path = self.work / "planted.mp4"
            order = fault.order(frames) if fault.order else list(range(frames))
            edit = fault.edit(frames, crop[2:]) if fault.edit else None
            recode(facts.path, path, order, edit)
            pictures = read_pictures(
                path,
                crop=crop,
                picture_size=facts.picture_size or (0, 0),
                fps=self.production.fps,
                frames=frames,
            )
            signals = replace(signals, pictures={**signals.pictures, camera: pictures})
        return self.findings({**self.looks, shot.name: self.look(found, signals)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("production", type=Path)
    parser.add_argument("--shots", default="", help="those to plant in (default: three tracked)")
    parser.add_argument(
        "--all-caches", action="store_true", help="cache faults in all tracked shots"
    )
    parser.add_argument(
        "--camera", default="", help="whose pictures are spoilt (default: the main)"
    )
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="deep-check-"))
    try:
        bench = Bench(load_production(options.production), work, options.camera)
        _run(bench, options.shots, options.all_caches)
    finally:
        shutil.rmtree(work)


def _run(bench: Bench, listed: str, all_caches: bool) -> None:
    tracked = [found for found in bench.sound if found.shot.cache]
    names = (
        listed.split(",")
        if listed
        else [found.shot.name for found in tracked[:: len(tracked) // 3]]
    )
    chosen = [found for found in tracked if found.shot.name in names]
    for_caches = tracked if all_caches else chosen
    before, ratios = bench.clean({found.shot.name for found in for_caches})
    print(f"as it is, {len(bench.sound)} shots: {len(before)} findings")
    for finding in before:
        print(f"  {finding.shot or finding.actor}: {finding.check}: {finding.message}")
    figure("deep check : decoding the same pictures, processor time", ratios)
    known = {(found.shot, found.check, found.camera) for found in before}
    print(f"\n{'planted':36} {'shots':>5} {'found':>5} {'wrong':>5} {'others':>6}  missed in")
    for fault in [*cache_faults(), *video_faults()]:
        _row(bench, for_caches if fault.cache else chosen, fault, known)


def _row(
    bench: Bench, shots: list[ShotReport], fault: Fault, known: set[tuple[str, str, str]]
) -> None:
    hit = wrong = others = 0
    missed = []
    for found in shots:
        new = [
            finding
            for finding in bench.planted(found, fault)
            if (finding.shot, finding.check, finding.camera) not in known
        ]
        right = [one for one in new if (one.check, one.shot) == (fault.check, found.shot.name)]
        others += len(new) - len(right)
        if fault.check and not right:
            missed.append(found.shot.name)
        elif right and fault.figure and abs(right[0].figure / fault.figure - 1) > TOLERANCE:
            wrong += 1
        else:
            hit += bool(right)
    print(
        f"{fault.name:36} {len(shots):5} {hit:5} {wrong:5} {others:6}  {' '.join(missed)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
