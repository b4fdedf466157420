"""Panels: what a review shows of a frame side by side, the face from the camera and as a mesh."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from facecap_core.rasteriser import Camera, Rasteriser, framing_camera
from facecap_core.reports.comparison import BACKGROUND, EVEN_LIGHT
from facecap_core.reports.figures import error_colours
from facecap_core.reviews.canvas import Enlarger
from facecap_core.reviews.reviewed_shot import ReviewedShot

SIDE_DEGREES = 50.0
RESULT, CORRECTED = "result", "corrected"  # the name of the panel, and in frames of an artist's
WITH_TARGET = (RESULT, "target", "distance")
WITHOUT = (RESULT, "result from the side")


class Panels:
    """Draws the panels of one shot, all of one size; not for two threads at once."""

    def __init__(self, shot: ReviewedShot, size: tuple[int, int], highest_mm: float) -> None:
        """size: (width, height); `highest_mm` has the last colour of the map."""
        self.names = (shot.seen_by, *(WITHOUT if shot.target is None else WITH_TARGET))
        self._shot, self._highest_mm = shot, highest_mm
        aspect = size[0] / size[1]
        self._front = framing_camera(shot.bounds, aspect)
        self._side = side_camera(shot.template.positions, shot.bounds, aspect)
        self._rasteriser = Rasteriser(shot.template.faces, size=size)
        self._enlarge = Enlarger(size)

    def input(self, luma: np.ndarray) -> np.ndarray:
        """The crop as gray picture, uint8 [y, x]."""
        return self._enlarge(luma)

    def meshes(self, result: np.ndarray, target: np.ndarray | None) -> list[Tensor]:
        """The other panels, each float32 [rgb, y, x] in 0..1, of positions [vertex, xyz]."""
        front = self._rasteriser.look(result, self._front)
        shown = [self._rasteriser.shade(front, background=BACKGROUND)]
        if target is None:
            side = self._rasteriser.look(result, self._side)
            return [*shown, self._rasteriser.shade(side, background=BACKGROUND)]
        shown.append(
            self._rasteriser.render_planes(target, camera=self._front, background=BACKGROUND)
        )
        distance_mm = np.linalg.norm(result - target, axis=1) * self._shot.mm_per_unit
        # The same look: the mesh need not be seen again to be shaded in other colours.
        coloured = self._rasteriser.shade(
            front,
            colours=torch.from_numpy(error_colours(distance_mm, self._highest_mm)),
            gloss=0.0,
            background=BACKGROUND,
            lighting=EVEN_LIGHT,
        )
        return [*shown, coloured]


def side_camera(rest: np.ndarray, bounds: np.ndarray, aspect: float) -> Camera:
    """The camera led around the face's vertical axis, so that it holds the mesh wherever the box says it goes.

    rest: float [vertex, xyz]; bounds: float [low high, xyz]; aspect: width / height.
    """
    cosine, sine = math.cos(math.radians(SIDE_DEGREES)), math.sin(math.radians(SIDE_DEGREES))
    turn = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])  # of the camera
    reached = np.stack([rest + bounds[0] - rest.min(axis=0), rest + bounds[1] - rest.max(axis=0)])
    front = framing_camera(reached @ turn, aspect)  # of the face that is turned the other way
    px, py, pz = (float(value) for value in turn @ np.array(front.position))
    tx, ty, tz = (float(value) for value in turn @ np.array(front.target))
    return replace(front, position=(px, py, pz), target=(tx, ty, tz))
