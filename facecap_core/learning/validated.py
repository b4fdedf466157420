"""Validated: what the validation error of a model was measured on, by which two of them compare or do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def validated_on(facts: Mapping[str, Any]) -> str:
    """Of a model.json: what was measured in which shots. Equal texts mean errors of the same frames, seen by
    whichever cameras."""
    return json.dumps(held_shots(facts), sort_keys=True)


def held_shots(facts: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Of a model.json: by validation shot its frames, its cache, and how many vertices count in its error."""
    shots = (facts.get("validation") or {}).get("shots") or {}
    files = (facts.get("training") or {}).get("fingerprints") or {}
    counted = facts.get("animated_count")
    return {
        shot: [told.get("frames"), (files.get(shot) or {}).get("cache"), counted]
        for shot, told in shots.items()
    }
