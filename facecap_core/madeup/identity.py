"""Identity: the proportions and colours that make one made-up actor differ from another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]  # as a screen shows it, 0..1

SKINS: tuple[Colour, ...] = (
    (0.87, 0.68, 0.57),
    (0.80, 0.60, 0.48),
    (0.91, 0.74, 0.65),
    (0.66, 0.46, 0.35),
    (0.50, 0.34, 0.26),
)
HAIRS: tuple[Colour, ...] = (
    (0.22, 0.14, 0.09),
    (0.10, 0.08, 0.07),
    (0.42, 0.28, 0.15),
    (0.33, 0.17, 0.09),
    (0.13, 0.09, 0.07),
)
IRISES: tuple[Colour, ...] = (
    (0.36, 0.46, 0.52),
    (0.33, 0.22, 0.12),
    (0.36, 0.42, 0.27),
    (0.25, 0.16, 0.09),
    (0.20, 0.13, 0.08),
)


@dataclass(frozen=True)
class Identity:
    """Lengths in cm are changes to an average face; factors multiply it."""

    seed: int
    face_width: float = 1.0  # factor
    jaw_width: float = 1.0  # factor, below the nose
    chin: float = 0.0  # cm forward
    brow_ridge: float = 0.0  # cm forward
    nose_length: float = 0.0  # cm forward at the tip
    nose_width: float = 1.0  # factor
    nose_bridge: float = 0.0  # cm forward half way up
    lip_fullness: float = 1.0  # factor
    mouth_width: float = 1.0  # factor
    cheekbones: float = 0.0  # cm forward
    eye_opening: float = 1.0  # factor
    eye_tilt: float = 0.0  # cm, outer corner up
    brow_height: float = 0.0  # cm up
    brow_weight: float = 1.0  # factor
    freckles: float = 0.5  # 0..1
    redness: float = 0.5  # 0..1
    skin: Colour = SKINS[0]
    hair: Colour = HAIRS[0]
    iris: Colour = IRISES[0]

    @staticmethod
    def drawn(seed: int) -> Identity:
        """The actor that belongs to a seed."""
        generator = np.random.default_rng([seed, 1])
        spread = {
            "face_width": (1.0, 0.025),
            "jaw_width": (1.0, 0.04),
            "chin": (0.0, 0.18),
            "brow_ridge": (0.0, 0.10),
            "nose_length": (0.0, 0.20),
            "nose_width": (1.0, 0.09),
            "nose_bridge": (0.0, 0.12),
            "lip_fullness": (1.0, 0.13),
            "mouth_width": (1.0, 0.035),
            "cheekbones": (0.0, 0.12),
            "eye_opening": (1.0, 0.07),
            "eye_tilt": (0.0, 0.06),
            "brow_height": (0.0, 0.10),
            "brow_weight": (1.0, 0.18),
        }
        drawn: dict[str, float] = {}
        for name, (middle, deviation) in spread.items():
            drawn[name] = float(middle + deviation * np.clip(generator.normal(), -1.8, 1.8))
        freckles, redness = (float(value) for value in generator.uniform(0.1, 0.9, size=2))
        tone = int(generator.integers(len(SKINS)))
        dark = tone >= 3
        hair = HAIRS[4 if dark else int(generator.integers(4))]
        iris = IRISES[int(generator.integers(3, 5) if dark else generator.integers(4))]
        return Identity(
            seed=seed,
            **drawn,
            freckles=freckles * (0.3 if dark else 1.0),
            redness=redness * (0.6 if dark else 1.0),
            skin=SKINS[tone],
            hair=hair,
            iris=iris,
        )
