"""Run inside Blender: opens an exported file and writes what Blender makes of it, without NumPy.

    blender -b --factory-startup -P blender_points.py -- FILE MESH.obj OUT.json FPS FRAME...

FILE is an .abc, .usdc, .pc2 or .mdd, or a folder of NAME.FRAME.obj. Points are float32 [frame, vertex, xyz] in
OUT.json.points, in Blender's world: metres or not, z up. OUT.json has the figures that the mesh holds of each frame.
"""

import array
import json
import os
import sys

import bpy

path, mesh, out, fps, *frames = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
numerator, denominator = map(int, fps.split("/"))
render = bpy.context.scene.render
render.fps, render.fps_base = (
    round(numerator / denominator),
    round(numerator / denominator) * (denominator / numerator),
)


def open_obj(file):
    bpy.ops.wm.obj_import(filepath=file, forward_axis="NEGATIVE_Z", up_axis="Y")


operator = {"abc": "alembic_import", "usdc": "usd_import"}.get(
    path.rpartition(".")[2], "obj_import"
)
if operator not in dir(bpy.ops.wm):  # Debian builds it without Alembic, and without USD
    sys.exit(0)
if path.endswith(".abc"):
    bpy.ops.wm.alembic_import(filepath=path, set_frame_range=True)
elif path.endswith(".usdc"):
    bpy.ops.wm.usd_import(filepath=path, set_frame_range=True)
elif not os.path.isdir(path):
    open_obj(mesh)


def the_face():
    (found,) = [thing for thing in bpy.data.objects if thing.type == "MESH"]
    return found


def frame_of_sequence(frame):
    """The only mesh is that of the frame now."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    (name,) = [name for name in os.listdir(path) if int(name.split(".")[-2]) == int(frame)]
    open_obj(os.path.join(path, name))


if os.path.isdir(path):
    frame_of_sequence(frames[0])
face = the_face()
if path.endswith((".pc2", ".mdd")):
    cache = face.modifiers.new("cache", "MESH_CACHE")
    cache.cache_format = path[-3:].upper()
    cache.filepath = path
    cache.frame_start = float(frames[0])
    cache.interpolation = "NONE"
scene = bpy.context.scene
facts = {
    "first": scene.frame_start,
    "last": scene.frame_end,
    "uvs": [layer.name for layer in face.data.uv_layers],
    "polygons": [list(polygon.vertices) for polygon in face.data.polygons],
    "figures": {},
}
with open(out + ".points", "wb") as file:
    for frame in frames:
        if os.path.isdir(path):
            frame_of_sequence(frame)
            face = the_face()
        else:
            scene.frame_set(int(float(frame)))
        whole = face.evaluated_get(bpy.context.evaluated_depsgraph_get())
        moved = whole.to_mesh()
        for attribute in moved.attributes:
            if (attribute.domain, attribute.data_type) == ("POINT", "FLOAT"):
                facts["figures"].setdefault(attribute.name, []).append(attribute.data[0].value)
        moved.transform(whole.matrix_world)
        points = array.array("f", bytes(12 * len(moved.vertices)))
        moved.vertices.foreach_get("co", points)
        points.tofile(file)
with open(out, "w") as file:
    json.dump(facts, file)
