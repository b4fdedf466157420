"""USD: a mesh whose points are sampled over time, in .usd, .usda or .usdc."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.cache import as_float32
from facecap_core.pointcaches.native import (
    Candidate,
    MeshPolygons,
    check_points,
    check_still_topology,
    choose_mesh,
    still_transform,
    transformed,
    unit_name,
)
from facecap_core.pointcaches.rates import nominal_rate
from facecap_core.template import Polygons

ON_GRID = 1e-3  # of a frame: exporters write 1.0000001


class UsdMesh:
    """A mesh of an open USD stage.

    Frames are the time samples of its points. Exporters leave out a sample that equals the one before, so a
    gap between two equal samples is filled; between different ones it is an error. A static transform above
    the mesh is applied, as OBJ exporters do with the template; an animated one is refused.
    """

    def __init__(
        self, path: Path, wanted: str | None, vertex_count: int, template: Polygons | None
    ) -> None:
        from pxr import Usd, UsdGeom

        stage = Usd.Stage.Open(str(path))
        everything = Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
        meshes = [
            UsdGeom.Mesh(prim) for prim in stage.Traverse(everything) if prim.IsA(UsdGeom.Mesh)
        ]
        index = choose_mesh([_candidate(mesh) for mesh in meshes], wanted, vertex_count, template)
        self._stage, mesh = stage, meshes[index]
        self._name = str(mesh.GetPath())
        self._points = mesh.GetPointsAttr()
        self.vertex_count = vertex_count
        self.notes: list[str] = []
        self.start_frame: float | None = None
        self.fps: Fraction | None = None
        self.frame_count = 1
        self._times: NDArray[np.float64] | None = None  # [frame], time codes
        self._read_times()
        check_still_topology(_topology_samples(mesh), self._name)
        self._matrix = still_transform(self._placements(mesh.GetPrim()), self._name)
        if self._matrix is not None:
            self.notes.append(f"the static transform of {self._name} is applied to its points")
        if others := _other_files(mesh.GetPrim()):
            self.notes.append(
                f"{self._name} comes from another file, {others[0]}, whose changes go unnoticed:"
                " name that file, or put all into one with usdcat --flatten"
            )
        authored = UsdGeom.StageHasAuthoredMetersPerUnit(stage)
        self.units = unit_name(UsdGeom.GetStageMetersPerUnit(stage)) if authored else None
        has_axis = stage.HasAuthoredMetadata(UsdGeom.Tokens.upAxis)
        self.up_axis = str(UsdGeom.GetStageUpAxis(stage)) if has_axis else None

    def _read_times(self) -> None:
        samples = np.array(self._points.GetTimeSamples(), np.float64)
        if not len(samples):
            self.notes.append(f"the points of {self._name} are not animated")
            return
        self.start_frame = float(samples[0])
        step = 1.0
        if len(samples) > 1:
            step = float(np.diff(samples).min())
            frames = (samples - samples[0]) / step
            rounded = np.round(frames)
            if not np.isfinite(frames).all() or float(np.abs(frames - rounded).max()) > ON_GRID:
                raise PointCacheError(
                    f"the time samples of {self._name} are not evenly spaced",
                    remedy="export one sample a frame",
                )
            self.frame_count = int(rounded[-1]) + 1
            if self.frame_count > 2 * len(samples):
                raise PointCacheError(
                    f"{self._name} has {len(samples)} time samples for {self.frame_count} frames",
                    remedy="export one sample a frame",
                )
        self._times = samples[0] + np.arange(self.frame_count) * step
        # A sample keeps the time that it was written with, for its value to be found.
        self._times[np.round((samples - samples[0]) / step).astype(np.int64)] = samples
        stage = self._stage
        says_rate = stage.HasAuthoredMetadata("timeCodesPerSecond") or stage.HasAuthoredMetadata(
            "framesPerSecond"
        )
        if says_rate:
            self.fps = nominal_rate(stage.GetTimeCodesPerSecond() / step)

    def _placements(self, prim: Any) -> list[NDArray[np.float64]]:
        from pxr import Usd, UsdGeom

        animated, ancestor = False, prim
        while ancestor and not ancestor.IsPseudoRoot():
            form = UsdGeom.Xformable(ancestor)
            animated = animated or bool(form and form.TransformMightBeTimeVarying())
            ancestor = ancestor.GetParent()
        times = [Usd.TimeCode.EarliestTime()]
        if animated and self._times is not None:
            times = [Usd.TimeCode(float(time)) for time in self._times]
        return [
            np.array(UsdGeom.XformCache(time).GetLocalToWorldTransform(prim), np.float64)
            for time in times
        ]

    def positions(self, frame: int) -> NDArray[np.float32]:
        """float32 [vertex, xyz]."""
        from pxr import Usd

        if self._times is None:
            return self._sample(Usd.TimeCode.Default(), frame)
        time = float(self._times[frame])
        before, after = self._points.GetBracketingTimeSamples(time)
        points = self._sample(before, frame)
        if before != after and not np.array_equal(points, self._sample(after, frame)):
            raise PointCacheError(
                f"frame {frame} (time code {time:g}) of {self._name} has no sample, and it moves there",
                remedy="export one sample a frame",
            )
        return points

    def _sample(self, time: Any, frame: int) -> NDArray[np.float32]:
        value = self._points.Get(time)
        points = np.empty((0, 3)) if value is None else np.array(value)
        check_points(points, self.vertex_count, frame, self._name)
        return transformed(as_float32(points), self._matrix)


def _other_files(prim: Any) -> list[str]:
    """Names of the files, beside the one that was opened, that say something of a prim or of what is above it."""
    stage, found = prim.GetStage(), set()
    while prim and not prim.IsPseudoRoot():
        found |= {spec.layer.identifier for spec in prim.GetPrimStack()}
        prim = prim.GetParent()
    own = {stage.GetRootLayer().identifier, stage.GetSessionLayer().identifier}
    return sorted(Path(name).name for name in found - own)


def _candidate(mesh: Any) -> Candidate:
    from pxr import Usd

    points = mesh.GetPointsAttr()
    value = points.Get(Usd.TimeCode.EarliestTime())
    return Candidate(
        name=str(mesh.GetPath()),
        vertex_count=0 if value is None else len(value),
        sample_count=points.GetNumTimeSamples(),
        polygons=_topology_samples(mesh)[0],
    )


def _topology_samples(mesh: Any) -> list[Any]:
    """A function for each time at which the polygons are written."""
    from pxr import Usd

    sizes, vertices = mesh.GetFaceVertexCountsAttr(), mesh.GetFaceVertexIndicesAttr()
    times = sorted({*sizes.GetTimeSamples(), *vertices.GetTimeSamples()})

    def at(time: Any) -> MeshPolygons:
        return MeshPolygons(_integers(sizes.Get(time)), _integers(vertices.Get(time)))

    codes = [Usd.TimeCode(time) for time in times] or [Usd.TimeCode.EarliestTime()]
    return [lambda code=code: at(code) for code in codes]


def _integers(value: Any) -> NDArray[np.int32]:
    return np.array([] if value is None else value, np.int32)
