"""Picture: from one decoded picture to the network's 240×320 luma, without touching the rest of it.

The crop of the luma plane is viewed where the decoder left it, and the area filter reads it there;
whole pictures are never converted or copied, unless their planes are interleaved (most PNGs). The
planes of RGB pictures are filtered one by one and then weighted to luma. The area filter writes 16
bits, so that expansion from limited range, curve and weights come before the only rounding to 8.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from facecap_core.errors import CropOutsidePicture, FootageUnreadable, PictureSizeError
from facecap_core.footage.orientation import LumaArray, Rectangle, orientation_of

LUMA_WIDTH = 240
LUMA_HEIGHT = 320
MAX_SIDE = 16384  # pixels; a header can claim any size, and memory follows it
MAX_PIXELS = MAX_SIDE * MAX_SIDE

_FULL_RANGE, _LIMITED_RANGE = 2, 1  # AVColorRange
_BT470BG, _SMPTE170M, _SMPTE240M, _BT2020 = 5, 6, 7, 9  # AVColorPrimaries
_LINEAR_LIGHT = 8  # AVColorTransferCharacteristic

# Luma weights of R, G, B. RGB carries no matrix, so its primaries choose one; BT.709 when untagged.
_WEIGHTS_BT709 = (0.2126, 0.7152, 0.0722)
_WEIGHTS_BT601 = (0.299, 0.587, 0.114)
_WEIGHTS = {
    _BT470BG: _WEIGHTS_BT601,
    _SMPTE170M: _WEIGHTS_BT601,
    _SMPTE240M: (0.212, 0.701, 0.087),
    _BT2020: (0.2627, 0.6780, 0.0593),
}

# What hardware decoders give: luma for itself, in the upper bits, with how many below are empty.
_LUMA_ALONE = {"nv12": 0, "p010le": 6, "p012le": 4}

# Their bitstreams say "limited" by saying nothing, and they can carry gray without chroma.
_LIMITED_WHEN_UNTAGGED = frozenset({"h264", "hevc", "vp9", "av1", "vvc", "mpeg2video", "mpeg4"})


def check_size(width: int, height: int, file: str | Path) -> None:
    """Refuse sizes that no camera has; raises PictureSizeError."""
    if width < 1 or height < 1 or width > MAX_SIDE or height > MAX_SIDE:
        raise PictureSizeError(
            f"the pictures are {width}x{height} pixels",
            remedy=f"footage from 1x1 to {MAX_SIDE}x{MAX_SIDE} pixels can be read",
            file=file,
        )


def check_crop(crop: Rectangle, displayed_size: tuple[int, int], file: str | Path) -> None:
    """Raises CropOutsidePicture, with both sizes, unless the crop lies within the picture."""
    x, y, width, height = crop
    if (
        min(x, y) < 0
        or min(width, height) < 1
        or x + width > displayed_size[0]
        or y + height > displayed_size[1]
    ):
        raise CropOutsidePicture(
            f"the crop x={x} y={y} width={width} height={height} does not lie within the "
            f"{displayed_size[0]}x{displayed_size[1]} picture",
            remedy="correct the camera's crop in production.toml, or the footage",
            file=file,
        )


class PictureFilter:
    """Crops a decoded picture and area-filters it to luma, uint8 [y=320, x=240], full range.

    `crop` counts pixels of the displayed picture. A crop smaller than 240×320 is interpolated
    linearly. All pictures must have the size and orientation of the first; the pixel format may
    change (image sequences). Raises CropOutsidePicture, PictureSizeError.
    """

    def __init__(
        self, crop: Rectangle, first: av.VideoFrame, *, codec: str, file: str | Path = ""
    ) -> None:
        self._file = file
        self._codec = codec
        self._coded_size = (first.width, first.height)
        self._orientation = orientation_of(first, file)
        displayed_size = self._orientation.displayed_size(*self._coded_size)
        check_crop(crop, displayed_size, file)
        self._crop = self._orientation.coded_crop(crop, displayed_size)
        self._format: tuple[str, int, int, int] | None = None
        self._planes: list[_Plane] = []
        self._range = _FULL_RANGE
        self._split_format = ""

    def __call__(self, frame: av.VideoFrame) -> LumaArray:
        """The picture's luma, uint8 [y=320, x=240], in memory of its own."""
        if (frame.width, frame.height) != self._coded_size:
            raise PictureSizeError(
                f"the picture size changes from {self._coded_size[0]}x{self._coded_size[1]} "
                f"to {frame.width}x{frame.height}",
                remedy="render the shot anew in one size",
                file=self._file,
            )
        format_ = (frame.format.name, frame.color_range, frame.color_primaries, frame.color_trc)
        if format_ != self._format:
            self._planes = self._make_planes(frame)
            self._format = format_
        if self._split_format != frame.format.name:
            frame = self._split(frame)
        levels = self._planes[0](frame)
        for plane in self._planes[1:]:
            levels += plane(frame)
        return self._orientation.upright(levels.astype(np.uint8))

    def _split(self, frame: av.VideoFrame) -> av.VideoFrame:
        range_ = self._range
        try:
            return frame.reformat(
                format=self._split_format,
                src_color_range=range_,
                dst_color_range=range_,
                threads=1,
            )
        except av.error.FFmpegError as error:
            raise FootageUnreadable(
                f"pictures of pixel format {frame.format.name} cannot be converted",
                remedy="render the footage in a common pixel format",
                file=self._file,
            ) from error

    def _make_planes(self, frame: av.VideoFrame) -> list[_Plane]:
        limited = is_limited_range(frame, self._codec)
        self._range = _LIMITED_RANGE if limited else _FULL_RANGE
        self._split_format = _splittable(frame.format)
        bits = av.VideoFormat(self._split_format).components[0].bits
        linear_light = int(frame.color_trc) == _LINEAR_LIGHT or bits == 32
        weights: tuple[float, ...] = (1.0,)
        if is_rgb(frame):
            red, green, blue = _WEIGHTS.get(int(frame.color_primaries), _WEIGHTS_BT709)
            weights = (green, blue, red)  # the order of FFmpeg's planes
        width, height = LUMA_WIDTH, LUMA_HEIGHT
        if self._orientation.transposed:
            width, height = height, width
        return [
            _Plane(
                index,
                bits,
                self._crop,
                (width, height),
                limited=limited,
                linear_light=linear_light,
                weight=weight,
                rounding=0.5 if index == 0 else 0.0,
                empty_bits=_LUMA_ALONE.get(self._split_format, 0),
            )
            for index, weight in enumerate(weights)
        ]


def is_rgb(frame: av.VideoFrame) -> bool:
    """Whether luma must be weighted from three planes (palettes and Bayer patterns included)."""
    return frame.format.is_rgb or frame.format.has_palette or frame.format.is_bayer


def is_limited_range(frame: av.VideoFrame, codec: str) -> bool:
    """Whether black is 16 and white 235 (in 8 bits), by tag, else by what the format implies."""
    if int(frame.color_range) in (_FULL_RANGE, _LIMITED_RANGE):
        return int(frame.color_range) == _LIMITED_RANGE
    name = frame.format.name
    if is_rgb(frame) or name.startswith("yuvj"):
        return False
    if name.startswith(("gray", "ya", "mono")):
        return codec in _LIMITED_WHEN_UNTAGGED
    return codec != "mjpeg"


def _splittable(format_: av.VideoFormat) -> str:
    """The nearest pixel format with planes of native numbers; nearly always `format_` itself."""
    name, bits = format_.name, format_.components[0].bits
    half_floats = "f16" in name
    if name in _LUMA_ALONE:
        return name
    if name.startswith(("yuv", "gbr", "gray")) and not name.endswith("be") and not half_floats:
        planes = [component.plane for component in format_.components]
        if len(set(planes)) == len(planes):
            return name
    depth = 32 if half_floats else next(depth for depth in (8, 10, 12, 16, 32) if bits <= depth)
    suffix = {8: "", 32: "f32le"}.get(depth, f"{depth}le")
    if format_.is_rgb or format_.has_palette or format_.is_bayer:
        return f"gbrp{suffix}"
    if len(format_.components) <= 2:
        return f"gray{suffix}"
    return f"yuv444p{suffix}"


class _Plane:
    """One plane of the crop, area-filtered, as its share in the luma level."""

    def __init__(
        self,
        index: int,
        bits: int,
        crop: Rectangle,
        size: tuple[int, int],
        *,
        limited: bool,
        linear_light: bool,
        weight: float,
        rounding: float,
        empty_bits: int,
    ) -> None:
        self._index = index
        self._empty_bits = empty_bits
        self._crop = crop
        self._size = size
        self._dtype = np.dtype({8: np.uint8, 32: np.float32}.get(bits, np.uint16))
        self._gray = {8: "gray", 32: "grayf32le"}.get(bits, f"gray{bits}le")
        self._filtered_format = "grayf32le" if bits == 32 else "gray16le"
        self._scaler = VideoReformatter()
        # The filter gives a code of few bits as the upper bits of 16.
        self._shift = max(16 - bits, 0)
        black, white = 0.0, 1.0 if bits == 32 else 2.0**bits - 1
        if limited and bits < 32:
            black, white = (level * 2.0 ** (bits - 8) for level in (16, 235))
        gain = 255 * weight / (white - black)
        self._gain = np.float32(gain / 2.0**self._shift)
        self._offset = np.float32(rounding - gain * black)
        self._least, self._most = np.float32(rounding), np.float32(rounding + 255 * weight)
        self._curve = _srgb_curve if linear_light else None
        # Kept from picture to picture: fresh memory of this size costs more than the arithmetic.
        self._levels = np.empty((size[1], size[0]), dtype=np.float32)

    def __call__(self, frame: av.VideoFrame) -> npt.NDArray[np.float32]:
        """Levels 0..255 times the weight, plus the rounding, float32 [y, x], until the next call."""
        values = self._filtered(frame)
        levels = self._levels
        np.multiply(values, self._gain, out=levels)
        levels += self._offset
        np.clip(levels, self._least, self._most, out=levels)
        if self._curve is not None:
            range_ = self._most - self._least
            levels -= self._least
            levels[...] = range_ * self._curve(np.nan_to_num(levels / range_)) + self._least
        return levels

    def _filtered(self, frame: av.VideoFrame) -> npt.NDArray[np.uint16] | npt.NDArray[np.float32]:
        x, y, width, height = self._crop
        cropped = _rows(frame, self._index, self._dtype)[y : y + height, x : x + width]
        if self._empty_bits:
            cropped = np.right_shift(cropped, self._empty_bits)
        if (width, height) == self._size:
            # The scaler would fill the lower bits as well, by a rule of its own.
            return np.left_shift(cropped, self._shift, dtype=np.uint16) if self._shift else cropped
        # No copy: the view's row pitch is the picture's. Gray counts as full range, so the levels
        # stay as they are.
        filtered = self._scaler.reformat(
            av.VideoFrame.from_numpy_buffer(cropped, self._gray),
            *self._size,
            self._filtered_format,
            interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND,
            threads=1,
        )
        dtype = np.dtype(np.float32 if self._filtered_format == "grayf32le" else np.uint16)
        return _rows(filtered, 0, dtype)[:, : self._size[0]]


def _rows(frame: av.VideoFrame, index: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A plane where it lies [y, x], with the padding at the end of its rows."""
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), dtype=dtype)
    return rows.reshape(-1, plane.line_size // dtype.itemsize)[: plane.height]


def _srgb_curve(light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scene-linear light 0..1 as footage for people to look at has it."""
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return curve.astype(np.float32)
