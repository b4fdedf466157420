"""USD: an animation as one mesh with time samples, for Maya, Blender, Houdini, Unreal or Omniverse."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from facecap_core.exports.animation import Animation
from facecap_core.files import store_error
from facecap_core.whole_path import whole_path

LEAST_FREE_BYTES = 2**20  # with less the disk is taken for full


def write_usd(path: Path, animation: Animation) -> None:
    """Write a binary USD file, whole or not at all.

    Time codes are frames, `timeCodesPerSecond` is the frame rate, and the exact one stands in the
    layer's custom data. Polygons stay as modelled (no subdivision); texture coordinates are
    `primvars:st`; figures of each frame are `userProperties:confidence` and so on, and `primvars:confidence`:
    of the former Blender takes the first frame's alone, the latter are attributes that move.

    Raises:
        StoreError: there is no room for it. OSError: it cannot be written.
    """
    from pxr import Gf, Kind, Sdf, Usd, UsdGeom, Vt

    template = animation.template
    with whole_path(path) as temporary, _told(path):
        stage = Usd.Stage.CreateNew(os.fspath(temporary))
        UsdGeom.SetStageUpAxis(stage, animation.up_axis.upper())
        UsdGeom.SetStageMetersPerUnit(stage, animation.meters_per_unit)
        stage.SetTimeCodesPerSecond(float(animation.fps))
        stage.SetFramesPerSecond(float(animation.fps))
        stage.SetStartTimeCode(animation.start_frame)
        stage.SetEndTimeCode(animation.start_frame + animation.frames - 1)
        layer = stage.GetRootLayer()
        layer.customLayerData = {"fps": str(animation.fps), "shot": animation.name}
        layer.comment = animation.about
        # Not the shot's name: it may hold what USD does not allow, and files of shots replace each other.
        root = UsdGeom.Xform.Define(stage, "/actor")
        Usd.ModelAPI(root).SetKind(Kind.Tokens.component)
        stage.SetDefaultPrim(root.GetPrim())
        mesh = UsdGeom.Mesh.Define(stage, "/actor/face")
        mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(template.face_sizes))
        mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(template.face_vertices))
        mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
        if template.uvs is not None and template.corner_uvs is not None:
            uvs = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
                "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
            )
            uvs.Set(Vt.Vec2fArray.FromNumpy(template.uvs))
            uvs.SetIndices(Vt.IntArray.FromNumpy(template.corner_uvs))
        points, extent = mesh.CreatePointsAttr(), mesh.CreateExtentAttr()
        points.Set(Vt.Vec3fArray.FromNumpy(animation.converted(template.positions)))
        told, shown = {}, {}
        for name in animation.figures:
            told[name] = mesh.GetPrim().CreateAttribute(
                f"userProperties:{name}", Sdf.ValueTypeNames.Float
            )
            shown[name] = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
                name, Sdf.ValueTypeNames.FloatArray, UsdGeom.Tokens.constant
            )
        for first, block in animation.blocks(path):
            for number, frame in enumerate(block, start=first):
                time = Usd.TimeCode(animation.start_frame + number)
                points.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(frame)), time)
                bounds = [Gf.Vec3f(*map(float, edge)) for edge in (frame.min(0), frame.max(0))]
                extent.Set(Vt.Vec3fArray(bounds), time)
                for name, figure in animation.figures.items():
                    told[name].Set(float(figure[number]), time)
                    shown[name].Set(Vt.FloatArray([float(figure[number])]), time)
            layer.Save()  # what is in the file need not stay in memory
        layer.Save()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What USD cannot save, in a sentence: its own error is hundreds of lines, none of which says what is wrong."""
    from pxr import Tf

    try:
        yield
    except Tf.ErrorException as error:
        full = shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES
        number = errno.ENOSPC if full else errno.EIO
        raise store_error(OSError(number, os.strerror(number)), path) from error
