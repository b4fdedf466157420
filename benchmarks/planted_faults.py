"""Planted faults: what goes wrong on a set, drawn into the pictures of a face camera.

None of them is what calibration learns from (`facecap_core.learning.spoilt`): a hand has fingers and shadows, a beard
hair, a blur follows the pictures before and after. All take and give uint8 [frame, y, x], any size.
"""

from __future__ import annotations

import numpy as np

HAND_SKIN = 1.05  # of the picture's middle level


def _grid(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels across and down, from -1 to 1 both."""
    _, height, width = luma.shape
    down, across = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return across, down


def _drawn(luma: np.ndarray, mask: np.ndarray, over: np.ndarray) -> np.ndarray:
    return np.rint(luma * (1 - mask) + over * mask).clip(0, 255).astype(np.uint8)


def hand(luma: np.ndarray) -> np.ndarray:
    """A hand that wanders over mouth and cheek."""
    across, down = _grid(luma)
    level, found = HAND_SKIN * np.median(luma), luma.copy()
    for number in range(len(luma)):
        time = number / 30
        x, y = 0.25 * np.sin(1.3 * time), 0.35 + 0.15 * np.sin(0.9 * time)
        turn = 0.5 * np.sin(0.7 * time)
        u = (across - x) * np.cos(turn) + (down - y) * np.sin(turn)
        v = (down - y) * np.cos(turn) - (across - x) * np.sin(turn)
        mask = (u / 0.33) ** 2 + (v / 0.24) ** 2 < 1
        for finger in range(4):
            middle = 0.17 * (finger - 1.5)
            mask |= ((u - middle) / 0.08) ** 2 + ((v + 0.32) / 0.26) ** 2 < 1
        shade = level * (0.82 + 0.18 * np.abs(np.sin(u / 0.054)))
        found[number] = _drawn(luma[number], mask, shade)
    return found


def beard(luma: np.ndarray) -> np.ndarray:
    """Dark hair on chin and cheeks, with the mouth left free; it stands still as the head nearly does."""
    across, down = _grid(luma)
    grown = (across / 0.56) ** 2 + ((down - 0.58) / 0.34) ** 2 < 1
    grown &= (across / 0.22) ** 2 + ((down - 0.42) / 0.07) ** 2 > 1
    hair = np.random.default_rng(0).random(across.shape)
    return _drawn(luma, grown * (0.55 + 0.4 * hair), np.full(across.shape, 30.0))


def wig(luma: np.ndarray) -> np.ndarray:
    """A fringe down to the brows, and strands beside the cheeks."""
    across, down = _grid(luma)
    edge = -0.38 + 0.05 * np.sin(30 * across)
    worn = (down < edge) | ((np.abs(across) > 0.62) & (down < 0.5))
    strands = 60 + 25 * np.sin(55 * across + 4 * down)
    return _drawn(luma, worn.astype(float), strands)


def shifted_crop(luma: np.ndarray) -> np.ndarray:
    """A crop that was set for another day: an eighth of the picture to the side, a twelfth down."""
    _, height, width = luma.shape
    right, low = width // 8, height // 12
    wide = np.pad(luma, ((0, 0), (0, low), (0, right)), mode="edge")
    return wide[:, low : low + height, right : right + width]


def light_gone(luma: np.ndarray) -> np.ndarray:
    """The key light is off: one side of the face is dark."""
    across, _ = _grid(luma)
    return np.rint(luma * (0.55 + 0.30 * np.tanh(2 * across))).astype(np.uint8)


def motion_blur(luma: np.ndarray) -> np.ndarray:
    """A head that shakes while a slow shutter is open: smeared across by an eighth of the picture."""
    reach = luma.shape[2] // 16
    padded = np.pad(luma.astype(np.float32), ((0, 0), (0, 0), (reach, reach)), mode="edge")
    steps = [padded[..., step : step + luma.shape[2]] for step in range(2 * reach + 1)]
    return np.rint(np.mean(steps, axis=0)).astype(np.uint8)


FAULTS = {
    "hand": hand,
    "beard": beard,
    "wig": wig,
    "shifted crop": shifted_crop,
    "light gone": light_gone,
    "motion blur": motion_blur,
}
