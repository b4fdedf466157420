"""Rasteriser: a z-buffer on torch that draws shaded triangle meshes, on CPU or GPU, without GL.

Only the pixels that stay visible are shaded; what was seen once can be shaded more than once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facecap_core.coverage import Coverage, Covered, Visibility
from facecap_core.scene import Array, Camera, Light, Lighting, framing_camera

__all__ = [
    "Camera",
    "Light",
    "Lighting",
    "Look",
    "Rasteriser",
    "Visibility",
    "framing_camera",
    "render",
]

TILE_PIXELS = 1 << 16  # shaded at a time on a processor: what its caches hold

CLAY = (0.72, 0.70, 0.68)
"""Colour of a mesh that has none."""


@dataclass(frozen=True)
class Look:
    """A mesh as one camera sees it, to be shaded."""

    covered: Covered
    normals: Tensor  # float32 [vertex, xyz], unit length
    camera: Camera


class Rasteriser:
    """Draws one topology again and again: faces and buffers stay, positions change.

    faces: int [face, 3], counter-clockwise seen from outside; the others' backs are not drawn.
    size: width and height in pixels. uvs [vertex, uv] and texture [y, x, rgb] in 0..1, if given, are
    multiplied with the vertices' colours; (0, 0) is the texture's lower left corner.
    """

    def __init__(
        self,
        faces: Array,
        *,
        size: tuple[int, int],
        device: str | torch.device | None = None,
        lighting: Lighting | None = None,
        uvs: Array | None = None,
        texture: Array | None = None,
    ) -> None:
        if (uvs is None) != (texture is None):
            raise ValueError("uvs and texture come together")
        self.device = torch.device(device or "cpu")
        self._coverage = Coverage(faces, size, self.device)
        self.faces = self._coverage.faces
        self.width, self.height = size
        self.lighting = lighting or Lighting()
        self._uvs = self._texture = None
        if texture is not None:
            picture = torch.as_tensor(texture).to(self.device, torch.float32)
            self._uvs = torch.as_tensor(uvs).to(self.device, torch.float32)
            self._texture = picture.square().flip(0).permute(2, 0, 1).contiguous()  # v runs up
        # Short integers index faster, and index_select beats indexing with brackets several times.
        self._corners = self.faces.reshape(-1).to(torch.int32)

    def see(self, positions: Tensor, camera: Camera) -> Visibility:
        """Which face is seen in which pixel, and where in it; positions [vertex, xyz]."""
        return self._coverage.cover(positions, camera).visibility()

    def look(self, positions: Array, camera: Camera) -> Look:
        """What `shade` draws, with the same lights and colours or with others; positions [vertex, xyz], or it raises
        ValueError."""
        points = torch.as_tensor(positions).to(self.device, torch.float32)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"positions must be [vertex, xyz], not {tuple(points.shape)}")
        return Look(self._coverage.cover(points, camera), self.normals(points), camera)

    def render(
        self,
        positions: Array,
        *,
        camera: Camera,
        colours: Array | None = None,
        gloss: Array | float = 0.12,
        background: Array | Sequence[float] = (0.1, 0.1, 0.11),
    ) -> Tensor:
        """The picture, uint8 [y, x, rgb]; arguments as for `render_planes`."""
        planes = self.render_planes(
            positions, camera=camera, colours=colours, gloss=gloss, background=background
        )
        return planes.mul_(255.0).add_(0.5).to(torch.uint8).permute(1, 2, 0).contiguous()

    def render_planes(
        self,
        positions: Array,
        *,
        camera: Camera,
        colours: Array | None = None,
        gloss: Array | float = 0.12,
        background: Array | Sequence[float] = (0.1, 0.1, 0.11),
    ) -> Tensor:
        """The picture in 0..1, float32 [rgb, y, x].

        positions [vertex, xyz]; colours [vertex, rgb] in 0..1 as a screen shows them; gloss: strength of
        highlights, one number or [vertex]; background: one colour or a picture [y, x, rgb] in 0..1.
        """
        return self.shade(
            self.look(positions, camera), colours=colours, gloss=gloss, background=background
        )

    def shade(
        self,
        look: Look,
        *,
        colours: Array | None = None,
        gloss: Array | float = 0.12,
        background: Array | Sequence[float] = (0.1, 0.1, 0.11),
        lighting: Lighting | None = None,
    ) -> Tensor:
        """A look's picture in 0..1, float32 [rgb, y, x]; arguments as for `render_planes`."""
        lighting = lighting or self.lighting
        picture = torch.as_tensor(background, dtype=torch.float32, device=self.device)
        picture = picture.expand(self.height, self.width, 3).permute(2, 0, 1).reshape(3, -1).clone()
        # What is the same at all vertices need not be mixed in every pixel.
        albedo = self._attribute(CLAY if colours is None else colours, 3).square()
        shine = self._attribute(gloss, 1)
        mixed = [part for part in (albedo, shine) if part.ndim == 2]
        if self._uvs is not None:
            mixed.append(self._uvs)
        if mixed:  # normals are made to unit length anyhow, the rest needs the depth that it was divided by
            mixed.append(look.normals.new_ones(len(look.normals), 1))
        table = torch.cat([look.normals, *mixed], dim=1)  # [vertex, channel]
        planes = look.covered.planes_of(table, self.faces)
        count = len(look.covered.pixels)
        tiles = math.ceil(count / TILE_PIXELS) if self.device.type == "cpu" else 1
        size = math.ceil(count / max(tiles, 1))
        for start in range(0, count, max(size, 1)):
            values = look.covered.values(planes, start, start + size)
            normal, rest = values[:3], values[3:]
            if mixed:
                rest = rest[:-1] / rest[-1]
            colour, strength = albedo[:, None], shine[:, None]
            if albedo.ndim == 2:
                colour, rest = rest[:3], rest[3:]
            if shine.ndim == 2:
                strength, rest = rest[:1], rest[1:]
            if self._texture is not None:
                colour = colour * self._texels(self._texture, rest)
            shaded = self._shade(normal, colour, strength, lighting, look.camera)
            pixels = look.covered.pixels[start : start + size]
            for channel in range(3):
                picture[channel].scatter_(0, pixels, shaded[channel])
        return picture.reshape(3, self.height, self.width)

    def normals(self, positions: Tensor) -> Tensor:
        """Vertex normals, weighted by face area: float32 [vertex, xyz], unit length."""
        corner = positions.index_select(0, self._corners).reshape(-1, 3, 3)
        across = corner[:, 1] - corner[:, 0]
        normal = torch.linalg.cross(across, corner[:, 2] - corner[:, 0])  # [face, xyz]
        total = torch.zeros_like(positions)
        for k in range(3):
            # One corner after another and on one thread order is fixed; on a GPU index_add_ may reorder.
            total.index_add_(0, self.faces[:, k], normal)
        return torch.nn.functional.normalize(total, dim=1, eps=1e-20)

    def _texels(self, texture: Tensor, uvs: Tensor) -> Tensor:
        """Squared colours of the texture [rgb, pixel] at uvs [uv, pixel]."""
        _, rows, columns = texture.shape
        column = uvs[0].mul(columns).clamp_(0, columns - 1).to(torch.int64)
        row = uvs[1].mul(rows).clamp_(0, rows - 1).to(torch.int64)
        return texture.reshape(3, -1).index_select(1, row.mul_(columns).add_(column))

    def _shade(
        self, normal: Tensor, albedo: Tensor, gloss: Tensor, lighting: Lighting, camera: Camera
    ) -> Tensor:
        """Colours on the screen, 0..1 [rgb, pixel], from normal, squared colour and gloss."""
        towards, halfway, colour = (self._constant(part) for part in _lights(lighting, camera))
        length = torch.rsqrt((normal * normal).sum(0).clamp_(min=1e-20))
        diffuse = (towards @ normal).mul_(length)  # [light, pixel]
        diffuse.add_(lighting.wrap).mul_(1 / (1 + lighting.wrap)).clamp_(min=0)
        light = colour @ diffuse
        light += self._constant(lighting.ambient)[:, None]
        light *= albedo
        if gloss.numel() > 1 or float(gloss):
            shine = (halfway @ normal).mul_(length).clamp_(min=0)
            for _ in range(lighting.shininess_doublings):
                shine.square_()
            light += (colour @ shine).mul_(gloss)
        # A square root stands for the screen's gamma; colours were squared on the way in.
        return light.clamp_(0, 1).sqrt_()

    def _constant(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values, np.float32), device=self.device)

    def _attribute(self, values: object, channels: int) -> Tensor:
        """[vertex, channel], or [channel] where it is the same at all of them."""
        table = torch.as_tensor(values).to(self.device, torch.float32)
        if channels == 1:
            return table.reshape(-1, 1) if table.numel() > 1 else table.reshape(1)
        return table if table.ndim == 2 else table.expand(channels)


@functools.lru_cache(maxsize=32)
def _lights(lighting: Lighting, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions to the lights and half way to the eye, each [light, xyz], and colours [rgb, light]."""
    towards = np.array([light.direction for light in lighting.lights], np.float64)
    towards = towards.reshape(-1, 3)  # there may be none
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    # The camera is far away compared with the face, so one direction to the eye serves all pixels.
    halfway = towards + camera.axes()[2]
    halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
    colour = np.array([light.colour for light in lighting.lights]).reshape(-1, 3).T
    return towards, halfway, colour


def render(
    positions: Array,
    faces: Array,
    *,
    camera: Camera,
    size: tuple[int, int],
    colours: Array | None = None,
    gloss: Array | float = 0.12,
    background: Array | Sequence[float] = (0.1, 0.1, 0.11),
    supersample: int = 1,
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Pictures of a mesh, uint8 [y, x, rgb], or [frame, y, x, rgb] for positions [frame, vertex, xyz].

    colours: [vertex, rgb] or [frame, vertex, rgb] in 0..1, None for gray clay; supersample: draws that
    many times larger and averages, for smooth outlines; size: (width, height).
    """
    points = torch.as_tensor(positions)
    large = (size[0] * supersample, size[1] * supersample)
    rasteriser = Rasteriser(faces, size=large, device=device)
    tints = None if colours is None else torch.as_tensor(colours)
    pictures = []
    for index, frame in enumerate(points if points.ndim == 3 else points[None]):
        tint = tints[index] if tints is not None and tints.ndim == 3 else tints
        picture = rasteriser.render(
            frame, camera=camera, colours=tint, gloss=gloss, background=background
        )
        pictures.append(_shrink(picture, supersample).cpu().numpy())
    return np.stack(pictures) if points.ndim == 3 else pictures[0]


def _shrink(picture: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return picture
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    blocks = picture.reshape(height, factor, width, factor, 3).to(torch.float32)
    return blocks.mean(dim=(1, 3)).add_(0.5).to(torch.uint8)
