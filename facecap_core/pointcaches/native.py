"""Native mesh: what a reader of a scene format tells of the one mesh that it was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.names import some_of
from facecap_core.template import Polygons, topology_difference

Matrix = NDArray[np.float64]  # [4, 4], a row vector of homogeneous coordinates stands on its left


class NativeMesh(Protocol):
    """An animated mesh in an open scene file."""

    frame_count: int
    vertex_count: int
    start_frame: float | None
    fps: Fraction | None
    units: str | None
    up_axis: str | None
    notes: list[str]

    def positions(self, frame: int) -> NDArray[np.float32]:
        """float32 [vertex, xyz]."""


@dataclass(frozen=True, eq=False)
class MeshPolygons:
    """A topology as a scene file holds it."""

    face_sizes: NDArray[np.int32]
    face_vertices: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mesh in a scene, before it is chosen."""

    name: str
    vertex_count: int
    sample_count: int
    polygons: Callable[[], MeshPolygons] = field(repr=False)


def choose_mesh(
    candidates: list[Candidate], wanted: str | None, vertex_count: int, template: Polygons | None
) -> int:
    """Index of the mesh that the template shows.

    The one named by the user; else the only one with the template's number of points and its polygons,
    where an animated one goes before still ones. Raises `PointCacheError` that tells which meshes there are.
    """
    if not candidates:
        raise PointCacheError("holds no polygon mesh", remedy="export the tracked mesh")
    chosen = list(range(len(candidates)))
    if wanted is not None:
        chosen = [index for index in chosen if candidates[index].name == wanted]
        if not chosen:
            raise PointCacheError(f"has no mesh {wanted}", remedy=f"it has {_names(candidates)}")
    counted = [index for index in chosen if candidates[index].vertex_count == vertex_count]
    if not counted:
        sizes = ", ".join(
            f"{candidates[index].name} has {candidates[index].vertex_count} points"
            for index in chosen[:8]
        )
        raise PointCacheError(
            f"{sizes}, the template has {vertex_count}",
            remedy="export the mesh that the template shows, with all its vertices in order",
        )
    differences: list[str] = []
    fitting: list[int] = []
    for index in counted:
        difference = None
        if template is not None:
            mesh = candidates[index].polygons()
            difference = topology_difference(template, mesh.face_sizes, mesh.face_vertices)
        if difference is None:
            fitting.append(index)
        else:
            differences.append(f"{candidates[index].name}: {difference}")
    if not fitting:
        raise PointCacheError(
            f"another topology: {differences[0]}",
            remedy="export the mesh as the template shows it: neither triangulated, smoothed nor reordered",
        )
    animated = [index for index in fitting if candidates[index].sample_count > 1]
    best = animated or fitting
    if len(best) > 1:
        listed = _names([candidates[index] for index in best])
        raise PointCacheError(
            f"several meshes fit the template: {listed}",
            remedy=f"name one: write the cache as FILE#{candidates[best[0]].name}",
        )
    return best[0]


def check_still_topology(samples: list[Callable[[], MeshPolygons]], name: str) -> None:
    """Raises `PointCacheError` when the polygons of a later sample are not those of the first."""
    first = samples[0]()
    for number, sample in enumerate(samples[1:], start=1):
        mesh = sample()
        difference = topology_difference(
            first, mesh.face_sizes, mesh.face_vertices, name="the first sample"
        )
        if difference:
            raise PointCacheError(
                f"the topology of {name} changes over time: sample {number}: {difference}",
                remedy="export a mesh of fixed topology",
            )


def still_transform(matrices: list[Matrix], name: str) -> Matrix | None:
    """The one matrix that all samples of a mesh's placement agree on; None when it is the identity.

    Raises `PointCacheError` when they do not agree: whether head motion belongs to the targets cannot be
    guessed, and stabilised targets (Section 3.2) have none.
    """
    first = matrices[0]
    if not all(np.isfinite(matrix).all() for matrix in matrices):
        raise PointCacheError(f"the transform of {name} is not finite", remedy="export it again")
    scale = float(np.abs(first).max())
    for matrix in matrices[1:]:
        if float(np.abs(matrix - first).max()) > 1e-6 * scale:
            raise PointCacheError(
                f"the transform of {name} is animated",
                remedy="targets are stabilised in head space: export the points without the head's motion, "
                "or freeze the transforms above the mesh",
            )
    return None if np.array_equal(first, np.eye(4)) else first


def check_points(points: NDArray[Any], vertex_count: int, frame: int, name: str) -> None:
    """Raises `PointCacheError` when what a mesh has at a frame is not `vertex_count` points [vertex, xyz]."""
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind != "f":
        raise PointCacheError(f"frame {frame} of {name} holds no points", remedy="export it again")
    if len(points) != vertex_count:
        raise PointCacheError(
            f"frame {frame} of {name} has {len(points)} points, the template has {vertex_count}",
            remedy="export a mesh of fixed topology",
        )


def transformed(points: NDArray[np.float32], matrix: Matrix | None) -> NDArray[np.float32]:
    """Points [vertex, xyz] moved by a matrix, or as they are."""
    if matrix is None:
        return points
    with np.errstate(over="ignore", invalid="ignore"):  # the caller names what is not finite
        return (points.astype(np.float64) @ matrix[:3, :3] + matrix[3, :3]).astype(np.float32)


def unit_name(meters: float) -> str | None:
    """ "cm" for 0.01 and so on; "0.02 m" for what has no name."""
    names = {0.001: "mm", 0.01: "cm", 0.1: "dm", 1.0: "m", 0.0254: "in", 0.3048: "ft", 0.9144: "yd"}
    for size, name in names.items():
        if math.isclose(size, meters, rel_tol=1e-5):
            return name
    return f"{meters:g} m"


def _names(candidates: list[Candidate]) -> str:
    return some_of(candidate.name for candidate in candidates)
