"""Obj: the vertices, polygons and texture coordinates of one Wavefront file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import FacecapError, TemplateError

LARGEST_BYTES = 512 * 2**20
"""A face mesh takes a few megabytes as text; more is another file, and would be read into memory whole."""


@dataclass(frozen=True, eq=False)
class Obj:
    """One mesh: all objects and groups of the file together, in file order, indices counted from 0.

    `uvs` and `corner_uvs` are None unless every corner of every polygon names a texture coordinate.
    """

    positions: NDArray[np.float32]  # [vertex, xyz]
    face_sizes: NDArray[np.int32]  # [polygon]
    face_vertices: NDArray[np.int32]  # [corner], polygon after polygon
    uvs: NDArray[np.float32] | None  # [uv, 2]
    corner_uvs: NDArray[np.int32] | None  # [corner]


def read_obj_bytes(path: Path, error: type[FacecapError] = TemplateError) -> bytes:
    """The file's bytes. Raises `error` when it is absent, no plain file, or far too large."""
    try:
        if not path.is_file():
            reason = "is not a plain file" if path.exists() else "does not exist"
            raise error(f"the mesh {reason}", remedy="check the path", file=path)
        if path.stat().st_size > LARGEST_BYTES:
            raise error("larger than 512 MiB: not one face mesh", remedy="export one", file=path)
        return path.read_bytes()
    except (OSError, ValueError) as problem:
        if isinstance(problem, FacecapError):
            raise
        raise error(f"cannot be read: {problem}", remedy="check the path", file=path) from problem


def parse_obj(
    data: bytes,
    path: Path,
    error: type[FacecapError] = TemplateError,
    *,
    check_finite: bool = True,
) -> Obj:
    """The mesh written in `data`; `path` and the line are named in every `error` raised.

    Polygons may be written `a`, `a/b`, `a//c` or `a/b/c`, with negative (relative) indices. Columns after
    x y z (a weight, vertex colours), normals, materials, lines and curves are passed over.
    """
    points: list[tuple[float, float, float]] = []
    point_lines: list[int] = []
    uvs: list[tuple[float, float]] = []
    sizes: list[int] = []
    corners: list[int] = []
    corner_uvs: list[int] = []
    corners_have_uvs = True
    line = 0
    try:
        for line, words in _statements(data):
            kind = words[0]
            if kind == b"v":
                points.append((_number(words[1]), _number(words[2]), _number(words[3])))
                point_lines.append(line)
            elif kind == b"f":
                sizes.append(len(words) - 1)
                if len(words) < 4:
                    raise _MalformedError("a face needs at least three corners")
                for word in words[1:]:
                    vertex, _, rest = word.partition(b"/")
                    corners.append(_index(vertex, len(points), "vertex"))
                    uv = rest.partition(b"/")[0]
                    if uv:
                        corner_uvs.append(_index(uv, len(uvs), "texture coordinate"))
                    else:
                        corners_have_uvs = False
            elif kind == b"vt":
                uvs.append((_number(words[1]), _number(words[2]) if len(words) > 2 else 0.0))
    except _MalformedError as problem:
        raise error(
            str(problem), remedy="export the mesh again as OBJ", file=path, line=line
        ) from None
    except IndexError:
        raise error(
            "too few numbers", remedy="export the mesh again as OBJ", file=path, line=line
        ) from None
    if not points:
        raise error("no vertex lines", remedy="give an OBJ file (text, `v x y z`)", file=path)
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite and is named below
        positions = np.array(points, np.float32)
        uv_array = np.array(uvs, np.float32).reshape(-1, 2)
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if bad.size and check_finite:
        bad_vertex = int(bad[0])
        raise error(
            f"vertex {bad_vertex} is not finite: {tuple(points[bad_vertex])}",
            remedy="mend the mesh and export it again",
            file=path,
            line=point_lines[bad_vertex],
        )
    has_uvs = corners_have_uvs and bool(corners)
    return Obj(
        positions=positions,
        face_sizes=np.array(sizes, np.int32),
        face_vertices=np.array(corners, np.int32),
        uvs=uv_array if has_uvs else None,
        corner_uvs=np.array(corner_uvs, np.int32) if has_uvs else None,
    )


class _MalformedError(ValueError):
    """What is wrong with a line."""


def _statements(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Line number and words of each statement; a backslash at the end joins the next line."""
    joined: list[bytes] = []
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        line = raw.split(b"#", 1)[0] if b"#" in raw else raw
        if line.endswith(b"\\"):
            joined += line[:-1].split()
            continue
        words = [*joined, *line.split()] if joined else line.split()
        joined = []
        if words:
            yield number, words
    if joined:
        yield number, joined


def _number(word: bytes) -> float:
    try:
        if b"_" not in word:  # Python reads 1_000 as a number, other programs do not
            return float(word)
    except ValueError:
        pass
    raise _MalformedError(f"{_shown(word)} is not a number")


def _index(word: bytes, count: int, what: str) -> int:
    """From 1-based or negative to 0-based; must name something that was written above."""
    try:
        if b"_" in word:
            raise ValueError
        value = int(word)
    except ValueError:
        raise _MalformedError(f"{_shown(word)} is not a {what} index") from None
    index = value - 1 if value > 0 else count + value
    if value == 0 or not 0 <= index < count:
        raise _MalformedError(f"{what} {_shown(word)} does not exist: {count} are written above")
    return index


def _shown(word: bytes) -> str:
    return repr(word[:40].decode("utf-8", "replace"))
