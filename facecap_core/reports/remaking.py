"""Remaking: the command that trains a model in the same way again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from facecap_core.learning.fine_tuning import fine_tuned
from facecap_core.learning.presets import PRESETS, resolve


def remake_command(facts: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> str | None:
    """`farm submit train` with all that model.json says of the settings, for the shots of today's shots.csv.

    Args:
        base: model.json of the model that it was fine-tuned from, where it was.

    Returns:
        None where the settings cannot be had by a command: of a preset, or a base, that is not there.
    """
    begun = facts["training"].get("base")
    config = facts["config"]
    words = ["farm", "submit", "train", "--actor", str(facts["actor"])]
    if begun is not None:
        if base is None:
            return None
        start = fine_tuned(base).model_dump(mode="json")
        words += ["--from", str(begun["model"])]
    else:
        if config["preset"] not in PRESETS:
            return None
        kind = config["network"].get("kind", "convolutional")
        start = resolve(config["preset"], network=kind, cameras=len(facts["cameras"])).model_dump(
            mode="json"
        )
        words += ["--preset", config["preset"]]
        words += [] if kind == "convolutional" else ["--network", kind]
        for camera in facts["cameras"]:
            words += ["--camera", camera]
    before = _settings(start)
    for name, value in _settings(config).items():
        if name != "preset" and before.get(name) != value:
            text = value if isinstance(value, str) else json.dumps(value)
            words += ["--set", f"{name}={text}"]
    return shlex.join(words)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Each setting by the name that --set takes."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": setting for inner, setting in value.items()}
        else:
            found[name] = value
    return found
