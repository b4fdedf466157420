"""Delivery: an artist's file of corrected frames, held against the shot before it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facecap_core.corrections.correction import content_of, digests_of, runs
from facecap_core.corrections.export_record import first_number, told_beside
from facecap_core.corrections.file_axes import Axes, axes_of, disagreements
from facecap_core.corrections.placement import Placed, place_frames
from facecap_core.errors import PointCacheError
from facecap_core.learning.rmse import per_frame_rmse_mm
from facecap_core.pointcaches.cache import PointCache
from facecap_core.pointcaches.reader import open_point_cache, split_mesh
from facecap_core.productions.production import Production
from facecap_core.productions.production_toml import rates_agree
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.solved_shot import SolvedShot
from facecap_core.template import read_animated
from facecap_core.units import MM_PER_UNIT

BLOCK = 64
UNCHANGED_MM = 0.01  # by units, axes and text no export moves a vertex so far
# Of the mesh's radius. Another unit is a factor of 2.5 at least; a mouth that was solved shut and is
# corrected to wide open moves the whole face by a tenth.
ABSURD = 0.25
UNUSUAL = 0.08


@dataclass(frozen=True)
class Reading:
    """How the file is to be read; None: as the file or the export's JSON beside it says, else as the production."""

    frames: tuple[int, int] | None = None  # first and last, numbered from `start_frame`
    units: str | None = None
    up_axis: str | None = None
    start_frame: int | None = None


@dataclass(frozen=True)
class Delivery:
    """What would be kept."""

    path: Path
    format: str
    axes: Axes
    start_frame: int  # what the shot's first frame is called
    frames: np.ndarray  # int64 [n] of the shot, counted from 0
    rmse_mm: np.ndarray  # float64 [n], from what was solved
    worst_mm: float  # of any vertex
    content: str
    warnings: tuple[str, ...]
    _placed: Placed
    _solved: SolvedShot

    def blocks(self) -> Iterator[np.ndarray]:
        """Positions of the frames in order, float32 [frame, vertex, xyz] in the production's units.

        Raises:
            PointCacheError: they are not those that were held against the shot.
        """
        digests: list[bytes] = []
        with closing(_open(self.path, self._solved)) as cache:
            for first, block in _blocks(cache, self._placed):
                kept = block[np.isin(first + np.arange(len(block)), self.frames)]
                if len(kept):
                    right = self.axes.converted(kept, _units_of(self._solved))
                    digests += digests_of(right)
                    yield right
        if content_of(self.frames.tolist(), digests) != self.content:
            raise PointCacheError(
                "was written to while it was read",
                remedy="wait until it is exported whole, then hand it in again",
                file=self.path,
            )

    def facts(self) -> dict[str, Any]:
        """What is kept with it."""
        about = self._solved.facts
        names = ("model", "model_fingerprint", "footage_fingerprint", "job", "made")
        return {
            "file": self.path.name,
            "format": self.format,
            "file_units": self.axes.units,
            "file_up_axis": self.axes.up_axis,
            "units": _units_of(self._solved),
            "fps": str(about["fps"]),
            "topology_sha256": self._solved.template.topology_sha256,
            "camera": about.get("camera"),
            "footage_fingerprint": about.get("footage_fingerprint"),
            "solve": {name: about.get(name) for name in names},
            "rmse_mm": round(float(np.sqrt(np.mean(np.square(self.rmse_mm)))), 4),
            "worst_mm": round(self.worst_mm, 4),
        }

    @property
    def jumps_mm(self) -> dict[int, float]:
        """At each end of the corrected ranges that is not one of the shot, how far it is from the solve."""
        ends = {frame for pair in runs(self.frames) for frame in pair}
        ends -= {0, self._solved.frames - 1}
        distance = dict(zip(self.frames.tolist(), self.rmse_mm.tolist(), strict=True))
        return {end: distance[end] for end in sorted(ends)}


def read_delivery(
    production: Production,
    solved: SolvedShot,
    path: Path,
    reading: Reading,
    *,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Delivery:
    """Read all of a file and hold it against the shot, in flat memory.

    Without `reading.frames` a file of the whole shot corrects the frames in which it differs from the shot
    as it is exported now; one that was delivered before, those that it corrected then.

    Args:
        solved: with its corrections. force: take positions that are absurdly far from what was solved.

    Raises:
        PointCacheError: damaged, of another mesh, not finite, of other frames or another rate, absurdly far
            from what was solved, or not different from it at all. StoreError: the solve cannot be read.
    """
    with closing(_open(path, solved)) as cache:
        told = told_beside(path, solved.name)
        axes = axes_of(cache, reading.units, reading.up_axis, told, _units_of(solved))
        _check_rate(cache, solved)
        start_frame = reading.start_frame
        if start_frame is None:
            start_frame = first_number(told, solved.start_frame)
        placed = place_frames(cache, solved.frames, reading.frames, start_frame)
        measured = _measure(production, solved, cache, placed, axes, on_progress)
        kept = _to_keep(solved, measured) if placed.whole else np.ones(placed.count, bool)
        if not kept.any():
            raise PointCacheError(
                f"no frame differs from {solved.name} as it is now by more than {UNCHANGED_MM} mm",
                remedy="export the corrected mesh, or name frames that are right as they are: --frames",
                file=path,
            )
        frames, rmse_mm = placed.first + np.flatnonzero(kept), measured.rmse_mm[kept]
        radius_mm = _radius(solved.template.positions) * production.mm_per_unit
        if not force and float(np.median(rmse_mm)) > ABSURD * radius_mm:
            raise PointCacheError(
                f"is {np.median(rmse_mm):.0f} mm from what was solved, on a face of {radius_mm:.0f} mm",
                remedy=_better(production, solved, cache, placed, axes)
                or "look at the shot, the frames and the head's motion; --force takes it all the same",
                file=path,
            )
        notes = [*cache.notes, *disagreements(cache, reading.units, reading.up_axis)]
        named = split_mesh(path)[0].stem.partition(".%")[0]
        if named != solved.name and named in production.shots:
            notes.append(f"the file is named after {named}: is it really of {solved.name}?")
        far = frames[rmse_mm > UNUSUAL * radius_mm]
        if len(far):
            notes.append(
                f"{len(far)} frames, {far[0] + start_frame} first, are up to {rmse_mm.max():.1f} mm from what"
                " was solved: is the head's motion in them, or another take?"
            )
    digests = [one for one, keep in zip(measured.digests, kept, strict=True) if keep]
    return Delivery(
        path=path,
        format=cache.format,
        axes=axes,
        start_frame=start_frame,
        frames=frames,
        rmse_mm=rmse_mm,
        worst_mm=float(measured.worst_mm[kept].max()),
        content=content_of(frames.tolist(), digests),
        warnings=tuple(notes),
        _placed=placed,
        _solved=solved,
    )


# -- reading -----------------------------------------------------------------------------------------


def _open(path: Path, solved: SolvedShot) -> PointCache:
    count = solved.template.vertex_count
    return open_point_cache(path, vertex_count=count, topology=solved.template)


def _blocks(cache: PointCache, placed: Placed) -> Iterator[tuple[int, np.ndarray]]:
    """First frame of the shot and raw positions, some frames at a time."""
    for start in range(0, placed.count, BLOCK):
        stop = min(start + BLOCK, placed.count)
        yield placed.first + start, cache.read(placed.row + start, placed.row + stop)


def _units_of(solved: SolvedShot) -> str:
    return str(solved.facts["units"])


def _check_rate(cache: PointCache, solved: SolvedShot) -> None:
    if cache.fps is not None and not rates_agree(cache.fps, solved.fps):
        raise PointCacheError(
            f"runs at {float(cache.fps):g} frames/s, the shot at {float(solved.fps):g}",
            remedy="export it at the shot's rate, a frame for each of its frames",
            file=cache.path,
        )


# -- measuring ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """Of each frame of the file, [frame]."""

    rmse_mm: np.ndarray
    worst_mm: np.ndarray
    differs: np.ndarray  # from the shot as it is now, bool
    digests: list[bytes]


def _to_keep(solved: SolvedShot, measured: _Measured) -> np.ndarray:
    """The frames of a file of the whole shot that are corrected, bool [frame].

    Of a file that was delivered before they are the same, though no frame differs from the shot any more.
    """
    differs, corrections = measured.differs, solved.corrections
    if corrections is None:
        return differs
    # Where corrections fade out, the shot is not as it was solved; who left it so did not correct it.
    differs = differs & (corrections.corrected | (measured.worst_mm > UNCHANGED_MM))
    before = corrections.counting_in(measured.digests)
    if before is not None and not differs.any():
        differs[before.frames] = True
    return differs


def _measure(
    production: Production,
    solved: SolvedShot,
    cache: PointCache,
    placed: Placed,
    axes: Axes,
    on_progress: OnProgress | None,
) -> _Measured:
    actor, mm = solved.actor, production.mm_per_unit
    count = solved.template.vertex_count
    animated = read_animated(actor.animated, count)
    rmse, worst, differs = [], [], []
    digests: list[bytes] = []
    for first, raw in _blocks(cache, placed):
        report(on_progress, Progress("check", first - placed.first, placed.count))
        block = axes.converted(raw, _units_of(solved))
        result, last = solved.read_solved(first, first + len(block)), first + len(block)
        rmse.append(per_frame_rmse_mm(block, result, animated=animated, mm_per_unit=mm))
        worst.append(np.linalg.norm(block - result, axis=2).max(axis=1) * mm)
        moved = np.linalg.norm(block - solved.read(first, last), axis=2).max(axis=1) * mm
        differs.append(moved > UNCHANGED_MM)
        digests += digests_of(block)
    return _Measured(np.concatenate(rmse), np.concatenate(worst), np.concatenate(differs), digests)


def _better(
    production: Production, solved: SolvedShot, cache: PointCache, placed: Placed, axes: Axes
) -> str:
    """Options with which the file would be near to what was solved; empty where there are none."""
    rows = np.unique(np.linspace(0, placed.count - 1, 5).astype(int)).tolist()
    found: list[tuple[float, Axes]] = []
    for units in MM_PER_UNIT:
        for up_axis in ("y", "z"):
            other, errors = Axes(units, up_axis), []
            for row in rows:
                raw = cache.read(placed.row + row, placed.row + row + 1)
                result = solved.read_solved(placed.first + row, placed.first + row + 1)
                errors.append(
                    float(
                        per_frame_rmse_mm(
                            other.converted(raw, _units_of(solved)),
                            result,
                            mm_per_unit=production.mm_per_unit,
                        )[0]
                    )
                )
            found.append((float(np.median(errors)), other))
    nearest, best = min(found, key=lambda pair: pair[0])
    if nearest > ABSURD * _radius(solved.template.positions) * production.mm_per_unit:
        return ""
    options = f"--units {best.units}" if best.units != axes.units else ""
    options += f" --up-axis {best.up_axis}" if best.up_axis != axes.up_axis else ""
    return f"with {options.strip()} it would be {nearest:.2f} mm from it"


def _radius(rest: np.ndarray) -> float:
    centred = rest - rest.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(np.square(centred), axis=1))))
