"""Which planted faults does `farm check --deep` find, what does it cry wolf at, and what does it cost beside decoding?

    python -m benchmarks.deep_check PRODUCTION [--shots a,b,c] [--camera left] [--all-caches]

PRODUCTION is sound footage with caches: what is found there as it is counts as false alarms, to be looked at one by
one. Faults are planted in the named shots one after another, by writing their video or their cache anew; each
time the changed shot is held against all the others as they are. "others" are findings that nobody planted.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.arguments import arguments
from benchmarks.deep_check_faults import Fault, cache_faults, video_faults
from benchmarks.record import figure
from benchmarks.spoilt_footage import recode
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
        """What the check makes of a shot's signals."""
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
        """Those of each shot, and those of shots held against one another."""
        found = [finding for look in looks.values() for finding in look.findings]
        for composition in self.report.compositions:
            own = [look for look in looks.values() if look.shot.actor == composition.actor]
            found += compare_shots(composition, own)
        return found

    def planted(self, found: ShotReport, fault: Fault) -> list[Finding]:
        """What is found when a shot has a fault."""
        spoilt = self._with_cache if fault.cache is not None else self._with_pictures
        look = self.look(found, spoilt(found, fault))
        return self.findings({**self.looks, found.shot.name: look})

    def _with_cache(self, found: ShotReport, fault: Fault) -> ShotSignals:
        shot = found.shot
        assert shot.cache is not None
        assert fault.cache is not None
        template, unit = self.templates[shot.actor], self.production.mm_per_unit
        with open_point_cache(shot.cache, vertex_count=template.vertex_count) as cache:
            positions = cache.read(0, cache.frame_count)
        path = self.work / "planted.pc2"
        write_pc2(path, np.ascontiguousarray(fault.cache(positions, unit), np.float32))
        signals = read_cache(path, template, mm_per_unit=unit)
        return replace(self.kept[shot.name], cache=signals)

    def _with_pictures(self, found: ShotReport, fault: Fault) -> ShotSignals:
        actor = self.production.actors[found.shot.actor]
        camera = actor.main_camera
        if fault.second_camera:
            camera = next(name for name in found.footage if name != camera)
        elif self.camera:
            camera = self.camera
        facts = found.footage[camera]
        frames, crop = facts.frames or 0, actor.cameras[camera].crop
        path = self.work / "planted.mp4"
        order = fault.order(frames) if fault.order else list(range(frames))
        recode(facts.path, path, order, fault.edit(frames, crop[2:]) if fault.edit else None)
        pictures = read_pictures(
            path,
            crop=crop,
            picture_size=facts.picture_size or (0, 0),
            fps=self.production.fps,
            frames=frames,
        )
        kept = self.kept[found.shot.name]
        return replace(kept, pictures={**kept.pictures, camera: pictures})


def main() -> None:
    parser = arguments(__doc__)
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
