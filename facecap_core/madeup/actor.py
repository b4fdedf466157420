"""Actor: the made-up person as a whole, from controls and head motion to the mesh a camera sees."""

from __future__ import annotations

import numpy as np

from facecap_core.madeup.expressions import GAZE_DEGREES, INDEX, Face, controls, jaw_transform
from facecap_core.madeup.identity import Identity
from facecap_core.madeup.mask import build_mask
from facecap_core.madeup.paint import WHITE_UV, paint_mask, texture_uvs
from facecap_core.madeup.parts import Part, build_parts
from facecap_core.madeup.rotations import eye_rotations, head_rotations
from facecap_core.madeup.sculpt import eye_centres

HEAD_PIVOT_CM = np.array([0.0, -6.0, -1.0])
INNER_SKIN = (0.24, 0.09, 0.08)


class MadeUpActor:
    """Mask and parts of one identity, drawn as one mesh.

    `inside` adds the inner side of the skin, which a camera sees from the side between lips and past
    an eyeball, and one from the front does not.
    """

    def __init__(self, seed: int, *, inside: bool = False) -> None:
        self.identity = Identity.drawn(seed)
        self.mask = build_mask()
        self.face = Face(self.mask, self.identity)
        self.parts: list[Part] = build_parts(self.identity)
        self.template = self.face.rest()  # float32 [vertex, xyz]
        self.texture, gloss = paint_mask(
            self.mask, self.face.sculpture, self.template, self.identity
        )
        start = np.cumsum([len(self.template), *(len(part.positions) for part in self.parts)])
        self.faces = np.concatenate(
            [
                self.mask.triangles(),
                *(part.faces + first for part, first in zip(self.parts, start, strict=False)),
            ]
        )
        self.colours = np.concatenate(
            [np.ones_like(self.template), *(part.colours for part in self.parts)], dtype=np.float32
        )
        self.gloss = np.concatenate(
            [gloss, *(np.full(len(part.positions), part.gloss) for part in self.parts)],
            dtype=np.float32,
        )
        self.uvs = np.full((len(self.colours), 2), WHITE_UV, np.float32)
        self.uvs[: len(self.template)] = texture_uvs(self.mask)
        self._centres = eye_centres()
        self._inside = inside
        if inside:
            self._add_inside()

    def _add_inside(self) -> None:
        first, count = len(self.colours), len(self.template)
        self.faces = np.concatenate([self.faces, self.mask.triangles()[:, ::-1] + first])
        self.colours = np.concatenate(
            [self.colours, np.broadcast_to(INNER_SKIN, (count, 3))], dtype=np.float32
        )
        self.gloss = np.concatenate([self.gloss, np.zeros(count)], dtype=np.float32)
        self.uvs = np.concatenate(
            [self.uvs, np.broadcast_to(WHITE_UV, (count, 2))], dtype=np.float32
        )

    def animated(self) -> np.ndarray:
        """Indices of the vertices that some control moves by at least a millimetre: int64 [n]."""
        extremes = [controls()]
        for name in INDEX:
            extremes += [controls(1, **{name: value}) for value in (1.0, -1.0)]
        moved = self.face.pose(np.concatenate(extremes)) - self.template
        return np.flatnonzero(np.linalg.norm(moved, axis=2).max(axis=0) >= 0.1)

    def scene(
        self, values: np.ndarray, rotation_degrees: np.ndarray, translation_cm: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Targets and what is drawn: the mask in head space float32 [frame, vertex, xyz], and mask
        with parts where the head's motion puts them float32 [frame, vertex, xyz].

        values: controls [frame, control]; rotation_degrees: yaw, pitch, roll [frame, 3].
        """
        targets = self.face.pose(values)
        drawn = [targets.astype(np.float64)]
        gaze = values[:, [INDEX["gaze_left_right"], INDEX["gaze_up_down"]]] * np.radians(
            GAZE_DEGREES
        )
        turns = eye_rotations(gaze)
        follow = [np.ones(len(self.template))]
        for number, part in enumerate(self.parts):
            if number < len(self._centres):
                points = part.positions @ turns.transpose(0, 2, 1) + self._centres[number]
            else:
                points = np.repeat(part.positions[None], len(values), axis=0)
                if part.jaw.any():
                    jaw_transform(points, part.jaw, values)
            drawn.append(points)
            follow.append(part.head)
        if self._inside:
            drawn.append(drawn[0])
            follow.append(follow[0])
        points = np.concatenate(drawn, axis=1)
        turn = head_rotations(rotation_degrees)
        moved = (points - HEAD_PIVOT_CM) @ turn.transpose(0, 2, 1) + HEAD_PIVOT_CM
        moved += translation_cm[:, None]
        weight = np.concatenate(follow)[:, None]
        return targets, (points + weight * (moved - points)).astype(np.float32)
