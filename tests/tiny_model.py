"""A tiny model of the tiny production's actor: made in a moment, its files are those of any model."""

from __future__ import annotations

import torch

from facecap_core.learning.config import TrainConfig
from facecap_core.learning.model import save_model
from facecap_core.learning.network import Network

CROP = (0, 0, 48, 64)


def tiny_config():
    """One epoch of a network of a few thousand weights."""
    return TrainConfig.model_validate(
        {
            "preset": "test",
            "batch": 4,
            "network": {
                "input_size": (30, 40),
                "channels": (8, 8),
                "refine": (False, False),
                "components": 3,
            },
            "schedule": {"epochs": 1},
        }
    )


def save_tiny_model(folder, template, **facts):
    """Save one that was never trained: its weights do not matter, its files do; returns the folder."""
    config = tiny_config()
    torch.manual_seed(0)
    weights = Network(config.network, 3 * template.vertex_count).state_dict()
    known = {
        "actor": "ada",
        "model": "m",
        "units": "cm",
        "fps": "30",
        "cameras": ["center"],
        "crop": {"center": list(CROP)},
        "picture_size": {"center": [48, 64]},
        "topology_sha256": template.topology_sha256,
        "vertex_count": template.vertex_count,
        "config": config.model_dump(mode="json"),
        "whitening": {"mean": 120.0, "deviation": 40.0},
    }
    save_model(folder, weights, known | facts, [])
    return folder
