"""Canvas: a picture in the planes of video, of which only a few places change from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
import torch
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from torch import Tensor

# BT.709 in limited range, which players take pictures of this size for: luma, blue and red difference.
_WEIGHTS = torch.tensor(
    [
        [0.2126, 0.7152, 0.0722],
        [-0.2126 / 1.8556, -0.7152 / 1.8556, 0.9278 / 1.8556],
        [0.7874 / 1.5748, -0.7152 / 1.5748, -0.0722 / 1.5748],
    ]
) * torch.tensor([[219.0], [224.0], [224.0]])
_ZERO = torch.tensor(
    [[16.5], [128.0], [128.0]]
)  # the half rounds; differences are rounded after their mean
_GRAY = np.round(16 + np.arange(256) * (219 / 255)).astype(np.uint8)


@dataclass(frozen=True)
class Planes:
    """A picture as video keeps it, yuv420p; sides are even. `packed` uint8 [y * 3 / 2, x] holds all three."""

    packed: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray) -> Planes:
        """Of a picture uint8 [y, x, rgb]."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        converted = frame.reformat(
            format="yuv420p",
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            dst_colorspace=Colorspace.ITU709,
        )
        return cls(converted.to_ndarray())

    def copy(self) -> Planes:
        return Planes(self.packed.copy())

    @property
    def luma(self) -> np.ndarray:
        """uint8 [y, x], 16 to 235."""
        return self.packed[: len(self.packed) // 3 * 2]

    @property
    def chroma(self) -> np.ndarray:
        """Blue and red difference, uint8 [2, y / 2, x / 2]."""
        rows, columns = self.luma.shape
        return self.packed[rows:].reshape(2, rows // 2, columns // 2)

    def put(self, other: Planes, top: int, left: int) -> None:
        """Lay another picture onto this one; `top` and `left` are even."""
        self._put(other.luma, other.chroma, top, left)

    def put_gray(self, picture: np.ndarray, top: int, left: int) -> None:
        """Likewise a picture uint8 [y, x]."""
        self._put(_GRAY[picture], np.uint8(128), top, left, picture.shape)

    def put_colours(self, picture: Tensor, top: int, left: int) -> None:
        """Likewise a picture float32 [rgb, y, x] in 0..1."""
        _, rows, columns = picture.shape
        planes = torch.addmm(_ZERO, _WEIGHTS, picture.reshape(3, -1)).reshape(3, rows, columns)
        chroma = torch.nn.functional.avg_pool2d(planes[None, 1:], 2)[0].add_(0.5)
        luma = planes[0].to(torch.uint8).numpy()
        self._put(luma, chroma.to(torch.uint8).numpy(), top, left)

    def frame(self) -> av.VideoFrame:
        """For an encoder that `tagged` was told of."""
        return av.VideoFrame.from_ndarray(self.packed, format="yuv420p")

    def _put(
        self,
        luma: np.ndarray,
        chroma: np.ndarray | np.uint8,
        top: int,
        left: int,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        rows, columns = shape or luma.shape
        self.luma[top : top + rows, left : left + columns] = luma
        self.chroma[:, top // 2 : (top + rows) // 2, left // 2 : (left + columns) // 2] = chroma


def tag(stream: av.VideoStream) -> None:
    """Say in the video how its colours are meant."""
    context = stream.codec_context
    context.pix_fmt = "yuv420p"
    context.color_range, context.colorspace = 1, 1  # limited, BT.709
    context.color_primaries, context.color_trc = 1, 1


class Enlarger:
    """Brings gray pictures uint8 [y, x] to the size (width, height) of a panel."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._scaler = VideoReformatter()

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        if picture.shape == (self._size[1], self._size[0]):
            return picture
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
        scaled = self._scaler.reformat(frame, *self._size, interpolation=Interpolation.BICUBIC)
        return scaled.to_ndarray()
