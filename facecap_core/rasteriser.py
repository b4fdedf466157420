"""Rasteriser: a z-buffer on torch that draws shaded triangle meshes, on CPU or GPU, without GL.

Coverage is decided in integers on a grid of 1/256 pixel, so a pixel on an edge that two faces share
belongs to exactly one of them. Each face is cut into one span of pixels a row, so no work is spent on
pixels outside it. Only the pixels that stay visible are shaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facecap_core.scene import Array, Camera, Light, Lighting, framing_camera

__all__ = ["Camera", "Light", "Lighting", "Rasteriser", "Visibility", "framing_camera", "render"]

SUBPIXELS = 256  # resolution of the coverage grid, steps a pixel
FURTHEST_PIXEL = 1 << 20  # screen positions are limited to this, so that 64 bits hold every product

TILE_PIXELS = 1 << 16  # shaded at a time on a processor: what its caches hold

CLAY = (0.72, 0.70, 0.68)
"""Colour of a mesh that has none."""


@dataclass(frozen=True)
class Visibility:
    """What the camera sees: one entry a covered pixel, in the order of rows."""

    pixels: Tensor  # int64 [n], y * width + x
    faces: Tensor  # int64 [n]
    weights: Tensor  # float32 [3, n], perspective-correct, of the corners in the order of the face
    depths: Tensor  # float32 [n], distance along the camera's axis


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
        self.faces = torch.as_tensor(faces).to(self.device, torch.int64)
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise ValueError(f"faces must have the shape [face, 3], not {tuple(self.faces.shape)}")
        self.width, self.height = size
        if min(size) < 1:
            raise ValueError(f"the picture must be at least a pixel wide and high, not {size}")
        self.lighting = lighting or Lighting()
        self._uvs = self._texture = None
        if texture is not None:
            picture = torch.as_tensor(texture).to(self.device, torch.float32)
            self._uvs = torch.as_tensor(uvs).to(self.device, torch.float32)
            self._texture = picture.square().flip(0).permute(2, 0, 1).contiguous()  # v runs up
        self._keys = torch.empty(self.width * self.height, dtype=torch.int64, device=self.device)
        # Short integers index faster, and index_select beats indexing with brackets several times.
        self._corners = self.faces.reshape(-1).to(torch.int32)
        # Rows run downwards in a picture, which turns a face round: corners a, c, b run as a, b, c did.
        self._turned = self.faces[:, [0, 2, 1]].T.reshape(-1).to(torch.int32)
        pixel = torch.arange(self.width * self.height, device=self.device)
        # Planes are written about the middle of the picture, where float32 loses least.
        self._pixel_y = (pixel // self.width - self.height // 2).to(torch.float32)
        self._pixel_x = (pixel % self.width - self.width // 2).to(torch.float32)

    def see(self, positions: Tensor, camera: Camera) -> Visibility:
        """Which face is seen in which pixel, and where in it; positions [vertex, xyz]."""
        drawn, planes = self._cover(positions, camera)
        pixels = (self._keys >= 0).nonzero().squeeze(1)
        seen = self._keys.index_select(0, pixels).to(torch.int32)  # the low half
        weights, distance = self._weights(pixels, planes[:9].index_select(1, seen))
        return Visibility(pixels, drawn.index_select(0, seen), weights, distance)

    def _cover(self, positions: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
        """Fill the buffer of keys; returns the faces that can be seen, and their planes [12, face]."""
        x, y, inverse_depth = self._project(positions, camera)
        corner_x = x.index_select(0, self._turned).reshape(3, -1)  # [corner, face]
        corner_y = y.index_select(0, self._turned).reshape(3, -1)
        near = inverse_depth.index_select(0, self._turned).reshape(3, -1)
        ax, bx, cx = corner_x
        ay, by, cy = corner_y
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        left, right = torch.minimum(ax, bx).minimum(cx), torch.maximum(ax, bx).maximum(cx)
        top, bottom = torch.minimum(ay, by).minimum(cy), torch.maximum(ay, by).maximum(cy)
        # A corner nearer than `near` would project wrongly; its face is left out.
        use = (near[0] > 0) & (near[1] > 0) & (near[2] > 0) & (area > 0)
        use &= (right >= 0) & (left < self.width * SUBPIXELS)
        use &= (bottom >= 0) & (top < self.height * SUBPIXELS)
        drawn = use.nonzero().squeeze(1)
        corners = torch.stack([ax, ay, bx, by, cx, cy]).index_select(1, drawn)  # [coordinate, face]
        planes = self._planes(corners, near.index_select(1, drawn), area[drawn])
        top, bottom = top[drawn], bottom[drawn]
        self._rasterise(corners, planes, top, bottom)
        return drawn, planes

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
        points = torch.as_tensor(positions).to(self.device, torch.float32)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"positions must be [vertex, xyz], not {tuple(points.shape)}")
        drawn, planes = self._cover(points, camera)
        albedo = self._attribute(CLAY if colours is None else colours, len(points), 3).square()
        shine = self._attribute(gloss, len(points), 1)
        # Channels come first throughout: long rows are what the processor is fast at.
        channels = [self.normals(points), albedo, shine]
        if self._uvs is not None:
            channels.append(self._uvs)
        table = torch.cat(channels, dim=1)  # [vertex, channel]
        corners = self.faces.index_select(0, drawn).reshape(-1)
        by_face = table.index_select(0, corners).reshape(len(drawn), -1).T.contiguous()
        picture = torch.as_tensor(background, dtype=torch.float32, device=self.device)
        picture = picture.expand(self.height, self.width, 3).permute(2, 0, 1).reshape(3, -1).clone()
        lights = self._lights(camera)
        pixels = (self._keys >= 0).nonzero().squeeze(1)
        for tile in pixels.split(TILE_PIXELS if self.device.type == "cpu" else len(pixels) + 1):
            seen = self._keys.index_select(0, tile).to(torch.int32)
            weights, _ = self._weights(tile, planes[:9].index_select(1, seen))
            values = by_face.index_select(1, seen)  # [corner and channel, pixel]
            n = table.shape[1]
            mixed = values[:n].mul_(weights[0])
            mixed.addcmul_(values[n : 2 * n], weights[1])
            mixed.addcmul_(values[2 * n :], weights[2])
            if self._texture is not None:
                self._apply_texture(self._texture, mixed)
            shaded = self._shade(mixed, *lights)
            for channel in range(3):
                picture[channel].scatter_(0, tile, shaded[channel])
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

    def _project(self, positions: Tensor, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
        axes = torch.as_tensor(camera.axes(), dtype=torch.float32, device=self.device)
        origin = torch.as_tensor(camera.position, dtype=torch.float32, device=self.device)
        seen = (positions - origin) @ axes.T  # [vertex, right up backward]
        depth = -seen[:, 2]
        usable = depth > camera.near
        inverse = torch.where(usable, 1.0 / depth, torch.zeros_like(depth))
        focal = self.height / 2 / math.tan(math.radians(camera.vertical_fov_degrees) / 2)
        x = (seen[:, 0] * inverse * focal + self.width / 2) * SUBPIXELS
        y = (self.height / 2 - seen[:, 1] * inverse * focal) * SUBPIXELS
        limit = FURTHEST_PIXEL * SUBPIXELS
        return (
            x.clamp(-limit, limit).round().to(torch.int64),
            y.clamp(-limit, limit).round().to(torch.int64),
            inverse,
        )

    def _rasterise(self, corners: Tensor, planes: Tensor, top: Tensor, bottom: Tensor) -> None:
        """Fill `_keys` with inverse depth (high half) and index (low half) of the nearest face."""
        half = SUBPIXELS // 2
        first = ((top - half + SUBPIXELS - 1) // SUBPIXELS).clamp(min=0)
        last = ((bottom - half) // SUBPIXELS).clamp(max=self.height - 1)
        of, down = _expand((last - first + 1).clamp(min=0))  # one entry a row of a face
        row = first.index_select(0, of) + down
        ax, ay, bx, by, cx, cy = corners.index_select(1, of)
        centre = row * SUBPIXELS + half
        left = torch.zeros_like(row)
        right = torch.full_like(row, self.width - 1)
        for px, py, qx, qy in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, ax, ay)):
            # Inside is where rise * x + run * y > rise * px + run * py; with equality, where rise > 0
            # or else run > 0: the face on the other side of the edge has both signs turned.
            rise, run = py - qy, qx - px
            bound = rise * (px - half) + run * (py - centre)
            step = rise.abs() * SUBPIXELS
            bound = torch.where(rise < 0, -bound, bound)
            edge = torch.div(bound - 1, step.clamp(min=1), rounding_mode="floor")
            left = torch.where(rise > 0, torch.maximum(left, edge + 1), left)
            right = torch.where(rise < 0, torch.minimum(right, edge), right)
            level = (rise == 0) & ((bound > 0) | ((bound == 0) & (run < 0)))
            right = torch.where(level, -1, right)
        span, along = _expand((right - left + 1).clamp(min=0))  # one entry a covered pixel
        slope_x, slope_y, middle = planes[9:].index_select(1, of)
        begin = middle + slope_x * (left - self.width // 2) + slope_y * (row - self.height // 2)
        near = begin.index_select(0, span)
        near.addcmul_(slope_x.index_select(0, span), along.to(torch.float32))
        # The bits of positive floats are ordered as the floats are.
        keys = near.clamp_(min=1e-30).view(torch.int32).to(torch.int64).bitwise_left_shift_(32)
        keys |= of.index_select(0, span)
        self._keys.fill_(-1)
        place = (row * self.width + left).index_select(0, span).add_(along)
        self._keys.scatter_reduce_(0, place, keys, "amax")

    def _weights(self, pixels: Tensor, plane: Tensor) -> tuple[Tensor, Tensor]:
        x = self._pixel_x.index_select(0, pixels)
        y = self._pixel_y.index_select(0, pixels)
        weights = plane[0:3].addcmul_(plane[3:6], x).addcmul_(plane[6:9], y)
        depth = 1.0 / (weights[0] + weights[1] + weights[2]).clamp_(min=1e-30)
        return weights.mul_(depth), depth

    def _planes(self, corners: Tensor, depths: Tensor, area: Tensor) -> Tensor:
        """What varies as a plane over a face: float32 [12, face], about the picture's middle pixel.

        Rows 0-2: each corner's weight times its inverse depth, in the face's own order; rows 3-5 and
        6-8: their slopes in x and y; rows 9-11: slopes and value of inverse depth, their sum.
        """
        ax, ay, bx, by, cx, cy = (corners.to(torch.float64) / SUBPIXELS).unbind(0)
        scale = SUBPIXELS**2 / area.to(torch.float64)
        near = depths.to(torch.float64) * scale
        slope_x = torch.stack([by - cy, cy - ay, ay - by]) * near  # [corner, face]
        slope_y = torch.stack([cx - bx, ax - cx, bx - ax]) * near
        # A corner's weight is nothing at the next corner.
        middle_x, middle_y = self.width // 2 + 0.5, self.height // 2 + 0.5
        at = slope_x * (middle_x - torch.stack([bx, cx, ax]))
        at += slope_y * (middle_y - torch.stack([by, cy, ay]))
        weights = [rows[[0, 2, 1]] for rows in (at, slope_x, slope_y)]
        sums = torch.stack([slope_x.sum(0), slope_y.sum(0), at.sum(0)])
        return torch.cat([*weights, sums]).to(torch.float32)

    def _apply_texture(self, texture: Tensor, values: Tensor) -> None:
        _, rows, columns = texture.shape
        column = values[7].mul(columns).clamp_(0, columns - 1).to(torch.int32)
        row = values[8].mul(rows).clamp_(0, rows - 1).to(torch.int32)
        texel = row.mul_(columns).add_(column)
        values[3:6] *= texture.reshape(3, -1).index_select(1, texel)

    def _lights(self, camera: Camera) -> tuple[Tensor, Tensor]:
        """Directions to lights and half way to the eye [2 * light, xyz], and colours [rgb, light]."""
        towards = np.array([light.direction for light in self.lighting.lights], np.float64)
        towards = towards.reshape(-1, 3)  # there may be none
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        # The camera is far away compared with the face, so one direction to the eye serves all pixels.
        halfway = towards + camera.axes()[2]
        halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
        colour = self._constant([light.colour for light in self.lighting.lights]).reshape(-1, 3).T
        return self._constant(np.concatenate([towards, halfway])), colour

    def _shade(self, values: Tensor, directions: Tensor, colour: Tensor) -> Tensor:
        """Colours on the screen, 0..1 [rgb, pixel], from normal, squared colour and gloss."""
        lighting = self.lighting
        normal = values[0:3]
        length = torch.rsqrt((normal * normal).sum(0).clamp_(min=1e-20))
        cosine = (directions @ normal).mul_(length)  # [light, pixel]
        count = colour.shape[1]
        diffuse = cosine[:count].add_(lighting.wrap).mul_(1 / (1 + lighting.wrap)).clamp_(min=0)
        shine = cosine[count:].clamp_(min=0)
        for _ in range(lighting.shininess_doublings):
            shine.square_()
        light = colour @ diffuse
        light += self._constant(lighting.ambient)[:, None]
        light *= values[3:6]
        light += (colour @ shine).mul_(values[6:7])
        # A square root stands for the screen's gamma; colours were squared on the way in.
        return light.clamp_(0, 1).sqrt_()

    def _constant(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values, np.float32), device=self.device)

    def _attribute(self, values: object, count: int, channels: int) -> Tensor:
        table = torch.as_tensor(values).to(self.device, torch.float32)
        if channels == 1 and table.ndim == 1:
            table = table[:, None]
        return table.expand(count, channels)


def render(
    positions: Array,
    faces: Array,
    *,
    camera: Camera,
    size: tuple[int, int],
    colours: Array | None = None,
    gloss: Array | float = 0.12,
    background: Array | Sequence[float] = (0.1, 0.1, 0.11),
    lighting: Lighting | None = None,
    supersample: int = 1,
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Pictures of a mesh, uint8 [y, x, rgb], or [frame, y, x, rgb] for positions [frame, vertex, xyz].

    colours: [vertex, rgb] or [frame, vertex, rgb] in 0..1, None for gray clay; supersample: draws that
    many times larger and averages, for smooth outlines; size: (width, height).
    """
    points = torch.as_tensor(positions)
    large = (size[0] * supersample, size[1] * supersample)
    rasteriser = Rasteriser(faces, size=large, device=device, lighting=lighting)
    tints = None if colours is None else torch.as_tensor(colours)
    pictures = []
    for index, frame in enumerate(points if points.ndim == 3 else points[None]):
        tint = tints[index] if tints is not None and tints.ndim == 3 else tints
        picture = rasteriser.render(
            frame, camera=camera, colours=tint, gloss=gloss, background=background
        )
        pictures.append(_shrink(picture, supersample).cpu().numpy())
    return np.stack(pictures) if points.ndim == 3 else pictures[0]


def _expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """For each of sum(counts) entries: the index it belongs to, and its place there."""
    owner = torch.repeat_interleave(counts).to(torch.int32)
    start = counts.cumsum(0) - counts
    place = torch.arange(len(owner), device=counts.device)
    return owner, place.sub_(start.index_select(0, owner))


def _shrink(picture: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return picture
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    blocks = picture.reshape(height, factor, width, factor, 3).to(torch.float32)
    return blocks.mean(dim=(1, 3)).add_(0.5).to(torch.uint8)
