"""Files of solved shots for Maya, Blender, Unreal or Houdini: one mesh, one topology, moving points."""
