"""Template: an actor's mesh at rest, whose topology and vertex order hold for everything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import TemplateError
from facecap_core.obj import parse_obj, read_obj_bytes


class Polygons(Protocol):
    """A topology: `face_sizes` int32 [polygon], and `face_vertices` int32 [corner], polygon after polygon."""

    @property
    def face_sizes(self) -> NDArray[np.int32]: ...

    @property
    def face_vertices(self) -> NDArray[np.int32]: ...


@dataclass(frozen=True, eq=False)
class Template:
    """The rest pose (Section 3.2's mesh of fixed topology). All indices count from 0.

    `faces` is the fan triangulation, for rendering; `face_sizes` and `face_vertices` keep the polygons as
    modelled, for exports and comparisons. `uvs` and `corner_uvs` are both there or both None.
    """

    path: Path
    positions: NDArray[np.float32]  # [vertex, xyz], production units
    faces: NDArray[np.int32]  # [face, 3]
    face_sizes: NDArray[np.int32]  # [polygon]
    face_vertices: NDArray[np.int32]  # [corner], polygon after polygon
    uvs: NDArray[np.float32] | None  # [uv, 2]
    corner_uvs: NDArray[np.int32] | None  # [corner] into uvs
    topology_sha256: str

    @property
    def vertex_count(self) -> int:
        return len(self.positions)


def read_template(path: str | Path) -> Template:
    """Read an OBJ file. Raises `TemplateError` with file and line.

    Several objects and groups are taken together, in file order.
    """
    path = Path(path)
    mesh = parse_obj(read_obj_bytes(path), path)
    if not len(mesh.face_sizes):
        raise TemplateError("no faces", remedy="export the template with its polygons", file=path)
    return Template(
        path=path,
        positions=mesh.positions,
        faces=triangulate(mesh.face_sizes, mesh.face_vertices),
        face_sizes=mesh.face_sizes,
        face_vertices=mesh.face_vertices,
        uvs=mesh.uvs,
        corner_uvs=mesh.corner_uvs,
        topology_sha256=topology_sha256(len(mesh.positions), mesh.face_sizes, mesh.face_vertices),
    )


def triangulate(
    face_sizes: NDArray[np.integer], face_vertices: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Fans about each polygon's first corner: int32 [face, 3], in polygon order."""
    triangles_of = np.asarray(face_sizes, np.int64) - 2
    starts = np.cumsum(face_sizes, dtype=np.int64) - face_sizes
    start = np.repeat(starts, triangles_of)  # [face], the first corner of its polygon
    first_triangle = np.cumsum(triangles_of) - triangles_of
    step = np.arange(int(triangles_of.sum())) - np.repeat(first_triangle, triangles_of)
    corners = np.stack([start, start + step + 1, start + step + 2], axis=1)
    return np.asarray(face_vertices)[corners].astype(np.int32)


def topology_sha256(
    vertex_count: int, face_sizes: NDArray[np.integer], face_vertices: NDArray[np.integer]
) -> str:
    """Digest of vertex count and polygons as written; positions and texture coordinates do not enter."""
    digest = hashlib.sha256(np.array([vertex_count, len(face_sizes)], "<i8").tobytes())
    digest.update(np.asarray(face_sizes).astype("<i4").tobytes())
    digest.update(np.asarray(face_vertices).astype("<i4").tobytes())
    return digest.hexdigest()


def topology_difference(
    wanted: Polygons,
    face_sizes: NDArray[np.integer],
    face_vertices: NDArray[np.integer],
    *,
    name: str = "the template",
) -> str | None:
    """What differs first from the polygons of `name`, in words; None when they agree.

    A polygon may begin at another corner and run the other way round: Alembic and left-handed USD files
    turn every polygon over, and that says nothing about the order of vertices.
    """
    ours, theirs = wanted.face_sizes, np.asarray(face_sizes)
    if len(ours) != len(theirs):
        return f"has {len(theirs)} faces, {name} has {len(ours)}"
    mine, other = wanted.face_vertices, np.asarray(face_vertices)
    if np.array_equal(ours, theirs) and np.array_equal(mine, other):
        return None
    start = other_start = 0
    for face, (size, other_size) in enumerate(zip(ours.tolist(), theirs.tolist(), strict=True)):
        expected = mine[start : start + size].tolist()
        found = other[other_start : other_start + other_size].tolist()
        if _ring(expected) != _ring(found):
            return f"face {face} has vertices {_few(found)}, in {name} {_few(expected)}"
        start, other_start = start + size, other_start + other_size
    return None


def read_animated(path: str | Path | None, vertex_count: int) -> NDArray[np.int64]:
    """Vertices that count in errors: int64 [n], ascending, from a text file of one index (from 0) a line.

    All of them where there is no such file (`path` is None).
    Blank lines and `#` comments are passed over. Raises `TemplateError` with file and line for anything
    that is no integer, lies outside the mesh or comes twice, and for a file that lists nothing.
    """
    if path is None:
        return np.arange(vertex_count, dtype=np.int64)
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as problem:
        raise TemplateError(
            f"the list of animated vertices cannot be read: {problem}",
            remedy="write a text file, one vertex index a line",
            file=path,
        ) from problem
    line_of: dict[int, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        digits = word.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise TemplateError(
                f"{word[:40]!r} is not a vertex index",
                remedy="write one integer a line, counted from 0",
                file=path,
                line=number,
            )
        index = int(word)
        if not 0 <= index < vertex_count:
            raise TemplateError(
                f"vertex {index} does not exist",
                remedy=f"indices count from 0 to {vertex_count - 1}",
                file=path,
                line=number,
            )
        if index in line_of:
            raise TemplateError(
                f"vertex {index} is listed twice, first in line {line_of[index]}",
                remedy="remove one of the two lines",
                file=path,
                line=number,
            )
        line_of[index] = number
    if not line_of:
        raise TemplateError(
            "no animated vertices are listed",
            remedy="list some, or leave `animated` out to count all vertices",
            file=path,
        )
    return np.array(sorted(line_of), np.int64)


def _ring(polygon: list[int]) -> list[int]:
    """A polygon written from its lowest vertex on, towards the lower of its neighbours."""
    if not polygon:
        return polygon
    first = polygon.index(min(polygon))
    forward = polygon[first:] + polygon[:first]
    backward = forward[:1] + forward[:0:-1]
    return min(forward, backward)


def _few(vertices: list[int]) -> str:
    shown = ", ".join(str(vertex) for vertex in vertices[:8])
    return f"({shown}{', …' if len(vertices) > 8 else ''})"
