"""Alembic: an animation as one polygon mesh, for Maya, Blender, Houdini or Unreal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facecap_core.errors import PointCacheError
from facecap_core.exports.animation import Animation
from facecap_core.whole_path import whole_path


def alembic_libraries() -> tuple[Any, Any]:
    """The modules that write Alembic.

    Raises:
        PointCacheError: they are not installed.
    """
    try:
        import alembic3d
        import imath
    except ImportError as error:
        raise PointCacheError(
            "writing Alembic needs the package alembic3d",
            remedy='pip install "facecap-farm[alembic]", or leave the format abc out',
        ) from error
    return alembic3d, imath


def write_alembic(path: Path, animation: Animation) -> None:
    """Write an Ogawa archive, whole or not at all.

    The topology is stored once; frame n lies at (start frame + n) / fps seconds. Alembic has neither
    units nor an up axis: programs take its numbers as they are. Polygons run clockwise, as its readers
    expect; texture coordinates and figures of each frame, such as confidence (user properties), where there are any.

    Raises:
        PointCacheError: the library is not installed.
        OSError: it cannot be written.
    """
    abc, imath = alembic_libraries()

    def filled(kind: Any, values: ArrayLike) -> Any:
        numbers = np.asarray(values)
        array = kind(len(numbers))
        np.asarray(memoryview(array))[:] = numbers
        return array

    template, rate = animation.template, float(animation.fps)
    turned = _turned(template.face_sizes)
    with whole_path(path) as temporary:
        archive = abc.Abc.CreateArchiveWithInfo(
            os.fspath(temporary), rate, "facecap", animation.about
        )
        sampling = abc.AbcCoreAbstract.TimeSampling(1 / rate, animation.start_frame / rate)
        index = archive.addTimeSampling(sampling)
        parent = abc.AbcGeom.OXform(archive.getTop(), "actor")
        mesh = abc.AbcGeom.OPolyMesh(parent, "face", index)
        schema = mesh.getSchema()
        topology = [
            filled(imath.IntArray, template.face_vertices[turned]),
            filled(imath.IntArray, template.face_sizes),
        ]
        if template.uvs is not None and template.corner_uvs is not None:
            topology.append(
                abc.AbcGeom.OV2fGeomParamSample(
                    filled(imath.V2fArray, template.uvs),
                    _unsigned(imath, template.corner_uvs[turned]),
                    abc.AbcGeom.GeometryScope.kFacevaryingScope,
                )
            )
        told = {
            name: abc.Abc.OFloatProperty(schema.getUserProperties(), name, index)
            for name in animation.figures
        }
        for first, block in animation.blocks(path):
            for number, frame in enumerate(block, start=first):
                points = filled(imath.V3fArray, frame)
                more = topology if number == 0 else []
                schema.set(abc.AbcGeom.OPolyMeshSchemaSample(points, *more))
                for name, figure in animation.figures.items():
                    told[name].setValue(float(figure[number]))
        # The archive is written out when the last of these is let go.
        told.clear()
        schema = mesh = parent = archive = None


def _unsigned(imath: Any, values: np.ndarray) -> Any:
    """Of this kind alone memory cannot be reached from outside."""
    array = imath.UnsignedIntArray(len(values))
    for place, value in enumerate(values.tolist()):
        array[place] = value
    return array


def _turned(face_sizes: np.ndarray) -> np.ndarray:
    """Where each corner comes from when every polygon is turned over, its first corner kept: int64 [corner]."""
    starts = np.cumsum(face_sizes, dtype=np.int64) - face_sizes
    start = np.repeat(starts, face_sizes)
    size = np.repeat(face_sizes.astype(np.int64), face_sizes)
    step = np.arange(len(start)) - start
    return start + (size - step) % size
