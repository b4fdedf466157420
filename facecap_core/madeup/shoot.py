"""Shoot: the made-up actor before a made-up camera, from motion to an H.264 file.

One process draws, grades and encodes a shot; everything random comes from the shot's seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from facecap_core.errors import FootageError
from facecap_core.madeup.actor import MadeUpActor
from facecap_core.madeup.motion import FPS, Performance, smooth_noise
from facecap_core.rasteriser import Camera, Light, Lighting, Rasteriser
from facecap_core.whole_path import whole_path

PICTURE_SIZE = (540, 720)  # width, height
CROP = (30, 40, 480, 640)  # x, y, width, height: the whole mask with room for the head's motion
CAMERA = Camera((0.0, -0.9, 106.5), (0.0, -0.9, 6.5), vertical_fov_degrees=14.8, near=10.0)
# 60 degrees to the actor's left, as far away; the mask is deeper than wide, so it sees a little more.
LEFT_CAMERA = Camera((88.4, -0.9, 53.3), (1.8, -0.9, 3.3), vertical_fov_degrees=16.5, near=10.0)
STUDIO = Lighting(
    lights=(
        Light((-0.55, 0.60, 0.75), (0.60, 0.57, 0.53)),
        Light((0.80, 0.20, 0.50), (0.25, 0.27, 0.30)),
        Light((0.05, 0.85, -0.45), (0.16, 0.16, 0.18)),
    ),
    ambient=(0.15, 0.15, 0.16),
    shininess_doublings=6,
    wrap=0.2,
)
NOISE_LEVELS = (1.5, 0.75)  # deviation of luma and chroma noise, of 255
FLICKER = 0.015  # of mains light at 100 Hz, seen at 30 pictures a second


@dataclass(frozen=True)
class Imaging:
    """How a shot was lit and exposed: what the network must not mind."""

    flicker: np.ndarray  # float64 [frame], factor of brightness
    brightness: float  # added, of full scale
    contrast: np.ndarray  # float64 [frame], factor about middle gray


def imaging(frames: int, seed: tuple[int, int]) -> Imaging:
    """Exposure of a shot; the same for the same seed."""
    generator = np.random.default_rng([*seed, 6])
    phase = generator.uniform(0, 2 * np.pi)
    # 100 Hz against 30 pictures a second: the same phase comes back every third picture.
    flicker = 1 + FLICKER * np.sin(phase + 2 * np.pi * np.arange(frames) / 3)
    drift = smooth_noise(generator, frames, 1, seconds=3.0)[:, 0]
    contrast = 1 + generator.uniform(-0.03, 0.03) + 0.006 * drift
    return Imaging(flicker, float(generator.uniform(-0.03, 0.03)), contrast)


@dataclass(frozen=True)
class View:
    """A camera of the studio: where it stands, what of its picture is the face, the seed of its noise."""

    camera: Camera
    crop: tuple[int, int, int, int]
    sensor: tuple[int, ...]


VIEWS = {"center": View(CAMERA, CROP, (7,)), "left": View(LEFT_CAMERA, CROP, (7, 1))}


class Studio:
    """An actor before one camera; keeps meshes and buffers from shot to shot."""

    def __init__(
        self,
        actor: MadeUpActor,
        *,
        size: tuple[int, int] = PICTURE_SIZE,
        view: View = VIEWS["center"],
    ) -> None:
        self.actor = actor
        self.size = size
        self.view = view
        self._rasteriser = Rasteriser(
            actor.faces, size=size, lighting=STUDIO, uvs=actor.uvs, texture=actor.texture
        )
        self._colours = torch.from_numpy(actor.colours)
        self._gloss = torch.from_numpy(actor.gloss)
        self._background = _background(size, actor.identity.seed)

    def picture(self, drawn: np.ndarray) -> Tensor:
        """What the camera sees of a mesh [vertex, xyz], before grading: float32 [rgb, y, x] in 0..1."""
        return self._rasteriser.render_planes(
            drawn,
            camera=self.view.camera,
            colours=self._colours,
            gloss=self._gloss,
            background=self._background,
        )

    def pictures(
        self, drawn: np.ndarray, performance_imaging: Imaging, seed: tuple[int, int]
    ) -> Iterator[np.ndarray]:
        """Graded, noisy pictures as an encoder takes them: uint8 planar YUV 4:2:0 [y * 3 / 2, x]."""
        camera = _Sensor(self.size, (*seed, *self.view.sensor))
        for number, mesh in enumerate(drawn):
            yield camera.expose(
                self.picture(mesh),
                float(performance_imaging.contrast[number]),
                performance_imaging.brightness,
                float(performance_imaging.flicker[number]),
            )

    def shoot(self, performance: Performance, seed: tuple[int, int], footage: Path) -> np.ndarray:
        """Write the footage of a performance; returns its targets float32 [frame, vertex, xyz], cm."""
        targets, drawn = self.actor.scene(
            performance.controls,
            performance.head_rotation_degrees,
            performance.head_translation_cm,
        )
        encode(footage, self.pictures(drawn, imaging(len(drawn), seed), seed), self.size)
        return targets


class _Sensor:
    """Lens blur, grading, BT.709 limited range and noise."""

    def __init__(self, size: tuple[int, int], seed: tuple[int, ...]) -> None:
        self.width, self.height = size
        self._generator = np.random.default_rng(seed)
        # Noise is cut from one long reel at random places: as random to the eye, and much faster.
        reel = self._generator.standard_normal(2 * self.width * self.height + 99991, np.float32)
        self._reels = [torch.from_numpy(reel * np.float32(level)) for level in NOISE_LEVELS]
        to_luma = np.array([0.2126, 0.7152, 0.0722])
        blue, red = np.array([0.0, 0, 1]) - to_luma, np.array([1.0, 0, 0]) - to_luma
        rows = [219 * to_luma, 224 * blue / 1.8556, 224 * red / 1.5748]
        self._matrix = torch.tensor(np.array(rows), dtype=torch.float32)

    def expose(
        self, picture: Tensor, contrast: float, brightness: float, flicker: float
    ) -> np.ndarray:
        height, width = self.height, self.width
        gain = contrast * flicker
        shift = (0.5 * (1 - contrast) + brightness) * flicker
        planes = (self._matrix @ picture.reshape(3, -1)).mul_(gain).reshape(3, height, width)
        luma = _blur(planes[0]).add_(16 + 219 * shift)
        luma += self._noise(0, luma.numel()).reshape(luma.shape)
        pairs = planes[1:, 0::2] + planes[1:, 1::2]
        chroma = (pairs[..., 0::2] + pairs[..., 1::2]).mul_(0.25).add_(128)
        chroma += self._noise(1, chroma.numel()).reshape(chroma.shape)
        flat = torch.cat([luma.reshape(-1).clamp_(16, 235), chroma.reshape(-1).clamp_(16, 240)])
        return flat.add_(0.5).to(torch.uint8).numpy().reshape(height * 3 // 2, width)

    def _noise(self, plane: int, count: int) -> Tensor:
        start = int(self._generator.integers(len(self._reels[plane]) - count))
        return self._reels[plane][start : start + count]


def _blur(plane: Tensor) -> Tensor:
    """1-2-1 in both directions, as a lens spreads light; the border stays."""
    across = plane * 2
    across[:, 1:-1] += plane[:, :-2] + plane[:, 2:]
    across[:, [0, -1]] *= 2
    out = across * 2
    out[1:-1] += across[:-2] + across[2:]
    out[[0, -1]] *= 2
    return out.mul_(1 / 16)


def _background(size: tuple[int, int], seed: int) -> Tensor:
    """A gray wall with a soft glow: float32 [y, x, rgb]."""
    width, height = size
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    glow = np.exp(-((x + 0.25) ** 2 + (0.8 * y + 0.1) ** 2) / 0.9)
    shade = 0.20 + 0.17 * glow + 0.01 * np.sin(3 * x + seed % 7) * np.cos(2 * y)
    return torch.tensor(shade[..., None] * [0.94, 1.0, 1.06], dtype=torch.float32)


def encode(
    path: Path, pictures: Iterator[np.ndarray], size: tuple[int, int], *, crf: int = 19
) -> None:
    """Write planar YUV 4:2:0 pictures, uint8 [row, x] as PyAV has them, as H.264 in MP4 at 30 fps.

    The file appears whole or not at all.

    Raises:
        FootageError: width or height is odd.
    """
    if size[0] % 2 or size[1] % 2:
        raise FootageError(f"H.264 with 4:2:0 needs an even size, not {size}", file=path)
    options = {"movflags": "+faststart"}
    with (
        whole_path(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options=options) as container,
    ):
        # One thread, because other shots are made at the same time, and for the same bytes every time.
        stream = container.add_stream("libx264", rate=FPS)
        stream.options = {"preset": "veryfast", "crf": str(crf), "threads": "1"}
        # With AVX-512 its tree of macroblocks reads memory that was never written.
        stream.options["x264-params"] = "mbtree=0"
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, FPS)
        context.color_range, context.colorspace = 1, 1  # limited, BT.709
        context.color_primaries, context.color_trc = 1, 1
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            frame.color_range, frame.colorspace = 1, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
