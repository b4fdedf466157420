"""Footage files: made-up videos and image sequences of any codec, and the luma that must be read of them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from facecap_core.footage.footage import Footage
from facecap_core.footage.source import probe

FPS = Fraction(30)
SIZE = (96, 130)
FRAMES = 14

Floats = npt.NDArray[np.float64]


def picture(index: int, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    """A picture without symmetry, moving with `index`, RGB [y, x, 3]."""
    y, x = np.mgrid[: size[1], : size[0]]
    red = 128 + 100 * np.sin((x + 3 * index) / 9) * np.cos(y / 17)
    green = 255 * x / size[0]
    blue = np.where((x // 12 + y // 8 + index) % 2, 230, 25)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


_FAST = {
    "libx264": {"preset": "ultrafast", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def write_video(
    path: Path,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    *,
    stamps: Iterable[int] = range(FRAMES),
    fps: Fraction = FPS,
    time_base: Fraction | None = None,
    size: tuple[int, int] = SIZE,
    full_range: bool = False,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    container_options: dict[str, str] | None = None,
    container_format: str | None = None,
    timecode: str | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    with av.open(path, "w", format=container_format, options=container_options or {}) as container:
        if timecode is not None:
            container.metadata["timecode"] = timecode
        stream = container.add_stream(
            codec, rate=fps, options={**_FAST.get(codec, {}), **(options or {})}
        )
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if full_range:
            stream.codec_context.color_range = 2
        if time_base is not None:
            stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index, size), "rgb24")
            frame = frame.reformat(format=pixel_format, dst_color_range=2 if full_range else None)
            frame.pts = stamp
            if time_base is not None:
                frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rgb_frame(rgb: npt.NDArray[np.uint8], pixel_format: str) -> av.VideoFrame:
    """The picture in a deeper format without FFmpeg's roundings, where the format is deeper."""
    if pixel_format == "rgb48be":
        return av.VideoFrame.from_ndarray(rgb.astype(np.uint16) * 257, pixel_format)
    if pixel_format == "gbrp10le":
        deep = np.rint(rgb * (1023 / 255)).astype(np.uint16)
        return av.VideoFrame.from_ndarray(deep, pixel_format)
    if pixel_format == "gbrpf32le":
        return av.VideoFrame.from_ndarray((rgb / 255).astype(np.float32), pixel_format)
    return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixel_format)


def write_images(
    folder: Path,
    name: str,
    *,
    codec: str = "png",
    pixel_format: str = "rgb24",
    numbers: Iterable[int] = range(1, 6),
    size: tuple[int, int] = SIZE,
    pixel_aspect: Fraction | None = None,
) -> Path:
    for index, number in enumerate(numbers):
        context = av.CodecContext.create(codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = *size, pixel_format
        context.time_base = Fraction(1, 30)
        if pixel_aspect is not None:
            context.sample_aspect_ratio = pixel_aspect
        frame = rgb_frame(picture(index, size), pixel_format)
        frame.pts = 0
        packets = [*context.encode(frame), *context.encode(None)]
        (folder / (name % number)).write_bytes(b"".join(bytes(packet) for packet in packets))
    return folder / name


def footprint(source: int, target: int) -> Floats:
    """Weights [target, source] of the area filter; of linear interpolation when enlarging."""
    if target > source:
        centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
        return np.clip(1 - np.abs(centres[:, None] - np.arange(source)), 0, None)
    edges = np.linspace(0, source, target + 1)
    pixels = np.arange(source)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    return np.clip(high - low, 0, None) * target / source


def reference(luma: Floats, crop: tuple[int, int, int, int]) -> Floats:
    """What Footage must give for a whole upright picture of luma levels, float64 0..255."""
    x, y, width, height = crop
    mean = footprint(height, 320) @ luma[y : y + height, x : x + width] @ footprint(width, 240).T
    return np.clip(mean, 0, 255)


def luma_levels(frame: av.VideoFrame, *, limited: bool) -> Floats:
    """Levels of a frame with a luma plane, [y, x]; black 0, white 255, and beyond."""
    bits = frame.format.components[0].bits
    plane = frame.planes[0]
    dtype = np.uint8 if bits == 8 else np.uint16
    codes = np.frombuffer(memoryview(plane), dtype).reshape(frame.height, -1)[:, : frame.width]
    if limited:
        levels = (codes / 2.0 ** (bits - 8) - 16) / 219
    else:
        levels = codes / (2.0**bits - 1)
    return 255 * levels


def decoded_levels(path: Path, *, limited: bool) -> list[Floats]:
    with av.open(path) as container:
        return [luma_levels(frame, limited=limited) for frame in container.decode(video=0)]


def read(path: Path, *, fps: Fraction = FPS, **settings: object) -> npt.NDArray[np.uint8]:
    crop = settings.pop("crop", None) or (0, 0, *probe(path).picture_size)
    footage = Footage(path, crop=crop, fps=fps, **settings)  # type: ignore[arg-type]
    return np.stack([frame.luma for frame in footage])
