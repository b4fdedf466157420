"""Isolation: scene files read in a process of their own, which a damaged file may end.

The Alembic library ends the process on some damaged archives, and no exception handler sees it; others make
it ask for endless memory or time. So the library runs in a child, which answers requests over a pipe.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.alembic import AlembicMesh
from facecap_core.pointcaches.cache import PointCache, open_binary
from facecap_core.pointcaches.native import MeshPolygons, NativeMesh
from facecap_core.pointcaches.usd import UsdMesh
from facecap_core.template import Polygons

READERS: dict[str, Callable[..., NativeMesh]] = {"USD": UsdMesh, "Alembic": AlembicMesh}
# The parent's module path goes over first, since a cluster's workers add to it while they run.
START = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from facecap_core.pointcaches.isolation import answer; answer()"
)
ANSWER = struct.Struct("<4sQ")  # ABOU(t), DATA or FAIL, and the bytes that follow
LONGEST_TEXT = 2**20
PATIENCE_SECONDS = 600.0
USD_MESSAGE = re.compile(r"Error in '.*?' at line \d+ in file .*? : '(?P<words>.*)")
MEMORY_BYTES = 16 * 2**30


class IsolatedCache(PointCache):
    """A point cache in a scene file, read by a child process until it is closed."""

    def __init__(
        self,
        path: Path,
        *,
        format: str,
        mesh: str | None,
        vertex_count: int,
        topology: Polygons | None = None,
    ) -> None:
        self.path, self.format, self.vertex_count = path, format, vertex_count
        open_binary(path).close()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._ask(sys.path)
            self._ask(
                {
                    "format": format,
                    "path": str(path),
                    "mesh": mesh,
                    "vertex_count": vertex_count,
                    "face_sizes": None if topology is None else topology.face_sizes.tolist(),
                    "face_vertices": None if topology is None else topology.face_vertices.tolist(),
                }
            )
            about = json.loads(self._answer(b"ABOU", LONGEST_TEXT).tobytes())
        except BaseException:
            self.close()
            raise
        self.frame_count, self.start_frame = about["frame_count"], about["start_frame"]
        self.fps = None if about["fps"] is None else Fraction(about["fps"])
        self.units, self.up_axis = about["units"], about["up_axis"]
        self.notes = tuple(about["notes"])

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        shape = (stop - start, self.vertex_count, 3)
        self._ask([start, stop])
        frames = [self._answer(b"DATA", 12 * self.vertex_count) for _ in range(stop - start)]
        return np.concatenate([np.empty(0, np.uint8), *frames]).view(np.float32).reshape(shape)

    def _ask(self, request: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._ended() from None

    def _answer(self, expected: bytes, longest: int) -> NDArray[np.uint8]:
        timer = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            kind, length = ANSWER.unpack(self._receive(ANSWER.size).tobytes())
            if kind == b"FAIL" and length <= LONGEST_TEXT:
                told = json.loads(self._receive(length).tobytes())
                raise PointCacheError(told["message"], remedy=told["remedy"], file=self.path)
            if kind != expected or length > longest:
                raise self._ended()
            return self._receive(length)
        finally:
            timer.cancel()

    def _receive(self, length: int) -> NDArray[np.uint8]:
        assert self._process.stdout is not None
        received, view = 0, memoryview(bytearray(length))
        while received < length:
            got = self._process.stdout.readinto(view[received:])  # type: ignore[attr-defined]
            if not got:
                raise self._ended()
            received += got
        return np.frombuffer(view, np.uint8)

    def _ended(self) -> PointCacheError:
        self._process.kill()
        code = self._process.wait()
        return PointCacheError(
            f"the {self.format} library ended without an answer (exit {code})",
            remedy="the file is damaged: export it again",
            file=self.path,
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was still to be written to a child that is gone
                pass


def answer() -> None:
    """The child: open what the first request names, then send frames until the parent hangs up."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not be taken for an answer
    requests = sys.stdin.buffer
    try:
        first = json.loads(requests.readline())
        _limit(os.path.getsize(first["path"]))
        mesh = _open(first)
        about = {
            "frame_count": mesh.frame_count,
            "start_frame": mesh.start_frame,
            "fps": None if mesh.fps is None else str(mesh.fps),
            "units": mesh.units,
            "up_axis": mesh.up_axis,
            "notes": mesh.notes,
        }
        _send(output, b"ABOU", json.dumps(about).encode())
        for line in requests:
            start, stop = json.loads(line)
            for frame in range(start, stop):
                _send(output, b"DATA", np.ascontiguousarray(mesh.positions(frame)).tobytes())
    except PointCacheError as error:
        _send_fault(output, error.fault.message, error.fault.remedy)
    except MemoryError:
        _send_fault(output, "asks for more memory than a mesh can need", "export it again")
    except Exception as error:
        _send_fault(output, f"cannot be read: {_words(error)}", "export it again")
    os._exit(0)  # past the library's own end, which a damaged file can upset


def _open(request: dict[str, Any]) -> NativeMesh:
    topology = None
    if request["face_sizes"] is not None:
        topology = MeshPolygons(
            np.array(request["face_sizes"], np.int32), np.array(request["face_vertices"], np.int32)
        )
    reader = READERS[request["format"]]
    return reader(Path(request["path"]), request["mesh"], request["vertex_count"], topology)


def _send(output: BinaryIO, kind: bytes, payload: bytes) -> None:
    output.write(ANSWER.pack(kind, len(payload)))
    output.write(payload)
    output.flush()


def _send_fault(output: BinaryIO, message: str, remedy: str) -> None:
    _send(output, b"FAIL", json.dumps({"message": message, "remedy": remedy}).encode())


def _words(error: Exception) -> str:
    """What a library says, less its own source lines; it may say much, or what is no text."""
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except UnicodeDecodeError:  # USD repeats the damaged place, byte by byte
        return "damaged text"
    if not lines:
        return type(error).__name__
    placed = USD_MESSAGE.match(lines[0])
    return (placed["words"].rstrip("'") if placed else lines[-1])[:300]


def _limit(file_bytes: int) -> None:
    """No core dumps, and no more memory than a mesh can need."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    most, hard = MEMORY_BYTES + 4 * file_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
