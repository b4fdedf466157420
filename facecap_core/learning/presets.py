"""Presets: named settings of a training run, by which users ask for one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from facecap_core.errors import ConfigError
from facecap_core.learning.config import MOST_OPTIONAL_VIEWS, TrainConfig, overridden, parse

SMALL: dict[str, Any] = {  # what a processor without a GPU learns and solves in time
    "input_size": (60, 80),
    "channels": (32, 48, 80, 112),
    "refine": (False, True, True, True),
}

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"network": {"basis_scale": "orthonormal"}},
    "fast": {  # a tenth of the epochs of `paper`
        "batch": 16,  # so that few epochs are still many steps
        "whitening": "none",
        "network": {"dropout": 0.0},
        "schedule": {"kind": "cosine", "epochs": 20, "learning_rate": 2e-3, "rampup_epochs": 0.5},
        "optimizer": {"kind": "muon", "muon_learning_rate": 0.01, "average": 0.999},
        "augmentation": {"ramp_epochs": 1},
    },
    "cpu": {
        "batch": 32,
        "validate_every_epochs": 4,
        # Better without dropout in so few epochs: docs/LOG.md, 2026-11-22.
        "network": {**SMALL, "dropout": 0.0},
        "schedule": {"kind": "cosine", "epochs": 56, "learning_rate": 2e-3, "rampup_epochs": 0.5},
        "optimizer": {"kind": "muon", "muon_learning_rate": 0.01, "average": 0.999},
        "augmentation": {"ramp_epochs": 2},
    },
    "demo": {
        "batch": 32,
        "validate_every_epochs": 4,
        "network": {**SMALL, "dropout": 0.1, "components": 64},
        "schedule": {"kind": "cosine", "epochs": 44, "learning_rate": 2e-3, "rampup_epochs": 1},
        "optimizer": {"kind": "muon", "muon_learning_rate": 0.01, "average": 0.995},
        "augmentation": {
            "translation": 0.03,
            "rotation_degrees": 2.5,
            "zoom": 0.025,
            "brightness": 0.03,
            "contrast": 0.08,
            "ramp_epochs": 2,
        },
    },
}


NETWORKS: dict[str, dict[str, Any]] = {
    "convolutional": {},
    "fully-connected": {  # dropout as Appendix B lists it; it also says that jitter was of no use
        "network": {"kind": "fully-connected", "dropout": 0.2},
        "augmentation": {"translation": 0.0, "rotation_degrees": 0.0, "zoom": 0.0},
        # Muon would take ten times the time of the rest of a step for the layer of 2000 x 1000.
        "optimizer": {"kind": "adam"},
        "schedule": {"learning_rate": 1e-3},
    },
}


# No cost in error was seen, and each camera has to do alone, so that none is left unused: docs/LOG.md, 2026-11-29.
SEVERAL_CAMERAS: dict[str, Any] = {"network": {"view_dropout": 0.2}}


def resolve(
    preset: str,
    overrides: Iterable[str] = (),
    *,
    network: str = "convolutional",
    cameras: int = 1,
) -> TrainConfig:
    """The preset for this network, overrides such as `schedule.epochs=20` or `network.dropout=0` on top.

    Args:
        cameras: that the network sees; of two to four some may be missing later, see `SEVERAL_CAMERAS`.

    Raises:
        ConfigError: an unknown preset, network or setting, or a value out of range; all of them together.
    """
    if preset not in PRESETS:
        raise ConfigError(
            f"unknown preset {preset!r}", remedy=f"choose one of: {', '.join(PRESETS)}"
        )
    if network not in NETWORKS:
        raise ConfigError(
            f"unknown network {network!r}", remedy=f"choose one of: {', '.join(NETWORKS)}"
        )
    values: dict[str, Any] = {"preset": preset, **json.loads(json.dumps(PRESETS[preset]))}
    several = SEVERAL_CAMERAS if 1 < cameras <= MOST_OPTIONAL_VIEWS else {}
    for section, settings in (*NETWORKS[network].items(), *several.items()):
        values[section] = {**values.get(section, {}), **settings}
    return parse(overridden(values, overrides))
