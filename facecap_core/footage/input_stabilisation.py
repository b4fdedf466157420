"""Input stabilisation: pictures turned and moved so that the face lies still in them (Appendix B)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facecap_core.footage.landmark_file import EYES
from facecap_core.footage.landmarks import Landmarks, Points, landmarks_of
from facecap_core.productions.production_toml import CameraSettings

NOSE = slice(27, 36)
LumaArray = npt.NDArray[np.uint8]


class Stabiliser:
    """The pictures of a shot, stabilised; given in order from the first, in batches of any size.

    `identity` is what decides the result besides the pictures.
    """

    def __init__(self, landmarks: Landmarks) -> None:
        self.landmarks = landmarks

    @property
    def identity(self) -> dict[str, str]:
        return self.landmarks.identity

    def __call__(self, luma: LumaArray, first_frame: int) -> LumaArray:
        """Pictures uint8 [frame, y, x], the first of which is frame `first_frame` of the shot."""
        return stabilise(luma, self.landmarks(luma, first_frame))

    def check_frames(self, frames: int) -> None:
        """At the end: raises LandmarksError when the landmarks are of a shot of another length."""
        self.landmarks.check_frames(frames)


def stabiliser(camera: CameraSettings, shot: str) -> Stabiliser | None:
    """The stabiliser for one shot's pictures of a camera; None when the camera has no landmarks.

    Raises:
        LandmarksError: the extra is not installed; the shot's file is absent or damaged.
    """
    landmarks = landmarks_of(camera, shot)
    return None if landmarks is None else Stabiliser(landmarks)


def stabilise(luma: LumaArray, points: Points) -> LumaArray:
    """Pictures uint8 [frame, y, x] turned and moved by their landmarks [frame, point, xy].

    The line through both eyes becomes horizontal, the median line between them comes to the middle of
    the picture's width, the height of the nose's points to the middle of its height: the eyes' points
    would move the picture with each blink. The place is the picture's own, so there is nothing to
    remember between training and inference, and a face in the middle of the crop stays there.
    Bilinear, one resampling; beyond the picture its edge is repeated.
    """
    height, width = luma.shape[1:]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    stabilised = np.empty_like(luma)
    for picture, (right, anchor), out in zip(luma, _poses(points), stabilised, strict=True):
        down = np.array([-right[1], right[0]])
        across = anchor[0] + right[0] * x + down[0] * y
        along = anchor[1] + right[1] * x + down[1] * y
        out[:] = _sampled(picture, across, along)
    return stabilised


def _poses(points: Points) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Of each picture the direction from eye to eye, and the point that comes to the middle."""
    left, right = (points[:, eye].mean(axis=1) for eye in EYES)
    nose = points[:, NOSE].mean(axis=1)
    across = right - left
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    down = np.stack([-across[:, 1], across[:, 0]], axis=1)
    median = np.sum((left + right) / 2 * across, axis=1, keepdims=True)
    height = np.sum(nose * down, axis=1, keepdims=True)
    anchors = median * across + height * down
    return list(zip(across.astype(np.float32), anchors.astype(np.float32), strict=True))


def _sampled(
    picture: LumaArray, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Levels at places between the pixels, rounded."""
    height, width = picture.shape
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left = np.minimum(x.astype(np.int32), width - 2)
    top = np.minimum(y.astype(np.int32), height - 2)
    x, y = x - left, y - top
    levels, corner = picture.ravel().astype(np.float32), top * width + left
    above = levels[corner] * (1 - x) + levels[corner + 1] * x
    below = levels[corner + width] * (1 - x) + levels[corner + width + 1] * x
    return np.rint(above * (1 - y) + below * y)
