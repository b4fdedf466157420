"""Reader: a point cache of any known format, told by its content and its name."""

from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

from facecap_core.errors import PointCacheError
from facecap_core.fingerprints import fingerprint_footage
from facecap_core.pointcaches import alembic, npy, pc2
from facecap_core.pointcaches.cache import PointCache, open_binary
from facecap_core.pointcaches.isolation import IsolatedCache
from facecap_core.pointcaches.mdd import MddCache
from facecap_core.pointcaches.npy import NpyCache
from facecap_core.pointcaches.obj_sequence import ObjSequence
from facecap_core.pointcaches.pc2 import Pc2Cache
from facecap_core.template import Polygons

BEGINNINGS = (
    (pc2.MAGIC, "PC2"),
    (npy.MAGIC, "NPY"),
    (b"PXR-USDC", "USD"),
    (b"#usda", "USD"),
    (b"Ogawa", "Alembic"),
    (b"\x89HDF", "HDF5"),
    (b"FOR4", "Maya"),
    (b"FOR8", "Maya"),
)
ENDINGS = {
    ".pc2": "PC2",
    ".mdd": "MDD",
    ".npy": "NPY",
    ".obj": "OBJ",
    ".usd": "USD",
    ".usda": "USD",
    ".usdc": "USD",
    ".abc": "Alembic",
    ".mc": "Maya",
    ".mcx": "Maya",
    ".xml": "Maya",
}
REFUSED = {
    "OBJ": ("one OBJ file is one frame", "name a sequence, for example face.%04d.obj, or a folder"),
    "HDF5": ("an Alembic archive of the old HDF5 kind", "export it with Ogawa, today's default"),
    "Maya": (
        "a Maya cache",
        "export the mesh as Alembic, USD or MDD, or convert it: cacheFile -pc2 1",
    ),
    "": (
        "no point cache of a known format",
        "give PC2, MDD, NPY, USD, Alembic, or a sequence of OBJ files such as face.%04d.obj",
    ),
}
MESH_IN_FILE = re.compile(
    r"(?P<file>.*\.(?:usd[ac]?|abc))#(?P<mesh>/.*)", re.IGNORECASE | re.DOTALL
)


def open_point_cache(
    path: str | Path, *, vertex_count: int, topology: Polygons | None = None
) -> PointCache:
    """Open a point cache of the template's mesh, for reading frame by frame; close it, or use `with`.

    Args:
        path: a PC2, MDD, NPY, USD or Alembic file, `face.%04d.obj`, or a folder of numbered OBJ files. Of a scene
            with several meshes one is named so: `face.usd#/head/face`.
        vertex_count: of the template.
        topology: the template; where the format has polygons they must be its own.

    Raises:
        PointCacheError: no such file, damaged, cut short, another number of points, another topology.
    """
    file, mesh = split_mesh(path)
    if "%" in file.name or file.is_dir():
        return ObjSequence(file, vertex_count=vertex_count, topology=topology)
    kind = _format_of(file)
    if kind == "PC2":
        return Pc2Cache(file, vertex_count=vertex_count)
    if kind == "MDD":
        return MddCache(file, vertex_count=vertex_count)
    if kind == "NPY":
        return NpyCache(file, vertex_count=vertex_count)
    if kind == "Alembic" and find_spec("alembic3d") is None:
        raise PointCacheError("Alembic support is not installed", remedy=alembic.INSTALL, file=file)
    if kind in ("USD", "Alembic"):
        return IsolatedCache(
            file, format=kind, mesh=mesh, vertex_count=vertex_count, topology=topology
        )
    message, remedy = REFUSED[kind]
    raise PointCacheError(message, remedy=remedy, file=file)


def split_mesh(path: str | Path) -> tuple[Path, str | None]:
    """`face.usd#/head/face` as the file and the mesh within it; None where none is named."""
    match = MESH_IN_FILE.fullmatch(str(path))
    return (Path(match["file"]), match["mesh"]) if match else (Path(path), None)


def fingerprint_cache(path: str | Path) -> str:
    """Content identity of a point cache, and of the mesh that is named in it; or of another file of numbers.

    Raises:
        FootageMissing: it is not there, or cannot be read.
    """
    file, mesh = split_mesh(path)
    found = fingerprint_footage(file, whole=True)
    return found if mesh is None else hashlib.sha256(f"{found}#{mesh}".encode()).hexdigest()[:32]


def _format_of(path: Path) -> str:
    with open_binary(path) as file:
        start = file.read(16)
    for beginning, kind in BEGINNINGS:
        if start.startswith(beginning):
            return kind
    return ENDINGS.get(path.suffix.lower(), "")
