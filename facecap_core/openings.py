"""Openings: the holes of a face mesh at the eyes and the mouth, found by their shape and place alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

Edges = np.ndarray  # int64 [edge, 2], each once, the lower vertex first

# Parts of the distance between the eyes that a hole's width may be, and the mouth's place below them.
EYE_WIDTH = (0.15, 0.7)
MOUTH_WIDTH = (0.4, 1.4)
MOUTH_BELOW = (0.6, 1.7)
LOPSIDED = 0.25  # how far the mouth may be nearer to one eye
DEEPEST = 0.45  # how far from a hole its narrowest ring is looked for
WIDER = (
    1.2  # a ring that much wider than the narrowest counts as narrow too: the outermost is the edge
)
SKIN_RINGS = 5  # about a hole, by whose height its upper half is told from its lower one
CORNERS = 0.06  # part of an opening's width at each end that has no pairs


@dataclass(frozen=True, eq=False)
class Opening:
    """One opening. Its pairs lie on the narrowest ring about the hole: its visible edge."""

    corners: np.ndarray  # int64 [2], the ends of the hole
    inside: np.ndarray  # int64 [n], between the corners: from the hole up to that ring
    pairs: np.ndarray  # int64 [pair, upper lower], opposite each other, in the order across


@dataclass(frozen=True, eq=False)
class Face:
    """A face's axes, and its three openings."""

    origin: np.ndarray  # float64 [xyz], midway between the eyes
    axes: np.ndarray  # float64 [across up forward, xyz], unit length
    eye_distance: float  # in the mesh's units
    eyes: tuple[Opening, Opening]  # on the negative and on the positive side
    mouth: Opening

    def coordinates(self, positions: np.ndarray) -> np.ndarray:
        """Across, up and forward from between the eyes, in eye distances: float64 [vertex, 3]."""
        return (positions.astype(np.float64) - self.origin) @ self.axes.T / self.eye_distance


def find_face(positions: np.ndarray, faces: np.ndarray) -> Face | str:
    """The face in a mesh, positions [vertex, xyz] and faces int [face, 3]; or why there is none.

    Of the mesh's holes, two equally large ones must have a third below that is equally far from both;
    which way is up follows from them.
    """
    points = positions.astype(np.float64)
    edges, open_edges = _edges(faces)
    holes = sorted(_pieces(open_edges), key=lambda hole: _width(points[hole]))
    part = {vertex: number for number, piece in enumerate(_pieces(edges)) for vertex in piece}
    if not holes:
        return "the mesh has no opening"
    # Eyeballs, lashes and teeth are pieces of their own, and may be open behind.
    outer = holes.pop()
    holes = [hole for hole in holes if part[hole[0]] == part[outer[0]]]
    found = _eyes_mouth(points, holes)
    if found is None:
        return f"of the mesh's {len(holes)} openings no three lie as eyes and mouth do"
    left, right, mouth = found
    middle = (_centre(points[left]) + _centre(points[right])) / 2
    across = _centre(points[right]) - _centre(points[left])
    distance = float(np.linalg.norm(across))
    across /= distance
    up = middle - _centre(points[mouth])
    up -= across * (up @ across)
    up /= np.linalg.norm(up)
    forward = np.cross(across, up)
    if forward @ _outwards(points, faces) < 0:
        across, forward = -across, -forward
        left, right = right, left
    face = np.stack([across, up, forward])
    flat = (points - middle) @ face.T / distance
    neighbours = _neighbours(edges, len(points))
    a, b, c = (_opening(flat, hole, open_edges, neighbours) for hole in (left, right, mouth))
    return Face(middle, face, distance, (a, b), c)


def _edges(faces: np.ndarray) -> tuple[Edges, Edges]:
    """All edges, and those that only one face has."""
    corners = np.asarray(faces, np.int64)
    sides = np.sort(corners[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, count = np.unique(sides, axis=0, return_counts=True)
    return edges, edges[count == 1]


def _pieces(edges: Edges) -> list[np.ndarray]:
    """Vertices that hang together by these edges: a list of int64 [n], ascending."""
    vertices, flat = np.unique(edges, return_inverse=True)
    ends = flat.reshape(-1, 2)
    label = np.arange(len(vertices))
    while True:
        # Each vertex takes the lowest label of its neighbours, and of whom that label names.
        lowest = label.copy()
        np.minimum.at(lowest, ends[:, 0], label[ends[:, 1]])
        np.minimum.at(lowest, ends[:, 1], label[ends[:, 0]])
        lowest = lowest[lowest]
        if np.array_equal(lowest, label):
            break
        label = lowest
    return [vertices[label == name] for name in np.unique(label)]


def _eyes_mouth(
    points: np.ndarray, holes: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The three holes that lie as eyes and mouth do, the most regular ones where several do."""
    best: tuple[float, tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None
    for one, other in combinations(holes, 2):
        a, b = _centre(points[one]), _centre(points[other])
        eyes = float(np.linalg.norm(a - b))
        widths = _width(points[one]), _width(points[other])
        if not eyes or not all(EYE_WIDTH[0] < width / eyes < EYE_WIDTH[1] for width in widths):
            continue
        for hole in holes:
            if hole is one or hole is other:
                continue
            c = _centre(points[hole])
            below = float(np.linalg.norm((a + b) / 2 - c)) / eyes
            lopsided = abs(float(np.linalg.norm(a - c) - np.linalg.norm(b - c))) / eyes
            fits = (
                MOUTH_BELOW[0] < below < MOUTH_BELOW[1]
                and MOUTH_WIDTH[0] < _width(points[hole]) / eyes < MOUTH_WIDTH[1]
                and lopsided < LOPSIDED
            )
            score = lopsided + abs(float(np.log(widths[0] / widths[1])))
            if fits and (best is None or score < best[0]):
                best = (score, (one, other, hole))
    return best[1] if best else None


def _centre(points: np.ndarray) -> np.ndarray:
    return (points.min(axis=0) + points.max(axis=0)) / 2


def _width(points: np.ndarray) -> float:
    """The largest extent, measured along the points' own main direction."""
    centred = points - points.mean(axis=0)
    main = np.linalg.svd(centred, full_matrices=False)[2][0]
    return float(np.ptp(centred @ main))


def _outwards(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The mean direction in which the mesh's outer side looks."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    return np.asarray(np.cross(b - a, c - a).sum(axis=0))


def _neighbours(edges: Edges, count: int) -> list[np.ndarray]:
    both = np.concatenate([edges, edges[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    return np.split(both[:, 1], np.searchsorted(both[:, 0], np.arange(1, count)))


def _opening(
    flat: np.ndarray, hole: np.ndarray, open_edges: Edges, neighbours: list[np.ndarray]
) -> Opening:
    """The hole with its narrowest ring; flat: across, up, forward in eye distances [vertex, 3]."""
    corners = hole[[np.argmin(flat[hole, 0]), np.argmax(flat[hole, 0])]]
    upper, lower = _halves(flat, hole, corners, open_edges, neighbours)
    rings = list(_rings(flat, upper, lower, neighbours)) if len(upper) else []
    candidates = [_pairs(flat, *ring) for ring in rings]
    most = max(map(len, candidates), default=0)
    if not most:
        return Opening(corners, hole, np.zeros((0, 2), np.int64))
    gaps = [
        np.linalg.norm(flat[pairs[:, 0]] - flat[pairs[:, 1]], axis=1).mean()
        if 2 * len(pairs) >= most
        else np.inf
        for pairs in candidates
    ]
    narrowest = int(np.flatnonzero(gaps <= WIDER * np.min(gaps))[-1])
    pairs = candidates[narrowest]
    inside = np.concatenate([np.concatenate(ring) for ring in rings[: narrowest + 1]])
    ends = flat[pairs, 0].min(), flat[pairs, 0].max()
    between = (flat[inside, 0] >= ends[0]) & (flat[inside, 0] <= ends[1])
    return Opening(corners, np.unique(inside[between]), pairs)


def _halves(
    flat: np.ndarray,
    hole: np.ndarray,
    corners: np.ndarray,
    open_edges: Edges,
    neighbours: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The upper and the lower chain of the hole's vertices between its corners."""
    inner = np.setdiff1d(hole, corners)
    chain = open_edges[np.isin(open_edges, inner).all(axis=1)]
    # An edge from each vertex to itself, so that a chain may be one vertex long.
    chains = _pieces(np.concatenate([chain, np.stack([inner, inner], axis=1)]))
    if len(chains) != 2:
        return inner[:0], inner[:0]

    # Shut lids, or lips rolled inwards, may lie in one place: the skin about them says which is which.
    rings = list(islice(_rings(flat, chains[0], chains[1], neighbours), SKIN_RINGS))
    higher = sum(flat[one, 1].mean() - flat[other, 1].mean() for one, other in rings)
    return (chains[0], chains[1]) if higher > 0 else (chains[1], chains[0])


def _rings(
    flat: np.ndarray, upper: np.ndarray, lower: np.ndarray, neighbours: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both halves of the hole, then of the ring of neighbours about it, and so on outwards."""
    halves, seen = (upper, lower), np.zeros(len(flat), bool)
    hole = flat[np.concatenate(halves)]
    centre, reach = hole.mean(axis=0), np.ptp(hole[:, 0]) / 2 + DEEPEST
    while all(map(len, halves)):
        yield halves
        seen[np.concatenate(halves)] = True
        outer = []
        for half in halves:
            ring = np.unique(np.concatenate([neighbours[vertex] for vertex in half.tolist()]))
            ring = ring[~seen[ring] & (np.linalg.norm(flat[ring] - centre, axis=1) < reach)]
            seen[ring] = True
            outer.append(ring)
        halves = outer[0], outer[1]


def _pairs(flat: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Vertices of both halves that are each other's nearest across the face: int64 [pair, 2]."""
    apart = np.abs(flat[upper, 0][:, None] - flat[lower, 0])
    down, back = apart.argmin(axis=1), apart.argmin(axis=0)
    mutual = back[down] == np.arange(len(upper))
    pairs = np.stack([upper[mutual], lower[down[mutual]]], axis=1)
    across = flat[pairs, 0].mean(axis=1)
    ends = flat[np.concatenate([upper, lower]), 0]
    margin = CORNERS * np.ptp(ends)
    inner = (across > ends.min() + margin) & (across < ends.max() - margin)
    return pairs[inner][np.argsort(across[inner], kind="stable")]
