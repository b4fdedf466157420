"""Target stabilisation: one affine transform a shot, which brings its targets nearest to the rest pose (Appendix A.2)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from facecap_core.errors import StoreError, TrainingError
from facecap_core.provenance import made
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import GroupReader, open_targets, stored
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.template import Template

METHOD = "affine-l1-1"
MOST_FRAMES = (
    128  # of the best half; neighbours are alike: within 0.01 mm of all of them, on real motion
)
STABLE_MM = (
    0.5  # so far apart the method takes shots that are stable, by what the faces do: 0.3 to 0.45
)
STEP_MM = 1e-5  # where a further step is shorter, the best transform is found
MOST_STEPS = 1000
SMOOTH = 1e-7  # of the face's radius: nearer points weigh no more, or one would hold all


@dataclass(frozen=True)
class ShotStabilisation:
    """What would be done to a shot, and how much that is.

    `transform` [xyz, 4] in the production's units takes the shot's positions (x, y, z, 1) to the
    stabilised ones. Distances to the rest pose are means over vertices of the `frames_used`; `moved_mm`
    is the mean way of the rest pose's vertices, `translation_mm` that of its centre; `rotation_degrees`,
    `scale` (the geometric mean of the stretch) and `shear` (the largest stretch less the smallest) are of
    the matrix.
    """

    transform: tuple[tuple[float, float, float, float], ...]
    frames: int
    frames_used: int
    before_mm: float
    after_mm: float
    moved_mm: float
    translation_mm: float
    rotation_degrees: float
    scale: float
    shear: float

    def apply(self, positions: np.ndarray) -> np.ndarray:
        """Stabilised positions, float32, of positions [frame, vertex, xyz] in the production's units."""
        return self.moved(positions).astype(np.float32)

    def moved(self, positions: np.ndarray) -> np.ndarray:
        """As `apply`, in float64."""
        matrix = np.array(self.transform)
        return positions.astype(np.float64) @ matrix[:, :3].T + matrix[:, 3]


def stabilise(targets: ArrayFolder, template: Template, *, mm_per_unit: float) -> ShotStabilisation:
    """The affine transform that brings a shot nearest to the rest pose (Appendix A.2), in flat memory.

    Over the half of the frames that are most like the rest pose already (by mean squared distance), or
    128 of them evenly in time, it makes the mean Euclidean distance between targets and rest pose least.
    All vertices take part, as the paper has it: leaving out those that never move by an expression changes
    the result by a hundredth of a millimetre, and those alone are too few, at the rim of the mesh.

    Args:
        targets: a target store, in the production's units, as the template is.

    Raises:
        StoreError: the shot is not ingested, damaged, or of another topology.
    """
    source = _open(targets, template)
    squares = [_mean_squares(block, template.positions) for block in source.chunks("positions")]
    points = _frames(source, most_like_rest(np.concatenate(squares)))
    matrix = nearest_affine(points, template.positions, tolerance=STEP_MM / mm_per_unit)
    return _described(matrix, points, template.positions, source.frames, mm_per_unit)


def write_stabilised(
    targets: ArrayFolder,
    destination: ArrayFolder,
    template: Template,
    stabilisation: ShotStabilisation,
) -> bool:
    """Write all frames of a target store, transformed, as another one; False where the same was there.

    The original stays as it is. The attributes `stabilisation` hold what was done.

    Raises:
        StoreError: the original is absent or of another topology, or the new one cannot be written.
    """
    source = _open(targets, template)
    identity = stabilised_identity(source.attributes, template)
    if stored(destination, identity) is not None:
        return False
    with new_group(destination, identity) as group:
        positions = group.positions(source.shape("positions")[1])
        for block in source.chunks("positions"):
            positions.append(stabilisation.apply(block))
        group.set_attributes(
            {
                "cache": source.attributes.get("cache", ""),
                "stabilisation": asdict(stabilisation),
                "made": made(),
            }
        )
    return group.won


def apart_mm(
    stabilisations: Sequence[ShotStabilisation], template: Template, *, mm_per_unit: float
) -> list[float]:
    """How far each of an actor's shots is from the others, in mm: what troubles training.

    Of the template's vertices under the shot's transform, the mean distance to where the transforms of
    all shots take them on average. What all shots have in common does not count. A mean below
    `STABLE_MM` is no sign of instability, and stabilising would only add to it (Appendix A.3).
    """
    moved = np.array([one.moved(template.positions) for one in stabilisations])
    distances = np.linalg.norm(moved - moved.mean(axis=0), axis=2).mean(axis=1)
    return [float(distance) for distance in mm_per_unit * distances]


def stabilised_identity(original: Mapping[str, Any], template: Template) -> dict[str, Any]:
    """What a stabilised target store is made from: the original by its attributes, and the rest pose."""
    names = ("cache_fingerprint", "topology_sha256", "units", "fps")
    rest = hashlib.sha256(template.positions.astype("<f4").tobytes()).hexdigest()
    return {
        **{name: original.get(name) for name in names},
        "rest_sha256": rest,
        "stabilised": METHOD,
    }


def check_stabilised(
    shot: str, targets: ArrayFolder, destination: ArrayFolder, template: Template
) -> None:
    """Refuse stabilised targets that are not of these targets and this rest pose.

    Raises:
        TrainingError: the shot was not stabilised, or is another since. StoreError: it is not ingested.
    """
    wanted = stabilised_identity(open_targets(targets).attributes, template)
    try:
        found = open_targets(destination).attributes
    except StoreError as error:
        if error.transient:
            raise
        found = {}
    if any(found.get(name) != value for name, value in wanted.items()):
        what = "has other targets, or another rest pose, than when it was stabilised"
        raise TrainingError(
            f"{shot} {what if found else 'is not stabilised'}",
            remedy="farm stabilise --apply, or train with targets=original",
        )


def most_like_rest(mean_squares: np.ndarray) -> np.ndarray:
    """The better half of the frames, at most 128 evenly among them: indices int64 [n], ascending.

    mean_squares: of each frame against the rest pose, [frame].
    """
    order = np.argsort(mean_squares, kind="stable")
    best = np.sort(order[: max(1, len(order) // 2)])
    return best[np.linspace(0, len(best) - 1, min(len(best), MOST_FRAMES)).round().astype(int)]


def nearest_affine(points: np.ndarray, rest: np.ndarray, *, tolerance: float) -> np.ndarray:
    """The affine transform that makes the mean Euclidean distance to the rest pose least: [xyz, 4] float64.

    Gradient descent from the least-squares solution. Each step is the gradient divided by the moments
    of the points, weighted by the inverse of their distance (Weiszfeld's): it always lowers the mean
    distance, and has no rate to choose. It ends when a step moves no vertex by more than `tolerance`.

    Args:
        points: [frame, vertex, xyz]; rest: [vertex, xyz].
    """
    goals = torch.from_numpy(rest).double().T  # [xyz, vertex]
    centre = goals.mean(1, keepdim=True)
    radius = float((goals - centre).square().sum(0).mean().sqrt()) or 1.0
    goals = _padded((goals - centre) / radius)
    flat = torch.from_numpy(points).reshape(-1, 3).double().T
    padded = _padded((flat - centre) / radius)  # [xyz1, frame * vertex]
    # A flat mesh says nothing about one direction: with this, none is taken there.
    least = 1e-12 * padded.shape[1] * torch.eye(4, dtype=torch.float64)
    transform = torch.eye(3, 4, dtype=torch.float64)
    for steps in range(MOST_STEPS):
        moved = (transform @ padded).reshape(3, len(points), -1)
        apart = (moved - goals[:3, None]).flatten(1)
        # At first all points weigh alike, so that the first step reaches the least squares.
        weighted = padded / apart.square().sum(0).sqrt().clamp(min=SMOOTH) if steps else padded
        step = torch.linalg.solve(weighted @ padded.T + least, weighted @ apart.T).T
        transform = transform - step
        if steps and float((step @ goals).norm(dim=0).max()) * radius < tolerance:
            break
    linear, shift = transform[:, :3], transform[:, 3:] * radius
    return torch.cat([linear, centre + shift - linear @ centre], 1).numpy()


def _padded(points: torch.Tensor) -> torch.Tensor:
    return torch.cat([points, torch.ones_like(points[:1])])


def _open(targets: ArrayFolder, template: Template) -> GroupReader:
    source = open_targets(targets)
    if source.attributes.get("topology_sha256") != template.topology_sha256:
        raise StoreError(
            "has another topology than the template",
            remedy="run the ingest of this shot again",
            file=targets,
        )
    return source


def _frames(source: GroupReader, chosen: np.ndarray) -> np.ndarray:
    """The positions of some frames, ascending, read a chunk at a time."""
    start, found = 0, []
    for block in source.chunks("positions"):
        inside = chosen[(chosen >= start) & (chosen < start + len(block))] - start
        found.append(block[inside])
        start += len(block)
    return np.concatenate(found)


def _mean_squares(positions: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Of each frame the mean squared distance to the rest pose [frame]; positions [frame, vertex, xyz]."""
    return np.square(positions.astype(np.float64) - rest).sum(2).mean(1)


def _described(
    matrix: np.ndarray, points: np.ndarray, rest: np.ndarray, frames: int, mm_per_unit: float
) -> ShotStabilisation:
    linear, shift = matrix[:, :3], matrix[:, 3]

    def mean_mm(apart: np.ndarray) -> float:
        return mm_per_unit * float(np.linalg.norm(apart, axis=-1).mean())

    still = rest.astype(np.float64)
    before = points.astype(np.float64) - still
    after = points.astype(np.float64) @ linear.T + shift - still
    # The turn is what is left of the matrix when its stretch is taken out (polar decomposition).
    left, stretch, right = np.linalg.svd(linear)
    cosine = (np.trace(left @ right) - 1) / 2
    centre = still.mean(axis=0)
    return ShotStabilisation(
        transform=tuple(tuple(row) for row in matrix.tolist()),
        frames=frames,
        frames_used=len(points),
        before_mm=mean_mm(before),
        after_mm=mean_mm(after),
        moved_mm=mean_mm(still @ linear.T + shift - still),
        translation_mm=mean_mm(linear @ centre + shift - centre),
        rotation_degrees=math.degrees(math.acos(min(1.0, max(-1.0, float(cosine))))),
        scale=float(np.prod(stretch) ** (1 / 3)),
        shear=float(stretch[0] - stretch[2]),
    )
