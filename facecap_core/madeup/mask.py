"""Mask: the grid of the tracked face mesh, slit at the eyes and the mouth.

Rows run from the hairline down to the throat, columns from the actor's right (-x) to the left. A slit
is a stretch of one row whose vertices exist twice, above and below; from each rim a flap leads inwards:
the thickness of a lid, the inside of a lip. The grid is the same for every identity and seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EYE_ROW_CM = 3.0  # level of the closed eye slits on the undeformed head
MOUTH_ROW_CM = -4.1
REFERENCE_WIDTH_CM = 7.4  # half width of the head on which columns are laid out
EYE_COLUMNS_CM = (1.80, 4.52)  # where the corners of the eye's slit fall, on that head
MOUTH_COLUMN_CM = 2.95
TOP_CM, BOTTOM_CM = 9.4, -10.6
HALF_COLUMNS, ROWS = 37, 66
FURTHEST_DEGREES = 97.0


@dataclass(frozen=True)
class Slit:
    """One slit: vertex indices along it, in the order of columns, corners included."""

    upper: np.ndarray  # int64 [column]
    lower: np.ndarray  # int64 [column]; first and last are those of `upper`
    upper_flap: np.ndarray  # int64 [depth, column], corners repeated
    lower_flap: np.ndarray


@dataclass(frozen=True)
class Mask:
    """Topology and layout of the grid."""

    angles: np.ndarray  # float64 [vertex], around the vertical axis, 0 in front, radians
    levels: np.ndarray  # float64 [vertex], height along the row profile, cm
    quads: (
        np.ndarray
    )  # int64 [quad, 4], counter-clockwise from outside; a triangle repeats its last
    right_eye: Slit
    left_eye: Slit
    mouth: Slit
    over_eyes: (
        np.ndarray
    )  # bool [vertex]: above the eyes' slits; rims and flaps belong to a side too
    over_mouth: np.ndarray  # bool [vertex]
    uvs: np.ndarray  # float64 [vertex, uv]

    @property
    def vertex_count(self) -> int:
        return len(self.angles)

    def triangles(self) -> np.ndarray:
        """int64 [face, 3]: each quad fanned from its first corner."""
        fans = np.concatenate([self.quads[:, [0, 1, 2]], self.quads[:, [0, 2, 3]]], axis=1)
        faces = fans.reshape(-1, 3)
        return faces[faces[:, 1] != faces[:, 2]]

    def polygons(self) -> list[tuple[int, ...]]:
        """Quads and triangles as a modelling program holds them."""
        return [tuple(int(v) for v in (q if q[2] != q[3] else q[:3])) for q in self.quads]


def spaced(density: list[tuple[float, float]], count: int) -> np.ndarray:
    """`count` places from the first to the last knot, as dense as `density` says: float64 [count]."""
    at, weight = np.array(density).T
    fine = np.linspace(at[0], at[-1], 4001)
    value = np.interp(fine, at, weight)
    total = np.concatenate([[0], np.cumsum((value[1:] + value[:-1]) / 2)])
    return np.interp(np.linspace(0, total[-1], count), total, fine)


def _columns() -> np.ndarray:
    # Places are measured along the arc of the reference head, in cm from the middle.
    end = np.radians(FURTHEST_DEGREES) * REFERENCE_WIDTH_CM
    half = spaced(
        [(0, 6.0), (2.0, 5.6), (3.2, 5.6), (4.9, 5.2), (5.6, 3.4), (7.5, 2.0), (end, 1.3)],
        HALF_COLUMNS + 1,
    )
    return np.concatenate([-half[:0:-1], half]) / REFERENCE_WIDTH_CM


def _levels() -> np.ndarray:
    levels = spaced(
        [
            (-TOP_CM, 1.6),
            (-5.6, 3.0),
            (-4.9, 4.6),
            (-3.9, 5.8),
            (-2.2, 5.6),
            (-1.2, 3.0),
            (0.4, 3.4),
            (1.0, 4.8),
            (2.1, 4.8),
            (2.8, 4.6),
            (3.4, 6.6),
            (4.9, 6.6),
            (5.8, 3.6),
            (8.0, 2.4),
            (-BOTTOM_CM, 1.6),
        ],
        ROWS,
    )
    return -levels


def build_mask() -> Mask:
    """The grid: the same on every call."""
    columns, rows = _columns(), _levels()
    for level in (EYE_ROW_CM, MOUTH_ROW_CM):
        nearest = rows[np.abs(rows - level).argmin()]
        rows += (level - nearest) * np.exp(-(((rows - nearest) / 0.7) ** 2))
    count = len(columns)
    grid = np.arange(len(rows) * count).reshape(len(rows), count)
    angles = [np.tile(columns, len(rows))]
    levels = [np.repeat(rows, count)]
    total = grid.size
    above, below = grid.copy(), grid.copy()  # the vertex that faces over and under a row use
    slits: list[Slit] = []
    strips: list[np.ndarray] = []
    reference = REFERENCE_WIDTH_CM * np.sin(np.clip(columns, -np.pi / 2, np.pi / 2))
    spans = [
        (EYE_ROW_CM, -EYE_COLUMNS_CM[1], -EYE_COLUMNS_CM[0], 1),
        (EYE_ROW_CM, *EYE_COLUMNS_CM, 1),
        (MOUTH_ROW_CM, -MOUTH_COLUMN_CM, MOUTH_COLUMN_CM, 3),
    ]
    for level, start, end, depth in spans:
        row = int(np.abs(rows - level).argmin())
        first, last = int(np.abs(reference - start).argmin()), int(np.abs(reference - end).argmin())
        inner = np.arange(first + 1, last)

        def duplicate(row: int, columns_: np.ndarray) -> np.ndarray:
            nonlocal total
            new = np.arange(total, total + len(columns_))
            angles.append(columns[columns_])
            levels.append(np.full(len(columns_), rows[row]))
            total += len(columns_)
            corner_left, corner_right = grid[row, columns_[0] - 1], grid[row, columns_[-1] + 1]
            return np.concatenate([[corner_left], new, [corner_right]])

        upper = grid[row, first : last + 1].copy()
        lower = duplicate(row, inner)
        below[row, first : last + 1] = lower
        upper_flap = np.stack([duplicate(row, inner) for _ in range(depth)])
        lower_flap = np.stack([duplicate(row, inner) for _ in range(depth)])
        slits.append(Slit(upper, lower, upper_flap, lower_flap))
        chain = [upper, *upper_flap]
        strips += [_strip(chain[k], chain[k + 1]) for k in range(depth)]
        chain = [lower, *lower_flap]
        strips += [_strip(chain[k + 1], chain[k]) for k in range(depth)]
    body = [_strip(below[r], above[r + 1]) for r in range(len(rows) - 1)]
    all_levels = np.concatenate(levels)
    mask_angles = np.concatenate(angles)
    return Mask(
        angles=mask_angles,
        levels=all_levels,
        quads=np.concatenate(body + strips),
        right_eye=slits[0],
        left_eye=slits[1],
        mouth=slits[2],
        over_eyes=_over(EYE_ROW_CM, all_levels, slits[:2]),
        over_mouth=_over(MOUTH_ROW_CM, all_levels, slits[2:]),
        uvs=_uvs(mask_angles, all_levels, slits),
    )


def _strip(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Quads between two chains of vertices; where the chains meet, triangles."""
    quads = np.stack([top[:-1], bottom[:-1], bottom[1:], top[1:]], axis=1)
    for quad in quads:
        if quad[0] == quad[1]:
            quad[:] = [quad[0], quad[2], quad[3], quad[3]]
        elif quad[2] == quad[3]:
            quad[:] = [quad[0], quad[1], quad[2], quad[2]]
    return quads


def _over(level: float, levels: np.ndarray, slits: list[Slit]) -> np.ndarray:
    over = levels >= level
    for slit in slits:
        over[slit.upper_flap[:, 1:-1]] = True
        over[slit.lower[1:-1]] = False
        over[slit.lower_flap[:, 1:-1]] = False
    return np.asarray(over)


def _uvs(angles: np.ndarray, levels: np.ndarray, slits: list[Slit]) -> np.ndarray:
    """Rows and columns unrolled; slits stand a little open, so that flaps have room of their own."""
    u = 0.5 + angles / (2 * np.radians(FURTHEST_DEGREES))
    v = (levels - BOTTOM_CM) / (TOP_CM - BOTTOM_CM)
    for slit in slits:
        depth = len(slit.upper_flap)
        opening = 0.004 * np.sin(np.linspace(0, np.pi, len(slit.upper)))
        for chain, flaps, sign in (
            (slit.upper, slit.upper_flap, 1.0),
            (slit.lower, slit.lower_flap, -1.0),
        ):
            v[chain] += sign * opening
            for k, flap in enumerate(flaps):
                v[flap[1:-1]] += sign * (opening * (1 - (k + 1) / (depth + 1)))[1:-1]
    return np.stack([u, v], axis=1)
