"""Paint: colours of the mask's vertices, from broad tints of skin to brows, lips and freckles."""

from __future__ import annotations

import numpy as np

from facecap_core.madeup.identity import Identity
from facecap_core.madeup.mask import Mask
from facecap_core.madeup.sculpt import Sculpture, along, both, bump, smoothstep

DARK_MOUTH = np.array([0.16, 0.05, 0.05])


def paint_mask(
    mask: Mask, sculpture: Sculpture, rest: np.ndarray, identity: Identity
) -> tuple[np.ndarray, np.ndarray]:
    """Colours float32 [vertex, rgb] in 0..1 and gloss float32 [vertex] of the mask.

    rest: the neutral face [vertex, xyz], lids open.
    """
    generator = np.random.default_rng([identity.seed, 3])
    p = sculpture.positions
    skin = np.tile(np.array(identity.skin), (len(p), 1))
    red = identity.redness

    def tint(weight: np.ndarray, factor: tuple[float, float, float]) -> None:
        nonlocal skin
        skin = skin * (1 + weight[:, None] * (np.array(factor) - 1))

    def cover(weight: np.ndarray, colour: np.ndarray) -> None:
        nonlocal skin
        skin = skin + np.clip(weight, 0, 1)[:, None] * (colour - skin)

    tint((0.4 + red) * both(p, 4.0, -0.6, 1.7, 1.3), (1.02, 0.88, 0.88))
    tint((0.3 + red) * bump(p, 0, -1.0, 1.3, 0.9), (1.01, 0.86, 0.85))
    tint(0.5 * red * bump(p, 0, -7.2, 1.5, 1.0), (1.01, 0.92, 0.91))
    tint(0.7 * both(p, 2.9, 1.75, 1.3, 0.45), (0.88, 0.86, 0.91))
    tint(0.5 * both(p, 1.75, 2.6, 0.5, 0.9), (0.86, 0.80, 0.82))
    tint(0.6 * smoothstep(0.25, 0.0, along(p, (1.95, -1.3), (3.1, -3.8))), (0.94, 0.90, 0.89))
    for _ in range(26):  # uneven tone, as blood under skin makes it
        x, y = generator.uniform(-7, 7), generator.uniform(-8, 9)
        size = generator.uniform(0.5, 1.6)
        tint(generator.normal() * bump(p, x, y, size, size), (1.00, 0.975, 0.97))
    _freckles(generator, p, identity, tint)
    shade = _cavity(mask, rest)
    tint(np.clip(shade, 0, 1), (0.60, 0.48, 0.45))
    tint(smoothstep(-7.9, -9.2, mask.levels), (0.72, 0.66, 0.64))  # under the chin
    tint(both(p, 0.62 * identity.nose_width, -1.80, 0.30, 0.19), (0.12, 0.06, 0.06))

    lips, line = _lips(mask, sculpture)
    red_lips = np.array(identity.skin) * [0.86, 0.60, 0.60]
    cover(0.85 * lips * (1 + 0.08 * generator.normal(size=len(p))), red_lips)
    tint(line, (0.50, 0.36, 0.36))
    _cover_lids(mask, p, identity, tint, cover)
    cover(_brows(generator, p, identity), np.array(identity.hair) * 0.9)
    for flaps in (mask.mouth.upper_flap, mask.mouth.lower_flap):
        for k, strength in enumerate((0.35, 0.8, 1.0)):
            weight = np.zeros(len(p))
            weight[flaps[k][1:-1]] = strength
            cover(weight, DARK_MOUTH)
    gloss = 0.05 + 0.05 * bump(p, 0, -0.6, 1.1, 1.4) + 0.03 * bump(p, 0, 6.5, 4.0, 1.6)
    gloss = gloss + 0.10 * lips
    return np.clip(skin, 0, 1).astype(np.float32), gloss.astype(np.float32)


def _freckles(generator: np.random.Generator, p: np.ndarray, identity: Identity, tint) -> None:  # type: ignore[no-untyped-def]
    for _ in range(int(150 * identity.freckles)):
        x, y = generator.normal() * 3.2, 0.4 + generator.normal() * 1.5
        size = generator.uniform(0.07, 0.17)
        tint(generator.uniform(0.3, 0.9) * bump(p, x, y, size, size), (0.80, 0.68, 0.60))
    for _ in range(5):  # moles
        x, y = generator.uniform(-6, 6), generator.uniform(-7, 8)
        tint(0.8 * bump(p, x, y, 0.14, 0.14), (0.55, 0.42, 0.38))


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


def _lips(mask: Mask, sculpture: Sculpture) -> tuple[np.ndarray, np.ndarray]:
    p = sculpture.positions
    upper, lower = sculpture.lip_height
    line = sculpture.mouth_line
    border = np.where(mask.over_mouth, upper - line, line - lower)
    t = np.abs(p[:, 1] - line) / np.maximum(border, 0.06)
    inside = np.abs(p[:, 0]) <= sculpture.mouth_corner[0] + 0.02
    red = np.where(inside, smoothstep(1.12, 0.82, t), 0)
    dark = np.where(inside, np.exp(-((np.abs(p[:, 1] - line) / 0.07) ** 2)), 0)
    return red, dark


def _cover_lids(mask: Mask, p: np.ndarray, identity: Identity, tint, cover) -> None:  # type: ignore[no-untyped-def]
    lash = np.array(identity.hair) * 0.35
    for slit in (mask.right_eye, mask.left_eye):
        rim = np.zeros(len(p))
        rim[slit.upper] = 0.88
        rim[slit.lower[1:-1]] = 0.30
        flap = np.zeros(len(p))
        flap[slit.upper_flap[0][1:-1]] = 1.0
        wet = np.zeros(len(p))
        wet[slit.lower_flap[0][1:-1]] = 1.0
        inner = slit.upper[0] if abs(p[slit.upper[0], 0]) < 3 else slit.upper[-1]
        cover(flap, lash)
        cover(wet, np.array([0.62, 0.36, 0.34]))
        cover(rim, lash)
        pink = np.zeros(len(p))
        pink[inner] = 0.9
        cover(pink, np.array([0.60, 0.34, 0.31]))
    above = np.where(mask.over_eyes, both(p, 3.1, 3.35, 1.3, 0.3), 0)
    tint(0.6 * above, (0.90, 0.82, 0.80))


def brow_place(x: np.ndarray, identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    """Height of the middle of a brow and half its thickness at |x|, cm."""
    knots = np.array([1.1, 1.5, 2.6, 3.8, 4.7, 5.4])
    middle = np.interp(x, knots, [4.30, 4.42, 4.72, 4.98, 4.78, 4.36]) + identity.brow_height
    half = np.interp(x, knots, [0.10, 0.34, 0.36, 0.30, 0.20, 0.06]) * identity.brow_weight
    return middle, half


def _brows(generator: np.random.Generator, p: np.ndarray, identity: Identity) -> np.ndarray:
    x = np.abs(p[:, 0])
    middle, half = brow_place(x, identity)
    inside = smoothstep(1.45, 0.55, np.abs(p[:, 1] - middle) / half)
    ends = smoothstep(0.95, 1.5, x) * smoothstep(5.5, 4.9, x)
    hairs = 0.82 + 0.14 * generator.normal(size=len(p))
    return np.asarray(np.clip(inside * ends * hairs, 0, 0.95))
