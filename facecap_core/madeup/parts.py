"""Parts: what is drawn beside the tracked mask: eyeballs, teeth, mouth, hair, ears, neck and clothes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facecap_core.madeup.identity import Identity
from facecap_core.madeup.sculpt import EYE_RADIUS_CM, smoothstep

IRIS_DEGREES = 25.0
PUPIL_DEGREES = 9.5
CORNEA_CM = 0.05  # how far it stands out


@dataclass(frozen=True)
class Part:
    """A piece of mesh and what it hangs on."""

    name: str
    positions: np.ndarray  # float64 [vertex, xyz]; an eyeball's are about its own centre
    faces: np.ndarray  # int64 [face, 3]
    colours: np.ndarray  # float64 [vertex, rgb]
    gloss: float
    jaw: np.ndarray  # float64 [vertex]: how far it follows the jaw
    head: np.ndarray  # float64 [vertex]: how far it follows the head


def grid_faces(rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """Triangles [face, 3] of a grid of vertices, counter-clockwise where rows run down and columns to +x."""
    wide = columns if closed else columns - 1
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(wide), indexing="ij")
    a, d = i * columns + j, i * columns + (j + 1) % columns
    b, c = a + columns, d + columns
    return np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2).reshape(-1, 3)


def build_parts(identity: Identity) -> list[Part]:
    """All parts of an identity, the two eyeballs first (right, left)."""
    generator = np.random.default_rng([identity.seed, 4])
    eyes = [_eyeball(generator, identity, name) for name in ("right eye", "left eye")]
    return [
        *eyes,
        _teeth("upper teeth", -2.95, -3.55, -4.42, 8.40, 2.35, 0.0),
        _teeth("lower teeth", -5.60, -5.05, -4.34, 8.02, 2.15, 1.0),
        _tongue(),
        _mouth_wall(),
        _hair(generator, identity),
        *(_ear(identity, side) for side in (-1.0, 1.0)),
        _neck(identity),
    ]


def _part(
    name: str,
    grid: np.ndarray,
    colours: np.ndarray,
    *,
    closed: bool,
    gloss: float = 0.05,
    jaw: float | np.ndarray = 0.0,
    head: float | np.ndarray = 1.0,
    flip: bool = False,
    hidden: np.ndarray | None = None,
) -> Part:
    rows, columns = grid.shape[:2]
    faces = grid_faces(rows, columns, closed=closed)
    if hidden is not None:  # what no camera ever sees need not be drawn
        faces = faces[~hidden.reshape(-1)[faces].all(axis=1)]
    count = rows * columns
    return Part(
        name=name,
        positions=grid.reshape(count, 3).astype(np.float64),
        faces=faces[:, [0, 2, 1]] if flip else faces,
        colours=np.clip(np.broadcast_to(colours, (rows, columns, 3)).reshape(count, 3), 0, 1),
        gloss=gloss,
        jaw=np.broadcast_to(jaw, (rows, columns)).reshape(count).astype(np.float64),
        head=np.broadcast_to(head, (rows, columns)).reshape(count).astype(np.float64),
    )


def _eyeball(generator: np.random.Generator, identity: Identity, name: str) -> Part:
    rings = np.array(
        [0.3, 5, PUPIL_DEGREES - 0.4, PUPIL_DEGREES + 0.5, 12.5, 16, 19.5, 22.5, IRIS_DEGREES - 0.8,
         IRIS_DEGREES + 0.6, 29, 35, 43, 52, 62, 74, 88]
    )  # fmt: skip
    turn = np.arange(40) * (2 * np.pi / 40)
    polar, around = np.meshgrid(np.radians(rings), turn, indexing="ij")
    stand = CORNEA_CM * np.clip(1 - (polar / np.radians(IRIS_DEGREES + 4)) ** 2, 0, 1)
    radius = EYE_RADIUS_CM + stand
    grid = np.stack(
        [
            radius * np.sin(polar) * np.cos(around),
            radius * np.sin(polar) * np.sin(around),
            radius * np.cos(polar),
        ],
        -1,
    )
    degrees = np.degrees(polar)
    streak = generator.normal(size=40)[None, :] * 0.10 + generator.normal(size=polar.shape) * 0.05
    inner = smoothstep(PUPIL_DEGREES, IRIS_DEGREES, degrees)
    iris = np.array(identity.iris) * (1.25 - 0.45 * inner + streak)[..., None]
    iris = iris * (1 - 0.62 * smoothstep(20.5, 25.0, degrees))[..., None]
    white = np.array([0.86, 0.83, 0.80]) - smoothstep(38, 75, degrees)[..., None] * [
        0.10,
        0.24,
        0.24,
    ]
    # The upper lid throws its shadow on the ball.
    white = white * (1 - 0.40 * smoothstep(0.25, 0.75, grid[..., 1]))[..., None]
    iris = iris * (1 - 0.35 * smoothstep(0.15, 0.6, grid[..., 1]))[..., None]
    colours = np.where((degrees < IRIS_DEGREES)[..., None], iris, white)
    colours = np.where((degrees < PUPIL_DEGREES)[..., None], [0.02, 0.02, 0.02], colours)
    return _part(name, grid, colours, closed=True, gloss=0.55)


def _teeth(
    name: str, gum: float, neck: float, edge: float, front: float, wide: float, jaw: float
) -> Part:
    columns = 97
    turn = np.linspace(-1.25, 1.25, columns)
    tooth = (np.arange(columns) - columns // 2) / 8.0  # one tooth every eight columns
    gap = np.abs(tooth - np.round(tooth - 0.5) - 0.5) * 2  # 1 between two teeth, 0 in their middle
    round_edge = 0.10 * gap**4 * np.sign(neck - edge)
    up = np.sign(neck - edge)
    heights = [gum, neck + 0.10 * up, neck - 0.05 * up, (neck + edge) / 2, edge + 0.08 * up, edge]
    outs = [-0.15, 0.0, 0.02, 0.08, 0.04, -0.10]
    rows = []
    for k, (height, out) in enumerate(zip(heights, outs, strict=True)):
        lobed = height + (
            round_edge if k >= 4 else 0.10 * up * (gap**2 - 0.5) if k in (1, 2) else 0
        )
        reach = out - (0.07 * gap**3 if k >= 2 else 0)
        x = (wide + reach) * np.sin(turn)
        z = front - 2.4 + (2.4 + reach) * np.cos(turn)
        rows.append(np.stack([x, np.broadcast_to(lobed, x.shape), z], -1))
    back = rows[-1] * [0.9, 1, 1] + [0, 0.05 * up, -0.30]
    grid = np.stack([*rows, back])
    colours = np.empty((len(grid), columns, 3))
    colours[:2] = [0.62, 0.30, 0.29]
    ivory = np.array([0.86, 0.81, 0.70])
    colours[2:] = ivory * (1 - 0.45 * gap**6)[None, :, None]
    colours *= (0.55 + 0.45 * np.cos(turn) ** 2)[None, :, None]
    return _part(name, grid, colours, closed=False, gloss=0.20, jaw=jaw, flip=up < 0)


def _tongue() -> Part:
    polar, around = np.meshgrid(
        np.linspace(0.05, 3.1, 14), np.arange(24) * (np.pi / 12), indexing="ij"
    )
    grid = np.stack(
        [
            1.55 * np.sin(polar) * np.sin(around),
            -5.15
            + 0.62 * np.cos(polar)
            - 0.10 * np.exp(-((np.sin(polar) * np.sin(around) / 0.2) ** 2)),
            6.1 + 1.75 * np.sin(polar) * np.cos(around),
        ],
        -1,
    )
    return _part("tongue", grid, np.array([0.52, 0.24, 0.23]), closed=True, gloss=0.12, jaw=0.9)


def _mouth_wall() -> Part:
    down, across = np.meshgrid(np.linspace(0, 1, 10), np.linspace(-1.6, 1.6, 17), indexing="ij")
    width = 3.2 - 1.5 * down**2
    grid = np.stack(
        [width * np.sin(across), -2.2 - 5.2 * down, 7.0 - (2.0 - 0.8 * down) * np.cos(across)], -1
    )
    return _part("mouth", grid, np.array([0.09, 0.03, 0.03]), closed=False, gloss=0.0, jaw=down)


def _hair(generator: np.random.Generator, identity: Identity) -> Part:
    rows, columns = 48, 72
    polar, around = np.meshgrid(
        np.linspace(0.02, 2.35, rows), np.arange(columns) * (2 * np.pi / columns), indexing="ij"
    )
    direction = np.stack(
        [np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], -1
    )
    centre, radii = np.array([0.0, 3.2, -1.3]), np.array([7.45, 10.0, 10.1])
    skull = centre + direction * radii
    facing = np.degrees(np.abs(np.arctan2(direction[..., 0], direction[..., 2])))
    line = np.interp(facing, [0, 18, 34, 48, 60, 70, 80, 92, 100, 180],
                     [7.7, 8.1, 8.3, 7.5, 5.8, 3.4, 0.6, -0.8, -2.5, -5.0])  # fmt: skip
    ragged = generator.normal(size=columns)[None, :] * 0.12
    over = skull[..., 1] - line + ragged
    thick = -2.6 + 3.25 * smoothstep(-1.6, 0.5, over)
    strand = (
        generator.normal(size=(1, columns)) * 0.7 + generator.normal(size=(rows, columns)) * 0.5
    )
    grid = (
        skull
        + direction * (thick + 0.07 * strand + 0.10 * np.sin(4 * around + 1.3 * polar))[..., None]
    )
    colours = np.array(identity.hair) * (1.0 + 0.16 * strand)[..., None]
    return _part("hair", grid, colours, closed=True, gloss=0.05, hidden=thick < -1.0)


def _ear(identity: Identity, side: float) -> Part:
    polar, around = np.meshgrid(
        np.linspace(0.06, 3.08, 18), np.arange(28) * (np.pi / 14), indexing="ij"
    )
    # The axis of the ellipsoid points outwards; polar 0 is the middle of the outer face.
    out, up, forth = np.cos(polar), np.sin(polar) * np.sin(around), np.sin(polar) * np.cos(around)
    hollow = 0.45 * np.exp(-((polar / 0.75) ** 2)) * (out > 0)
    rim = 0.20 * np.exp(-(((polar - 1.25) / 0.3) ** 2))
    x = (0.42 * out + rim - hollow) + 0.30 * up * 0.3
    y = 3.05 * up * (1 - 0.12 * forth)
    z = (1.55 + 0.35 * up) * forth - 0.35 * up
    turn = np.radians(28)  # stands off the head towards the back
    grid = np.stack(
        [
            side * (7.55 + x * np.cos(turn) - z * np.sin(turn) * 0.9),
            0.9 + y,
            -1.4 + z * np.cos(turn),
        ],
        -1,
    )
    skin = np.array(identity.skin) * [0.98, 0.86, 0.84]
    colours = skin * (1 - 0.5 * np.exp(-((polar / 0.8) ** 2)) * (out > 0))[..., None]
    return _part(f"ear {side:+.0f}", grid, colours, closed=True, gloss=0.05, flip=side < 0)


def _neck(identity: Identity) -> Part:
    heights = np.array(
        [-3.5, -5.5, -7.5, -9.0, -10.5, -11.8, -12.9, -13.8, -15.0, -17.0, -20.0, -26.0]
    )
    wide = np.array([4.6, 4.95, 5.0, 5.05, 5.3, 6.2, 8.2, 10.8, 13.6, 16.2, 18.0, 18.6])
    deep = np.array([4.4, 4.8, 5.0, 5.0, 5.0, 5.2, 5.8, 6.6, 7.4, 8.4, 9.4, 9.8])
    middle = np.array([-1.8, -1.7, -1.7, -1.9, -2.1, -2.3, -2.4, -2.4, -2.3, -2.2, -2.0, -2.0])
    fine = np.interp(np.linspace(0, 11, 45), np.arange(12), heights)
    around = np.arange(56) * (2 * np.pi / 56)
    at = -heights
    grid = np.stack(
        [
            np.interp(-fine, at, wide)[:, None] * np.sin(around),
            np.repeat(fine[:, None], 56, 1),
            np.interp(-fine, at, middle)[:, None]
            + np.interp(-fine, at, deep)[:, None] * np.cos(around),
        ],
        -1,
    )
    x, y = grid[..., 0], grid[..., 1]
    cord = np.exp(-(((np.abs(x) - 2.1 - 0.12 * (y + 11.5)) / 0.7) ** 2)) * (grid[..., 2] > 0)
    grid[..., 2] += 0.35 * cord * smoothstep(-13.5, -10.5, y)
    skin = np.array(identity.skin) * [0.97, 0.92, 0.90]
    shadow = 1 - 0.45 * smoothstep(-11.8, -8.0, y)  # of the jaw
    collar = smoothstep(-12.1, -12.4, y + 0.5 * (grid[..., 2] < 0) - 0.010 * x**2)
    cloth = np.array([0.17, 0.20, 0.25])
    colours = skin * shadow[..., None] * (1 - collar[..., None]) + cloth * collar[..., None]
    return _part(
        "neck",
        grid,
        colours,
        closed=True,
        gloss=0.03,
        head=smoothstep(-13.5, -6.5, y),
        hidden=(grid[..., 2] > 0) & (y > -7.6) & (np.abs(x) < 3.5),
    )
