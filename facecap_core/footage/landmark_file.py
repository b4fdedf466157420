"""Landmark file: the 68 points of each picture of a shot, as another program found them.

NPY: floats [frame, 68, 2]. CSV: a header line with the columns x_0 ... x_67 and y_0 ... y_67 in any order, others
are passed over, then a line for each picture.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facecap_core.errors import LandmarksError
from facecap_core.fingerprints import fingerprint_file

POINTS = 68
EYES = (slice(36, 42), slice(42, 48))  # the one on the left of the picture, the one on the right
FARTHEST = 10_000.0  # of a point from the picture, in its pixels
REMEDY = (
    "export the 68 points of each picture again, in pixels of the 240x320 picture after the crop"
)


class FileLandmarks:
    """Points from a file: half a kilobyte of memory for each picture."""

    def __init__(self, path: Path) -> None:
        """Raises LandmarksError when the file is absent, damaged, or holds what cannot be a face."""
        self._path = path
        if not path.is_file():
            raise LandmarksError(
                "there is no such file", remedy="check landmarks in production.toml", file=path
            )
        try:
            self._fingerprint = fingerprint_file(path, whole=True)
            self._points = _read_npy(path) if path.suffix.lower() == ".npy" else _read_csv(path)
        except OSError as error:
            raise LandmarksError(f"cannot be read: {error}", remedy=REMEDY, file=path) from error
        _check(self._points, path)

    @property
    def frames(self) -> int:
        return len(self._points)

    @property
    def identity(self) -> dict[str, str]:
        return {"landmarks": self._path.name, "landmarks_fingerprint": self._fingerprint}

    @property
    def facts(self) -> dict[str, Any]:
        return {"pictures_without_face": 0}

    def __call__(self, luma: npt.NDArray[np.uint8], first_frame: int) -> npt.NDArray[np.float64]:
        """Points float64 [frame, point, xy] of as many pictures, from frame `first_frame` on."""
        points = self._points[first_frame : first_frame + len(luma)]
        if len(points) < len(luma):
            self.check_frames(first_frame + len(luma))
        return points.astype(np.float64)

    def check_frames(self, frames: int) -> None:
        """Raises LandmarksError when the shot has another number of frames, which is at least `frames`."""
        if frames != len(self._points):
            raise LandmarksError(
                f"has points of {len(self._points)} frames, the footage has {frames}"
                + (" or more" if frames > len(self._points) else ""),
                remedy="export them for exactly the frames of the footage",
                file=self._path,
            )


def _read_npy(path: Path) -> npt.NDArray[np.float32]:
    try:
        # Mapped, a header that promises more than the file has is refused before memory is asked for;
        # and unlike numpy.load this never takes the file for a pickle or an archive.
        found: Any = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, TypeError, EOFError, SyntaxError, OverflowError, MemoryError) as error:
        raise LandmarksError(
            f"is no NPY file of numbers: {error}", remedy=REMEDY, file=path
        ) from error
    if found.dtype.kind not in "fiu":
        raise LandmarksError(f"holds {found.dtype}, no numbers", remedy=REMEDY, file=path)
    if found.ndim != 3 or found.shape[1:] != (POINTS, 2):
        raise LandmarksError(
            f"has shape {str(found.shape)[:60]}, not (frame, {POINTS}, 2)", remedy=REMEDY, file=path
        )
    with np.errstate(over="ignore"):
        return np.array(found, np.float32)


def _read_csv(path: Path) -> npt.NDArray[np.float32]:
    rows: list[npt.NDArray[np.float32]] = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            columns = _columns(header)
            for row in reader:
                if any(cell.strip() for cell in row):
                    numbers = np.array([float(row[column]) for column in columns], np.float32)
                    rows.append(numbers.reshape(POINTS, 2))
        except (ValueError, IndexError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
            what = "a point is missing" if isinstance(error, IndexError) else str(error)
            line = reader.line_num
            raise LandmarksError(what, remedy=REMEDY, file=path, line=line) from error
    return np.array(rows, np.float32).reshape(-1, POINTS, 2)


def _columns(header: list[str]) -> list[int]:
    wanted = [f"{axis}_{point}" for point in range(POINTS) for axis in "xy"]
    missing = [name for name in wanted if header.count(name) != 1]
    if missing:
        more = f", and {len(missing) - 1} more like it" if len(missing) > 1 else ""
        raise ValueError(f"the first line has no column {missing[0]}, or several{more}")
    return [header.index(name) for name in wanted]


def _check(points: npt.NDArray[np.float32], path: Path) -> None:
    if not len(points):
        raise LandmarksError("has no points", remedy=REMEDY, file=path)
    # Also true of what is not a number.
    wild = np.flatnonzero(~(np.abs(points) < FARTHEST).all(axis=(1, 2)))
    if wild.size:
        raise LandmarksError(
            f"frame {wild[0]}: a point is not finite, or far outside the picture",
            remedy="mend the points of that frame",
            file=path,
        )
    left, right = (points[:, eye, 0].mean(axis=1) for eye in EYES)
    turned = np.flatnonzero(left >= right)
    if turned.size:
        raise LandmarksError(
            f"frame {turned[0]}: points 36-41 are right of points 42-47",
            remedy="give the points in the order of the 300-W data set: the left of the picture first",
            file=path,
        )
