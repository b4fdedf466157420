"""Synthetic footage: clips as a face camera records them, for the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

SIZE = (1200, 1600)


@dataclass(frozen=True)
class Encoding:
    """A codec as FFmpeg names it, with the container that it usually comes in."""

    encoder: str = "libx264"
    suffix: str = ".mp4"
    pixel_format: str = "yuv420p"
    bits_per_second: int = 20_000_000
    options: dict[str, str] = field(default_factory=lambda: {"preset": "veryfast"})


H264 = Encoding()
ENCODINGS = {
    "H.264": H264,
    "HEVC": Encoding(
        "libx265", options={"preset": "ultrafast", "x265-params": "log-level=none:keyint=60"}
    ),
    "ProRes": Encoding("prores_ks", ".mov", "yuv422p10le", 0, {"profile": "2"}),
    "DNxHR": Encoding("dnxhd", ".mov", "yuv422p", 0, {"profile": "dnxhr_sq"}),
}


def synthesise(path: Path, frames: int, encoding: Encoding = H264) -> None:
    """A slowly moving pattern with sensor noise, H.264 at about 20 Mbit/s unless another is given."""
    width, height = SIZE
    random = np.random.default_rng(0)
    y, x = np.mgrid[: height + 64, : width + 64]
    scene = 128 + 60 * np.sin(x / 37) * np.cos(y / 53) + 30 * np.sin((x + y) / 11)
    noise = random.normal(0, 3, (height + 256, width + 256))
    with av.open(path, "w") as container:
        stream = container.add_stream(encoding.encoder, rate=30, options=encoding.options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = width, height
        stream.pix_fmt = encoding.pixel_format
        if encoding.bits_per_second:
            stream.codec_context.bit_rate = encoding.bits_per_second
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        for index in range(frames):
            dx, dy = (int(32 + 30 * np.sin(index / rate)) for rate in (9, 13))
            nx, ny = random.integers(0, 256, 2)
            luma = scene[dy : dy + height, dx : dx + width]
            luma = luma + noise[ny : ny + height, nx : nx + width]
            rows = np.zeros((height, frame.planes[0].line_size), np.uint8)
            rows[:, :width] = luma.clip(16, 235)
            frame.planes[0].update(rows.tobytes())
            picture = frame
            if encoding.pixel_format != "yuv420p":
                picture = frame.reformat(format=encoding.pixel_format)
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def lengthen(clip: Path, take: Path, times: int) -> None:
    """The clip several times over, not encoded again; each time begins with a key picture."""
    with av.open(clip) as source, av.open(take, "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        ticks = round(stream.frames / (stream.average_rate or 30) / (stream.time_base or 1))
        packets = [packet for packet in source.demux(stream) if packet.size]
        for repeat in range(times):
            for packet in packets:
                again = av.Packet(bytes(packet))
                assert packet.pts is not None
                assert packet.dts is not None
                again.pts, again.dts = packet.pts + repeat * ticks, packet.dts + repeat * ticks
                again.is_keyframe, again.time_base = packet.is_keyframe, packet.time_base
                again.duration, again.stream = packet.duration, copy
                target.mux(again)
