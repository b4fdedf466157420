"""Coverage: which face of a mesh a camera sees in which pixel, decided in whole numbers.

On a grid of 1/256 pixel a pixel on an edge that two faces share belongs to exactly one of them. Each face
is cut into one span of pixels a row, so no work is spent on pixels outside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facecap_core.scene import Array, Camera

SUBPIXELS = 256  # resolution of the coverage grid, steps a pixel
FURTHEST_PIXEL = 1 << 20  # screen positions are limited to this, so that 64 bits hold every product
_SMALL = 1 << 14  # steps; of faces no larger 32 bits hold every product, and float64 every quotient


@dataclass(frozen=True)
class Visibility:
    """What the camera sees: one entry a covered pixel, in the order of rows."""

    pixels: Tensor  # int64 [n], y * width + x
    faces: Tensor  # int64 [n]
    weights: Tensor  # float32 [3, n], perspective-correct, of the corners in the order of the face
    depths: Tensor  # float32 [n], distance along the camera's axis


@dataclass(frozen=True)
class Covered:
    """The same before weights are worked out, which large pictures do in parts."""

    pixels: Tensor  # int64 [n]
    seen: Tensor  # int64 [n], index into `drawn`
    drawn: Tensor  # int64 [face], the faces that can be seen
    planes: Tensor  # float32 [value slope-x slope-y, corner, face of `drawn`] of weight times inverse depth
    columns: Tensor  # float32 [y * width + x], from the picture's middle, where float32 loses least
    rows: Tensor  # likewise

    def visibility(self) -> Visibility:
        """All of it at once."""
        weights = self._values(self.planes, self.pixels, self.seen)
        depth = 1.0 / weights.sum(0).clamp_(min=1e-30)
        faces = self.drawn.index_select(0, self.seen)
        return Visibility(self.pixels, faces, weights.mul_(depth), depth)

    def planes_of(self, table: Tensor, faces: Tensor) -> Tensor:
        """What vertices have [vertex, channel], over each face: [value slope-x slope-y, channel, face of `drawn`].

        All of it times inverse depth, which has a channel of its own where one asks for it with a column of ones.
        """
        corners = faces.index_select(0, self.drawn).T.reshape(-1)
        by_corner = table.T.contiguous().index_select(1, corners)
        by_corner = by_corner.reshape(table.shape[1], 3, -1)  # [channel, corner, face]
        planes = self.planes[:, None, 0] * by_corner[:, 0]
        planes.addcmul_(self.planes[:, None, 1], by_corner[:, 1])
        return planes.addcmul_(self.planes[:, None, 2], by_corner[:, 2])

    def values(self, planes: Tensor, start: int, stop: int) -> Tensor:
        """What varies as `planes_of` says, in some of the covered pixels: float32 [channel, pixel]."""
        return self._values(planes, self.pixels[start:stop], self.seen[start:stop])

    def _values(self, planes: Tensor, pixels: Tensor, seen: Tensor) -> Tensor:
        x, y = self.columns.index_select(0, pixels), self.rows.index_select(0, pixels)
        count = planes.shape[1]
        values, slope_x, slope_y = (
            planes.reshape(3 * count, -1).index_select(1, seen).reshape(3, count, -1)
        )
        return values.addcmul_(slope_x, x).addcmul_(slope_y, y)


class Coverage:
    """Of one topology, again and again: faces and buffers stay, positions change."""

    def __init__(self, faces: Array, size: tuple[int, int], device: torch.device) -> None:
        """faces: int [face, 3], counter-clockwise seen from outside; size: width and height in pixels."""
        self.device = device
        self.faces = torch.as_tensor(faces).to(device, torch.int64)
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise ValueError(f"faces must have the shape [face, 3], not {tuple(self.faces.shape)}")
        self.width, self.height = size
        if min(size) < 1:
            raise ValueError(f"the picture must be at least a pixel wide and high, not {size}")
        self._keys = torch.empty(self.width * self.height, dtype=torch.int64, device=device)
        # Rows run downwards in a picture, which turns a face round: corners a, c, b run as a, b, c did.
        self._turned = self.faces[:, [0, 2, 1]].T.reshape(-1).contiguous()
        pixel = torch.arange(self.width * self.height, device=device)
        self._rows = (pixel // self.width - self.height // 2).to(torch.float32)
        self._columns = (pixel % self.width - self.width // 2).to(torch.float32)

    def cover(self, positions: Tensor, camera: Camera) -> Covered:
        """Which face is seen in which pixel; positions float32 [vertex, xyz]."""
        # [column row depth, corner, face]
        corner = self._project(positions, camera).index_select(1, self._turned)
        corner = corner.reshape(3, 3, -1)
        low, high = corner.amin(1), corner.amax(1)  # [column row depth, face]
        (ax, bx, cx), (ay, by, cy) = corner[:2].to(torch.int64)
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        # A corner nearer than `near` would project wrongly; its face is left out.
        use = (low[2] > 0) & (area > 0)
        use &= (high[0] >= 0) & (low[0] < self.width * SUBPIXELS)
        use &= (high[1] >= 0) & (low[1] < self.height * SUBPIXELS)
        drawn = _places(use)
        corner = corner.reshape(9, -1).index_select(1, drawn).reshape(3, 3, -1)
        low, high = low[:2].index_select(1, drawn), high[:2].index_select(1, drawn)
        planes, depth = self._planes(corner, area.index_select(0, drawn))
        self._fill(corner[:2], depth, low, high)
        pixels = _places(self._keys >= 0)
        seen = self._keys.index_select(0, pixels).bitwise_and_(0xFFFFFFFF)
        return Covered(pixels, seen, drawn, planes, self._columns, self._rows)

    def _project(self, positions: Tensor, camera: Camera) -> Tensor:
        """Column and row in steps of the grid, whole, and inverse depth: float64 [3, vertex]."""
        axes = torch.as_tensor(camera.axes(), dtype=torch.float32, device=self.device)
        origin = torch.as_tensor(camera.position, dtype=torch.float32, device=self.device)
        right, up, backward = ((positions - origin) @ axes.T).unbind(1)
        depth = -backward
        inverse = torch.where(depth > camera.near, 1.0 / depth, torch.zeros_like(depth))
        focal = self.height / 2 / math.tan(math.radians(camera.vertical_fov_degrees) / 2)
        x = (right * inverse * focal + self.width / 2) * SUBPIXELS
        y = (self.height / 2 - up * inverse * focal) * SUBPIXELS
        limit = FURTHEST_PIXEL * SUBPIXELS
        screen = torch.stack([x, y]).clamp_(-limit, limit).round_()
        return torch.cat([screen, inverse[None]]).to(torch.float64)

    def _fill(self, corner: Tensor, depth: Tensor, low: Tensor, high: Tensor) -> None:
        """Fill `_keys` with inverse depth (high half) and index (low half) of the nearest face.

        corner: [column row, corner, face]; depth: float32 [slope in x, in y, middle; face] of inverse depth;
        low, high: [column row, face], boxes of the faces.
        """
        small = corner.numel() == 0 or float((high - low).max()) < _SMALL
        kind = torch.int32 if small else torch.int64
        box = (low / SUBPIXELS).floor_()  # the pixel from which a face is counted
        corner = (corner - box[:, None] * SUBPIXELS).to(kind)
        box = box.to(torch.int64)
        half = SUBPIXELS // 2
        low_row, high_row = (
            (edge - half).div_(SUBPIXELS).to(torch.float64) for edge in (low[1], high[1])
        )
        first = low_row.ceil_().clamp_(min=0).to(torch.int64)
        last = high_row.floor_().clamp_(max=self.height - 1).to(torch.int64)
        of, down = _expand((last - first + 1).clamp_(min=0))  # one entry a row of a face
        beyond = _SMALL if small else 4 * FURTHEST_PIXEL  # columns, more than a face has
        edges = _edges(corner, (first - box[1]).to(kind), beyond)
        moved = edges.view(torch.float32 if small else kind)  # five times faster than whole numbers
        bound, run, step = moved.reshape(9, -1).index_select(1, of).view(kind).reshape(3, 3, -1)
        column = _floor_divided(bound.sub_(run.mul_(down.to(kind))), step)
        begins = step > 0
        left = torch.where(begins, column + 1, -beyond).amax(0)
        right = torch.where(begins, beyond, column).amin(0)
        start, row = box[0].index_select(0, of), first.index_select(0, of).add_(down)
        left, right = (edge.to(torch.int64).add_(start) for edge in (left, right))
        left, right = left.clamp_(min=0), right.clamp_(max=self.width - 1)
        span, along = _expand((right - left + 1).clamp_(min=0))  # one entry a covered pixel
        slope_x, slope_y, middle = depth.index_select(1, of)
        begin = middle.addcmul_(slope_x, (left - self.width // 2).to(torch.float32))
        begin.addcmul_(slope_y, (row - self.height // 2).to(torch.float32))
        near = begin.index_select(0, span)
        near.addcmul_(slope_x.index_select(0, span), along.to(torch.float32))
        # The bits of positive floats are ordered as the floats are.
        keys = near.clamp_(min=1e-30).view(torch.int32).to(torch.int64).bitwise_left_shift_(32)
        keys |= of.index_select(0, span)
        self._keys.fill_(-1)
        place = row.mul_(self.width).add_(left).index_select(0, span).add_(along)
        self._keys.scatter_reduce_(0, place, keys, "amax")

    def _planes(self, corner: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
        """What varies as a plane over a face, about the picture's middle pixel.

        float32 [3, corner, face]: each corner's weight times its inverse depth, in the face's own order, and the
        slopes in x and in y. And float32 [3, face]: slopes and value of inverse depth, their sum.
        """
        (ax, bx, cx), (ay, by, cy) = corner[0] / SUBPIXELS, corner[1] / SUBPIXELS
        near = corner[2] * (SUBPIXELS**2 / area)
        slope_x = torch.stack([by - cy, cy - ay, ay - by]) * near  # [corner, face]
        slope_y = torch.stack([cx - bx, ax - cx, bx - ax]) * near
        # A corner's weight is nothing at the next corner.
        middle_x, middle_y = self.width // 2 + 0.5, self.height // 2 + 0.5
        at = slope_x * (middle_x - torch.stack([bx, cx, ax]))
        at += slope_y * (middle_y - torch.stack([by, cy, ay]))
        weights = torch.stack([at, slope_x, slope_y])[:, [0, 2, 1]]
        sums = torch.stack([slope_x.sum(0), slope_y.sum(0), at.sum(0)])
        return weights.to(torch.float32), sums.to(torch.float32)


def _edges(corner: Tensor, first: Tensor, beyond: int) -> Tensor:
    """How the columns inside an edge begin or end in each row: whole [bound run step, edge, face].

    In the n-th row from `first`, columns begin after floor((bound - n run) / step) where step is positive, else
    they end there. Inside is where rise * x + run * y is above what it is on the edge; there too, where rise > 0 or
    else run > 0: the face on the other side of the edge has both signs turned.
    """
    half = SUBPIXELS // 2
    x, y = corner  # [corner, face]
    rise, run = y - y.roll(-1, 0), x.roll(-1, 0) - x
    down = y - (first * SUBPIXELS + half)
    bound = rise * (x - half) + run * down
    bound -= torch.where(rise < 0, -1, 1)
    steps, step = run * SUBPIXELS, rise * SUBPIXELS
    level = rise == 0  # all columns of a row are inside, or none is
    above = run.sign()
    bound = torch.where(level, 1 - (above.clamp(min=0) - above * down) * beyond, bound)
    steps = torch.where(level, above * (beyond * SUBPIXELS), steps)
    step = torch.where(level, -1, step)
    return torch.stack([bound, steps, step])


def _floor_divided(values: Tensor, steps: Tensor) -> Tensor:
    if values.dtype == torch.int32:
        return values.to(torch.float64).div_(steps).floor_().to(torch.int32)
    return torch.div(values, steps, rounding_mode="floor")


def _places(mask: Tensor) -> Tensor:
    """Where it is true, in order: int64 [n]."""
    if mask.device.type == "cpu":  # on a processor NumPy is several times faster at this
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.nonzero().squeeze(1)


def _expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """For each of sum(counts) entries: the index it belongs to, and its place there."""
    owner = torch.repeat_interleave(counts, output_size=int(counts.sum()))
    start = counts.cumsum(0) - counts
    place = torch.arange(len(owner), device=counts.device)
    return owner, place.sub_(start.index_select(0, owner))
