"""Pointcaches: readers of tracked meshes, a file a format."""
