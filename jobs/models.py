"""Models: the trained models that the store holds, as their model.json says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facecap_core.errors import ModelError
from facecap_core.fingerprints import fingerprint_weights, short_fingerprint
from facecap_core.learning.validated import validated_on
from facecap_core.names import nearest, some_of
from facecap_core.stores.manifests import listed_sha256
from facecap_core.stores.paths import StorePaths


@dataclass(frozen=True)
class ModelSummary:
    """What a list of models shows."""

    model: str
    actor: str
    cameras: tuple[str, ...]
    preset: str
    date: str
    validation_rmse_mm: float | None
    mean_shape_rmse_mm: float | None
    training_frames: int | None
    seconds: float | None
    device: str
    calibration: str = ""  # its fingerprint; empty: what the model solves has no confidence
    base: str = ""  # the model that it was tuned from, where there was one
    stabilised_input: bool = False
    units: str = ""  # of what it puts out
    validated_on: str = ""  # see the function of this name


def list_models(store: Path, actors: Iterable[str]) -> list[ModelSummary]:
    """Every readable model of these actors, the newest first."""
    found = []
    for actor in actors:
        for path in StorePaths(store).models(actor).glob("*/model.json"):
            if path.parent.name.startswith("."):
                continue
            try:
                found.append(_summary(path, actor))
            except (OSError, ValueError, TypeError, AttributeError, IndexError):
                continue  # in the making, or another version's; naming it raises ModelError
    return sorted(found, key=lambda model: (model.date, model.model), reverse=True)


def model_facts(store: Path, actor: str, model: str) -> dict[str, Any]:
    """The whole of a model's model.json."""
    facts: dict[str, Any] = json.loads(
        (StorePaths(store).model(actor, model) / "model.json").read_text(encoding="utf-8")
    )
    return facts


def weights_of(store: Path, actor: str, model: str) -> str | None:
    """The fingerprint of a model's weights, which another training under the same name changes; None where there
    are none."""
    folder = StorePaths(store).model(actor, model)
    listed = listed_sha256(folder, "weights.safetensors")  # they are not read at each look at a job
    if listed is not None:
        return short_fingerprint(listed)
    with suppress(ModelError):  # models of version 0.1 have no manifest
        return fingerprint_weights(folder)
    return None


def choose_model(store: Path, actor: str, model: str | None) -> ModelSummary:
    """The named model of an actor (a unique beginning will do); None: the newest.

    Raises:
        ModelError: there is none, or no such one.
    """
    models = list_models(store, [actor])
    if not models:
        raise ModelError(f"{actor} has no model yet", remedy=f"farm submit train --actor {actor}")
    if model is None:
        return models[0]
    matching = [m for m in models if m.model == model] or [
        m for m in models if m.model.startswith(model)
    ]
    if len(matching) == 1:
        return matching[0]
    if matching:
        could_be = some_of(m.model for m in matching)
        raise ModelError(f"{model!r} could be {could_be}", remedy="write more of its name")
    names = [m.model for m in models]
    raise ModelError(
        f"{actor} has no model {model!r}; it has {some_of(names)}", remedy=_remedy(model, names)
    )


def better_base(model: ModelSummary, models: Iterable[ModelSummary]) -> ModelSummary | None:
    """The best one of these that the model was tuned from, or its base was, and so on, where its error on
    the same validation frames is lower than the model's."""
    known = {other.model: other for other in models if other.actor == model.actor}
    best, error_mm, base = None, model.validation_rmse_mm, known.pop(model.base, None)
    while base is not None and error_mm is not None:
        alike = base.validated_on == model.validated_on
        if alike and base.validation_rmse_mm is not None and base.validation_rmse_mm < error_mm:
            best, error_mm = base, base.validation_rmse_mm
        base = known.pop(base.base, None)  # each once, whatever the files say
    return best


def _remedy(model: str, names: list[str]) -> str:
    match = nearest(model, names)
    return f"did you mean {match!r}?" if match else "leave the name out for the newest"


def _summary(path: Path, actor: str) -> ModelSummary:
    facts = json.loads(path.read_text(encoding="utf-8"))
    validation, made = facts.get("validation") or {}, facts.get("made") or {}
    return ModelSummary(
        model=path.parent.name,  # what is written inside could name another folder
        actor=actor,
        cameras=tuple(str(camera) for camera in facts["cameras"]),
        preset=str(facts.get("preset", "")),
        date=str(made.get("date", "")),
        validation_rmse_mm=_number(validation.get("rmse_mm")),
        mean_shape_rmse_mm=_number(validation.get("mean_shape_rmse_mm")),
        training_frames=(facts.get("training") or {}).get("frames"),
        seconds=_number(made.get("seconds")),
        device=str(made.get("device", "")),
        calibration=str((facts.get("confidence") or {}).get("fingerprint", "")),
        base=str(((facts.get("training") or {}).get("base") or {}).get("model", "")),
        stabilised_input=bool((facts.get("config") or {}).get("stabilised_input")),
        units=str(facts.get("units", "")),
        validated_on=validated_on(facts),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None
