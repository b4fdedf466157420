"""Alembic: a polygon mesh or subdivision surface in an Ogawa archive (extra `facecap-farm[alembic]`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.native import (
    Candidate,
    Matrix,
    MeshPolygons,
    check_points,
    check_still_topology,
    choose_mesh,
    still_transform,
    transformed,
)
from facecap_core.pointcaches.rates import rate_of_times
from facecap_core.template import Polygons

INSTALL = "pip install 'facecap-farm[alembic]'"
DEEPEST = 200


class AlembicMesh:
    """A mesh of an open Alembic archive. The format says neither units nor axes.

    A static transform above the mesh is applied, as OBJ exporters do with the template; an animated one is
    refused.
    """

    units: str | None = None
    up_axis: str | None = None

    def __init__(
        self, path: Path, wanted: str | None, vertex_count: int, template: Polygons | None
    ) -> None:
        from alembic3d import Abc

        archive = Abc.IArchive(str(path))
        found = list(_meshes(archive.getTop(), []))
        candidates = [_candidate(name, schema) for name, schema, _ in found]
        index = choose_mesh(candidates, wanted, vertex_count, template)
        self._name, schema, parents = found[index]
        # The parents are only kept alive by whoever holds them.
        self._held = (archive, found)
        self._samples = schema.getPositionsProperty().samples
        self.frame_count, self.vertex_count = len(self._samples), vertex_count
        self.notes: list[str] = []
        self.start_frame: float | None = None
        self._read_times(schema)
        check_still_topology(_topology_samples(schema), self._name)
        matrices = [_placement(parents, time) for time in _times_of(parents)]
        self._matrix = still_transform(matrices, self._name)
        if self._matrix is not None:
            self.notes.append(f"the static transform of {self._name} is applied to its points")

    def _read_times(self, schema: Any) -> None:
        sampling = schema.getTimeSampling()
        seconds = np.array([sampling.getSampleTime(i) for i in range(self.frame_count)], np.float64)
        rate, remark = rate_of_times(seconds)
        self.fps: Fraction | None = rate
        if rate is not None:
            self.start_frame = round(float(seconds[0]) * float(rate), 3)
        if remark:
            self.notes.append(remark)
        if self.frame_count == 1:
            self.notes.append(f"the points of {self._name} are not animated")

    def positions(self, frame: int) -> NDArray[np.float32]:
        """float32 [vertex, xyz]."""
        # By index: a number given to ISampleSelector is taken as seconds, whatever its type.
        points = _array(self._samples[frame])
        check_points(points, self.vertex_count, frame, self._name)
        return transformed(points.astype(np.float32), self._matrix)


def _meshes(
    parent: Any, parents: list[Any], depth: int = 0
) -> Iterator[tuple[str, Any, list[Any]]]:
    """Name, schema and the transform schemas above it (outermost first) of each mesh below `parent`."""
    from alembic3d import AbcGeom

    if depth > DEEPEST:
        raise PointCacheError(f"nested more than {DEEPEST} deep", remedy="export the mesh alone")
    for index in range(parent.getNumChildren()):
        child = parent.getChild(index)
        header = child.getHeader()
        above = parents
        if AbcGeom.IXform.matches(header):
            child = AbcGeom.IXform(parent, child.getName())
            above = [*parents, child.getSchema()]
        for kind in (AbcGeom.IPolyMesh, AbcGeom.ISubD):
            if kind.matches(header):
                child = kind(parent, child.getName())
                yield str(child.getFullName()), child.getSchema(), parents
        yield from _meshes(child, above, depth + 1)


def _candidate(name: str, schema: Any) -> Candidate:
    samples = schema.getPositionsProperty().samples
    count = len(samples[0]) if len(samples) else 0
    return Candidate(name, count, len(samples), _topology_samples(schema)[0])


def _topology_samples(schema: Any) -> list[Callable[[], MeshPolygons]]:
    sizes = schema.getFaceCountsProperty().samples
    vertices = schema.getFaceIndicesProperty().samples
    changes = str(schema.getTopologyVariance()).endswith("HeterogenousTopology")
    count = max(len(sizes), len(vertices)) if changes else 1

    def at(number: int) -> MeshPolygons:
        return MeshPolygons(
            _array(sizes[min(number, len(sizes) - 1)]).astype(np.int32),
            _array(vertices[min(number, len(vertices) - 1)]).astype(np.int32),
        )

    return [lambda number=number: at(number) for number in range(count)]  # type: ignore[misc]


def _times_of(parents: list[Any]) -> list[float]:
    """All times at which a transform above the mesh is written; one when none is."""
    times: set[float] = set()
    for schema in parents:
        sampling = schema.getTimeSampling()
        times |= {sampling.getSampleTime(i) for i in range(schema.getNumSamples())}
    return sorted(times) or [0.0]


def _placement(parents: list[Any], time: float) -> Matrix:
    """Local-to-world at a time in seconds."""
    from alembic3d import Abc

    world = np.eye(4)
    for schema in parents:
        if schema.isConstantIdentity():
            continue
        sample = schema.getValue(Abc.ISampleSelector(float(time)))
        rows = sample.getMatrix()
        matrix = np.array([[rows[i][j] for j in range(4)] for i in range(4)], np.float64)
        world = matrix @ world if sample.getInheritsXforms() else matrix
    return world


def _array(values: Any) -> NDArray:
    # memoryview carries the shape; numpy.frombuffer would take the length in values for one in bytes.
    return np.asarray(memoryview(values))
