"""Run inside Blender: opens an exported file and writes what Blender makes of it, without NumPy.

    blender -b --factory-startup -P blender_points.py -- FILE.abc|.usdc|.pc2|.mdd MESH.obj OUT.json FPS FRAME...

Points are float32 [frame, vertex, xyz] in OUT.json.points, in Blender's world: metres or not, z up.
"""

import array
import json
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
operator = {"abc": "alembic_import", "usdc": "usd_import"}.get(
    path.rpartition(".")[2], "obj_import"
)
if operator not in dir(bpy.ops.wm):  # Debian builds it without Alembic, and without USD
    sys.exit(0)
if path.endswith(".abc"):
    bpy.ops.wm.alembic_import(filepath=path, set_frame_range=True)
elif path.endswith(".usdc"):
    bpy.ops.wm.usd_import(filepath=path, set_frame_range=True)
else:
    bpy.ops.wm.obj_import(filepath=mesh, forward_axis="NEGATIVE_Z", up_axis="Y")
found = [thing for thing in bpy.data.objects if thing.type == "MESH"]
(face,) = found
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
}
with open(out + ".points", "wb") as file:
    for frame in frames:
        scene.frame_set(int(float(frame)))
        whole = face.evaluated_get(bpy.context.evaluated_depsgraph_get())
        moved = whole.to_mesh()
        moved.transform(whole.matrix_world)
        points = array.array("f", bytes(12 * len(moved.vertices)))
        moved.vertices.foreach_get("co", points)
        points.tofile(file)
with open(out, "w") as file:
    json.dump(facts, file)
