"""Regions: which vertices are lips, lids, jaw or brows, with the pairs of them that open.

They are derived from the template's openings: the mesh is open at the eyes and at the mouth, and the
place of these three holes gives the face's axes and its scale (the distance between the eyes), so that
neither units nor axes need to be known. An actor's own file may say otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facecap_core.errors import TemplateError
from facecap_core.openings import Face, Opening, find_face
from facecap_core.productions.production import Actor
from facecap_core.template import Template

REST = "rest"
NAMES = ("lips", "lids", "jaw", "brows", REST)

# Of the distance between the eyes, which is 6.0 to 6.6 cm in adults.
LIP_REACH = 0.13  # red of the lips, from where they meet
LID_REACH = 0.105  # skin of the lids, from their edges
BROWS_FROM, BROWS_TO = 0.17, 0.48  # above the middle of the eyes
BROWS_WIDTH = 0.92  # from the middle line to a brow's outer end
CHEEKS_FROM = 0.05  # below the mouth's middle everything is jaw

_SHAPE = '{"groups": {"lips": [0, 1]}, "lip_pairs": [[0, 1]], "lid_pairs": [[2, 3]]}'


@dataclass(frozen=True, eq=False)
class FaceRegions:
    """Disjoint groups that hold every vertex, and pairs across the mouth and the eyes.

    `origin` says where they come from, in words for a table.
    """

    groups: dict[str, np.ndarray]  # name -> int64 [n], ascending
    lip_pairs: np.ndarray  # int64 [pair, upper lower], may be empty
    lid_pairs: np.ndarray  # int64 [pair, upper lower], may be empty
    origin: str = ""
    forward: np.ndarray | None = None  # float64 [xyz], where the face looks; None: not known

    def labels(self) -> np.ndarray:
        """The number of each vertex's group, in the order of `groups`: int64 [vertex]."""
        labels = np.empty(sum(map(len, self.groups.values())), np.int64)
        for number, vertices in enumerate(self.groups.values()):
            labels[vertices] = number
        return labels


def derive_regions(template: Template) -> FaceRegions:
    """Regions from the holes of the template's mesh; everything is `rest` where they are not there.

    The pairs lie on the narrowest ring about a hole: lips and lids are often modelled on inwards, and
    the hole itself is then deep in the mouth.
    """
    face = find_face(template.positions, template.faces)
    vertices = np.arange(template.vertex_count)
    if isinstance(face, str):
        nothing = np.zeros((0, 2), np.int64)
        return FaceRegions(_groups(vertices, {}), nothing, nothing, f"not derived: {face}")
    across, up = face.coordinates(template.positions)[:, :2].T
    mouth_level = float(np.median(up[face.mouth.pairs]))
    chosen = {
        "lips": _about(face, [face.mouth], template.positions, LIP_REACH),
        "lids": _about(face, list(face.eyes), template.positions, LID_REACH),
        "jaw": vertices[up < mouth_level - CHEEKS_FROM],
        "brows": vertices[(up > BROWS_FROM) & (up < BROWS_TO) & (np.abs(across) < BROWS_WIDTH)],
    }
    lids = np.concatenate([eye.pairs for eye in face.eyes])
    return FaceRegions(
        _groups(vertices, chosen),
        face.mouth.pairs,
        lids,
        "derived from the template's openings",
        face.axes[2],
    )


def read_regions(path: str | Path, template: Template) -> FaceRegions:
    """Regions of a JSON file: groups of any names, and pairs; what is in no group is `rest`.

    Raises:
        TemplateError: the file cannot be read, or is not of this form, or names a vertex that the
            template has not, or one vertex in two groups.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise TemplateError(
            f"is not JSON: {error.msg}", remedy=f"write {_SHAPE}", file=path, line=error.lineno
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise TemplateError(
            f"the regions cannot be read: {error}", remedy=f"write {_SHAPE}", file=path
        ) from error
    try:
        regions = _parsed(content, template.vertex_count, str(path))
    except _Fault as fault:
        raise TemplateError(fault.message, remedy=fault.remedy, file=path) from None
    face = find_face(template.positions, template.faces)
    return regions if isinstance(face, str) else replace(regions, forward=face.axes[2])


def actor_regions(actor: Actor, template: Template) -> FaceRegions:
    """The regions of the actor's own file where production.toml names one, else the derived ones.

    Raises:
        TemplateError: the file is at fault.
    """
    if actor.regions is None:
        return derive_regions(template)
    return read_regions(actor.regions, template)


def regions_json(regions: FaceRegions) -> str:
    """The text of a file that `read_regions` reads; `rest` is what it leaves out."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(vertices.tolist())}"
        for name, vertices in regions.groups.items()
        if name != REST
    ]
    groups = ",\n".join(lines)
    pairs = ",\n".join(
        f' "{name}": {json.dumps(found.tolist())}'
        for name, found in (("lip_pairs", regions.lip_pairs), ("lid_pairs", regions.lid_pairs))
    )
    return f'{{\n "groups": {{\n{groups}\n }},\n{pairs}\n}}\n'


class _Fault(Exception):
    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def _parsed(content: Any, count: int, origin: str) -> FaceRegions:
    if not isinstance(content, dict) or not isinstance(content.get("groups"), dict):
        raise _Fault("has no groups", f"write {_SHAPE}")
    if unknown := sorted(set(content) - {"groups", "lip_pairs", "lid_pairs"}):
        raise _Fault(f"unknown key {unknown[0]!r}", f"write {_SHAPE}")
    owner: dict[int, str] = {}
    chosen = {}
    for name, listed in content["groups"].items():
        if not name.isidentifier():
            raise _Fault(f"{name!r} cannot be a region's name", "use letters, digits and _")
        if not isinstance(listed, list):
            raise _Fault(f"{name} is no list of vertices", f"write {_SHAPE}")
        chosen[name] = np.array([_vertex(v, count, name) for v in listed], np.int64)
        for vertex in chosen[name].tolist():
            if vertex in owner:
                raise _Fault(
                    f"vertex {vertex} is in {owner[vertex]} and in {name}"
                    if owner[vertex] != name
                    else f"vertex {vertex} is twice in {name}",
                    "leave it in one place",
                )
            owner[vertex] = name
    lips, lids = (
        _read_pairs(content.get(key, []), count, key) for key in ("lip_pairs", "lid_pairs")
    )
    return FaceRegions(_groups(np.arange(count), chosen), lips, lids, origin)


def _vertex(value: Any, count: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Fault(f"{where}: {str(value)[:40]!r} is not a vertex index", "indices are integers")
    if not 0 <= value < count:
        raise _Fault(
            f"{where}: vertex {value} does not exist", f"indices count from 0 to {count - 1}"
        )
    return value


def _read_pairs(listed: Any, count: int, key: str) -> np.ndarray:
    if not isinstance(listed, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in listed
    ):
        raise _Fault(f"{key} is no list of pairs", f"write {_SHAPE}")
    pairs = [[_vertex(v, count, key) for v in pair] for pair in listed]
    for upper, lower in pairs:
        if upper == lower:
            raise _Fault(f"{key}: vertex {upper} is paired with itself", "pair two vertices")
    return np.array(pairs, np.int64).reshape(-1, 2)


def _groups(vertices: np.ndarray, chosen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Disjoint groups: a vertex belongs to the first that has it, and to `rest` else."""
    free = np.ones(len(vertices), bool)
    groups = {}
    for name, found in chosen.items():
        if name != REST:
            groups[name] = np.sort(found[free[found]])
            free[found] = False
    for name in NAMES[:-1] if not chosen else ():
        groups[name] = np.zeros(0, np.int64)
    groups[REST] = np.flatnonzero(free)
    return groups


def _about(face: Face, openings: list[Opening], positions: np.ndarray, reach: float) -> np.ndarray:
    """Vertices inside the openings, or within `reach` eye distances of their pairs and corners."""
    flat = face.coordinates(positions)
    near = np.zeros(len(flat), bool)
    for opening in openings:
        near[opening.inside] = True
        for vertex in (*opening.pairs.ravel(), *opening.corners):
            near |= np.linalg.norm(flat - flat[vertex], axis=1) < reach
    return np.flatnonzero(near)
