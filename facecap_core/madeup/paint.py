"""Paint: the skin of the mask as a texture, from broad tints to brows, lips and freckles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from facecap_core.madeup.identity import Identity
from facecap_core.madeup.mask import Mask, Slit
from facecap_core.madeup.sculpt import Sculpture, along, both, bump, smoothstep
from facecap_core.rasteriser import Camera, Rasteriser

TEXTURE_SIZE = 512
ATLAS = 0.98  # the mask's part of the texture; what lies beyond is white, for the parts
DARK_MOUTH = np.array([0.16, 0.05, 0.05])


@dataclass
class Canvas:
    """Texels that lie on the mask, where they are, and the colour so far."""

    p: np.ndarray  # float64 [texel, xyz], on the head at rest with lids closed
    level: np.ndarray  # float64 [texel]
    over_mouth: np.ndarray  # bool [texel]
    over_eyes: np.ndarray  # bool [texel]
    lip_upper: np.ndarray  # float64 [texel], height of the upper lip's border
    lip_lower: np.ndarray
    lip_line: np.ndarray
    shade: np.ndarray  # float64 [texel], how hollow
    colour: np.ndarray  # float64 [texel, rgb]

    def tint(self, weight: np.ndarray, factor: tuple[float, float, float]) -> None:
        """Multiply by `factor` (rgb) where `weight` [texel] is 1."""
        self.colour *= 1 + weight[:, None] * (np.array(factor) - 1)

    def cover(self, weight: np.ndarray, colour: np.ndarray) -> None:
        """Paint over with `colour` (rgb) where `weight` [texel] is 1."""
        self.colour += np.clip(weight, 0, 1)[:, None] * (colour - self.colour)

    def spot(
        self, x: float, y: float, size: float, strength: float, factor: tuple[float, float, float]
    ) -> None:
        """`tint` a small round place."""
        reach = 3 * size
        here = np.flatnonzero(
            (np.abs(self.p[:, 0] - x) < reach) & (np.abs(self.p[:, 1] - y) < reach)
        )
        weight = strength * bump(self.p[here], x, y, size, size)
        self.colour[here] *= 1 + weight[:, None] * (np.array(factor) - 1)


def texture_uvs(mask: Mask) -> np.ndarray:
    """Where the mask's vertices lie in the texture: float32 [vertex, uv]."""
    return (mask.uvs * ATLAS).astype(np.float32)


WHITE_UV = ((1 + ATLAS) / 2, (1 + ATLAS) / 2)
"""Where the texture is white."""


def paint_mask(
    mask: Mask, sculpture: Sculpture, rest: np.ndarray, identity: Identity
) -> tuple[np.ndarray, np.ndarray]:
    """The texture, float32 [y, x, rgb] in 0..1, and the gloss of the vertices, float32 [vertex].

    rest: the neutral face [vertex, xyz], lids open.
    """
    generator = np.random.default_rng([identity.seed, 3])
    texels, faces, weights = _texels(mask)

    def spread(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("nk,nk...->n...", weights, values[faces].astype(np.float64)))

    nearest = faces[np.arange(len(faces)), weights.argmax(axis=1)]
    canvas = Canvas(
        p=spread(sculpture.positions),
        level=spread(mask.levels),
        over_mouth=mask.over_mouth[nearest],
        over_eyes=mask.over_eyes[nearest],
        lip_upper=spread(sculpture.lip_height[0]),
        lip_lower=spread(sculpture.lip_height[1]),
        lip_line=spread(sculpture.mouth_line),
        shade=spread(_cavity(mask, rest)),
        colour=np.tile(np.array(identity.skin), (len(texels), 1)),
    )
    _skin(generator, canvas, identity)
    _lips(generator, canvas, sculpture.mouth_corner[0], identity)
    _lids(mask, sculpture, canvas, identity, spread)
    brows = _brows(generator, canvas.p, identity)
    canvas.cover(brows, np.array(identity.hair) * 0.85)
    for flaps in (mask.mouth.upper_flap, mask.mouth.lower_flap):
        depth = np.zeros(mask.vertex_count)
        for k, strength in enumerate((0.35, 0.8, 1.0)):
            depth[flaps[k][1:-1]] = strength
        canvas.cover(spread(depth), DARK_MOUTH)
    texture = np.ones((TEXTURE_SIZE * TEXTURE_SIZE, 3))
    texture[texels] = np.clip(canvas.colour, 0, 1)
    _bleed(texture, texels)
    p = sculpture.positions
    gloss = 0.05 + 0.05 * bump(p, 0, -0.6, 1.1, 1.4) + 0.03 * bump(p, 0, 6.5, 4.0, 1.6)
    gloss = gloss + 0.10 * _redness_of_lips(
        p, mask.over_mouth, *sculpture.lip_height, sculpture.mouth_line, sculpture.mouth_corner[0]
    )
    return texture.reshape(TEXTURE_SIZE, TEXTURE_SIZE, 3).astype(np.float32), gloss.astype(
        np.float32
    )


def _texels(mask: Mask) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texels on the mask, the corners of the faces they lie on, and the corners' weights."""
    flat = np.concatenate([texture_uvs(mask), np.zeros((mask.vertex_count, 1))], axis=1)
    # A camera that sees exactly the unit square.
    camera = Camera((0.5, 0.5, 1.0), (0.5, 0.5, 0.0), vertical_fov_degrees=float(2 * np.degrees(np.arctan(0.5))))  # fmt: skip
    faces = mask.triangles()
    seen = Rasteriser(faces, size=(TEXTURE_SIZE, TEXTURE_SIZE)).see(
        torch.tensor(flat, dtype=torch.float32), camera
    )
    weights = seen.weights.numpy().T.astype(np.float64)
    return seen.pixels.numpy(), faces[seen.faces.numpy()], np.clip(weights, 0, 1)


def _bleed(texture: np.ndarray, texels: np.ndarray) -> None:
    """Carry the colours at the rim outwards by some texels, so that none is missed by rounding."""
    picture = texture.reshape(TEXTURE_SIZE, TEXTURE_SIZE, 3)
    known = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), bool)
    known.reshape(-1)[texels] = True
    for _ in range(3):
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            take = np.roll(known, step, axis) & ~known
            picture[take] = np.roll(picture, step, axis)[take]
            known |= take


def _skin(generator: np.random.Generator, canvas: Canvas, identity: Identity) -> None:
    p, red, tint = canvas.p, identity.redness, canvas.tint
    tint((0.4 + red) * both(p, 4.0, -0.6, 1.7, 1.3), (1.02, 0.88, 0.88))
    tint((0.3 + red) * bump(p, 0, -1.0, 1.3, 0.9), (1.01, 0.86, 0.85))
    tint(0.5 * red * bump(p, 0, -7.2, 1.5, 1.0), (1.01, 0.92, 0.91))
    tint(0.7 * both(p, 2.9, 1.75, 1.3, 0.45), (0.88, 0.86, 0.91))
    tint(0.5 * both(p, 1.75, 2.6, 0.5, 0.9), (0.86, 0.80, 0.82))
    tint(0.6 * smoothstep(0.25, 0.0, along(p, (1.95, -1.3), (3.1, -3.8))), (0.94, 0.90, 0.89))
    for _ in range(40):  # uneven tone, as blood under skin makes it
        x, y = generator.uniform(-7, 7), generator.uniform(-8, 9)
        canvas.spot(x, y, generator.uniform(0.3, 1.4), generator.normal(), (0.995, 0.97, 0.965))
    for _ in range(int(320 * identity.freckles)):
        x, y = generator.normal() * 3.0, 0.6 + generator.normal() * 1.5
        size = generator.uniform(0.035, 0.10)
        canvas.spot(x, y, size, generator.uniform(0.2, 0.9), (0.84, 0.72, 0.64))
    for _ in range(4):  # moles
        x, y = generator.uniform(-6, 6), generator.uniform(-7, 8)
        canvas.spot(x, y, generator.uniform(0.07, 0.13), 0.9, (0.50, 0.38, 0.34))
    grain = generator.normal(size=len(p))
    canvas.colour *= 1 + 0.016 * grain[:, None]  # pores
    tint(np.clip(canvas.shade, 0, 1), (0.60, 0.48, 0.45))
    tint(smoothstep(-7.9, -9.2, canvas.level), (0.72, 0.66, 0.64))  # under the chin
    tint(both(p, 0.62 * identity.nose_width, -1.80, 0.30, 0.19), (0.12, 0.06, 0.06))


def _cavity(mask: Mask, rest: np.ndarray) -> np.ndarray:
    """How hollow the surface is around a vertex, 0 and up: what light from everywhere reaches less."""
    faces = mask.triangles()
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    both_ways = np.concatenate([edges, edges[:, ::-1]])
    degree = np.bincount(both_ways[:, 0], minlength=len(rest))[:, None]

    def spread(values: np.ndarray) -> np.ndarray:
        total = np.zeros_like(values)
        np.add.at(total, both_ways[:, 0], values[both_ways[:, 1]])
        return np.asarray(total / degree)

    normal = np.zeros_like(rest, dtype=np.float64)
    corner = rest[faces].astype(np.float64)
    cross = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    for k in range(3):
        np.add.at(normal, faces[:, k], cross)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    smooth = rest.astype(np.float64)
    hollow = np.zeros(len(rest))
    for step in range(12):
        smooth = spread(smooth)
        if step in (2, 5, 11):
            hollow += np.einsum("vx,vx->v", smooth - rest, normal)
    hollow = spread(hollow[:, None])[:, 0]
    return np.clip(hollow * 0.8, 0, 0.7)


def _redness_of_lips(
    p: np.ndarray,
    over: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
    line: np.ndarray,
    corner: float,
) -> np.ndarray:
    border = np.where(over, upper - line, line - lower)
    t = np.abs(p[:, 1] - line) / np.maximum(border, 0.06)
    inside = np.abs(p[:, 0]) <= corner + 0.02
    return np.asarray(np.where(inside, smoothstep(1.10, 0.86, t), 0))


def _lips(
    generator: np.random.Generator, canvas: Canvas, corner: float, identity: Identity
) -> None:
    p, line = canvas.p, canvas.lip_line
    red = _redness_of_lips(p, canvas.over_mouth, canvas.lip_upper, canvas.lip_lower, line, corner)
    folds = np.sin(17 * p[:, 0] + 1.5 * np.sin(5 * p[:, 0])) * np.sin(6 * p[:, 0] + 1.0)
    shade = 1 + 0.06 * folds + 0.03 * generator.normal(size=len(p))
    target = np.array(identity.skin) * [0.84, 0.57, 0.57] * shade[:, None]
    canvas.cover(0.85 * red, target)
    inside = np.abs(p[:, 0]) <= corner + 0.02
    dark = np.where(inside, np.exp(-((np.abs(p[:, 1] - line) / 0.06) ** 2)), 0)
    canvas.tint(dark, (0.50, 0.36, 0.36))


def _lids(
    mask: Mask,
    sculpture: Sculpture,
    canvas: Canvas,
    identity: Identity,
    spread: Callable[[np.ndarray], np.ndarray],
) -> None:
    lash = np.array(identity.hair) * 0.35

    def weight(values: dict[float, np.ndarray]) -> np.ndarray:
        table = np.zeros(mask.vertex_count)
        for value, vertices in values.items():
            table[vertices] = value
        return spread(table)

    slits: tuple[Slit, Slit] = (mask.right_eye, mask.left_eye)
    for slit in slits:
        ends = slit.upper[[0, -1]]
        inner = ends[np.abs(sculpture.positions[ends, 0]).argmin()]
        canvas.cover(weight({1.0: slit.upper_flap[0][1:-1]}), lash)
        canvas.cover(weight({1.0: slit.lower_flap[0][1:-1]}), np.array([0.62, 0.36, 0.34]))
        canvas.cover(weight({0.95: slit.upper, 0.35: slit.lower[1:-1]}) ** 1.6, lash)
        canvas.cover(weight({0.9: inner}), np.array([0.60, 0.34, 0.31]))
    above = np.where(canvas.over_eyes, both(canvas.p, 3.1, 3.35, 1.3, 0.3), 0)
    canvas.tint(0.6 * above, (0.90, 0.82, 0.80))


def brow_place(x: np.ndarray, identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    """Height of the middle of a brow and half its thickness at |x|, all in cm and [n]."""
    knots = np.array([1.1, 1.5, 2.6, 3.8, 4.7, 5.4])
    middle = np.interp(x, knots, [4.30, 4.42, 4.72, 4.98, 4.78, 4.36]) + identity.brow_height
    half = np.interp(x, knots, [0.10, 0.34, 0.36, 0.30, 0.20, 0.06]) * identity.brow_weight
    return middle, half


def _brows(generator: np.random.Generator, p: np.ndarray, identity: Identity) -> np.ndarray:
    x = np.abs(p[:, 0])
    middle, half = brow_place(x, identity)
    # Hairs lean outwards; seen finely, the brow's edge is their tips.
    lean = 34 * (x - 0.7 * (p[:, 1] - middle)) + 2.5 * np.sin(5 * x) + 2.0 * np.sin(13 * p[:, 1])
    hairs = 0.5 + 0.5 * np.sin(lean)
    across = np.abs(p[:, 1] - middle) / half
    inside = smoothstep(1.40, 0.45, across + 0.22 * (1 - hairs))
    ends = smoothstep(0.95, 1.7, x) * smoothstep(5.5, 4.7, x)
    grain = 0.06 * generator.normal(size=len(p))
    return np.asarray(np.clip(inside * ends * (0.84 + 0.16 * hairs + grain), 0, 0.95))
