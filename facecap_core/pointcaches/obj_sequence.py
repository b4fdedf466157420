"""OBJ sequence: one mesh file a frame, `face.%04d.obj` or a folder of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.obj import Obj, parse_obj, read_obj_bytes
from facecap_core.pointcaches.cache import PointCache, check_vertex_count
from facecap_core.template import Polygons, topology_difference

PATTERN = re.compile(r"%(?:0(\d{1,2}))?d")
NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<digits>\d{1,9})\.obj", re.IGNORECASE | re.DOTALL)


class ObjSequence(PointCache):
    """An OBJ file a frame. The number of the first file is the start frame.

    Every frame must have the polygons of the first, and the first those of the template. Tools that write
    them anew (and reorder vertices as they do) are found out so.
    """

    format = "OBJ sequence"

    def __init__(self, path: Path, *, vertex_count: int, topology: Polygons | None = None) -> None:
        self.path = path
        numbered = sequence_files(path)
        self._paths = list(numbered.values())
        self.frame_count, self.vertex_count = len(numbered), vertex_count
        self.start_frame = float(min(numbered))
        data = read_obj_bytes(self._paths[0], PointCacheError)
        self._first = self._parse(data, self._paths[0])
        if not len(self._first.face_sizes):
            self.notes = ("no faces, so only the number of vertices was compared",)
        elif topology is not None:
            self._compare(self._first, topology, "the template", self._paths[0])
        faces = [line for line in data.splitlines() if line.startswith(b"f ")]
        # Relative indices mean other vertices in another place, so equal lines would prove nothing.
        plain = len(faces) == len(self._first.face_sizes) and not any(
            b"-" in line for line in faces
        )
        self._face_lines = faces if plain else None

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        positions = np.empty((stop - start, self.vertex_count, 3), np.float32)
        for row, path in enumerate(self._paths[start:stop]):
            data = read_obj_bytes(path, PointCacheError)
            frame = self._plain_positions(data)
            if frame is None:
                mesh = self._parse(data, path)
                self._compare(mesh, self._first, "the first frame", path)
                frame = mesh.positions
            positions[row] = frame
        return positions

    def _parse(self, data: bytes, path: Path) -> Obj:
        mesh = parse_obj(data, path, PointCacheError, check_finite=False)
        check_vertex_count(len(mesh.positions), self.vertex_count, path)
        return mesh

    def _compare(self, mesh: Obj, wanted: Polygons, name: str, path: Path) -> None:
        difference = topology_difference(wanted, mesh.face_sizes, mesh.face_vertices, name=name)
        if difference:
            raise PointCacheError(
                f"another topology: {difference}",
                remedy="export all frames from one mesh, keeping the vertex order",
                file=path,
            )

    def _plain_positions(self, data: bytes) -> NDArray[np.float32] | None:
        """The positions when the face lines are those of the first frame; None: read it the slow way."""
        lines = data.splitlines()
        if self._face_lines is None or b"\\" in data:
            return None
        if [line for line in lines if line.startswith(b"f ")] != self._face_lines:
            return None
        points = b" ".join([line for line in lines if line.startswith(b"v ")])
        words = points.split()
        if len(words) != 4 * self.vertex_count or b"_" in points:
            return None
        del words[
            ::4
        ]  # the `v` of each line, or a number, if lines differ in length: then float() fails
        try:
            with np.errstate(over="ignore"):
                return np.array(list(map(float, words)), np.float32).reshape(-1, 3)
        except ValueError:
            return None

    def close(self) -> None:
        """Nothing is held open between frames."""


def sequence_files(path: Path) -> dict[int, Path]:
    """Frame number to file, ascending. Raises `PointCacheError` for none, gaps, and several sequences."""
    folder, wanted = path, None
    if "%" in path.name:
        parts = PATTERN.split(path.name)
        if len(parts) != 3:
            raise PointCacheError(
                "the pattern has no frame number, or several",
                remedy="write for example face.%04d.obj",
                file=path,
            )
        width = int(parts[1] or 1)
        folder = path.parent
        wanted = re.compile(
            rf"{re.escape(parts[0])}(?P<digits>\d{{{width},9}}){re.escape(parts[2])}", re.DOTALL
        )
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except (OSError, ValueError) as problem:
        raise PointCacheError(
            f"the folder cannot be listed: {problem}", remedy="check the path", file=folder
        ) from problem
    found: dict[str, dict[int, Path]] = {}
    for name in names:
        match = (wanted or NUMBERED).fullmatch(name)
        if match is None:
            continue
        sequence = found.setdefault("" if wanted else match["prefix"], {})
        number = int(match["digits"])
        if number in sequence:
            raise PointCacheError(
                f"frame {number} is there twice: {sequence[number].name} and {name}",
                remedy="remove one of them",
                file=path,
            )
        sequence[number] = folder / name
    if len(found) != 1:
        listed = ", ".join(repr(f"{prefix}….obj") for prefix in list(found)[:5])
        raise PointCacheError(
            f"several sequences: {listed}" if found else "no numbered OBJ files",
            remedy="name one by a pattern, for example face.%04d.obj",
            file=path,
        )
    numbered = dict(sorted(next(iter(found.values())).items()))
    _refuse_gaps(numbered, path)
    return numbered


def _refuse_gaps(numbered: dict[int, Path], path: Path) -> None:
    before: int | None = None
    for number, file in numbered.items():
        if before is not None and number != before + 1:
            raise PointCacheError(
                f"frame {before + 1} is missing: there is {numbered[before].name}, then {file.name}",
                remedy="export the missing frames, or number the files without gaps",
                file=path,
            )
        before = number
