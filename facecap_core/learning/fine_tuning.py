"""Fine-tuning: a training that starts from a model's weights, in a fraction of the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from facecap_core.errors import ModelError
from facecap_core.learning.config import TrainConfig, overridden, parse

EPOCHS = 1 / 8  # of the base's
RATE = 0.3  # of the base's peak: benchmarks/correction.py
LEAST_RAMPUP = 0.1
# A network of other values has other weights; what is not here (dropout, ...) may be changed.
ARCHITECTURE = ("kind", "input_size", "stem", "channels", "refine", "components")
FULLY_CONNECTED = ("image_components", "hidden")


def fine_tuned(base: Mapping[str, Any], overrides: Iterable[str] = ()) -> TrainConfig:
    """The settings of a training that starts from a model: its own, an eighth of the epochs, a lower rate.

    Args:
        base: the model's model.json. A model that was fine-tuned itself hands its settings on as they are.
        overrides: such as `schedule.epochs=4`, on top.

    Raises:
        ConfigError: an unknown setting, or a value out of range.
    """
    values = parse(base["config"]).model_dump(mode="json")
    if "base" not in base.get("training", {}):
        schedule, optimizer = values["schedule"], values["optimizer"]
        schedule["kind"] = "cosine"  # that of the paper is made for a start from nothing
        schedule["epochs"] *= EPOCHS
        schedule["learning_rate"] *= RATE
        schedule["rampup_epochs"] = min(schedule["rampup_epochs"], LEAST_RAMPUP)
        optimizer["muon_learning_rate"] *= RATE
        values["augmentation"]["ramp_epochs"] = 0.0
    return parse(overridden(values, overrides))


def check_base(base: Mapping[str, Any], config: TrainConfig, facts: Mapping[str, Any]) -> None:
    """Refuse a base whose weights would mean something else in the model to be made.

    Args:
        base: its model.json. facts: what the new model's will say of cameras, crop, mesh and units.

    Raises:
        ModelError: with everything that differs.
    """
    before = parse(base["config"])
    told = {"cameras": "cameras", "topology_sha256": "the template's topology", "units": "units"}
    differs = [
        f"{words} ({_of(base, facts, key)})"
        for key, words in told.items()
        if base.get(key) != facts[key]
    ]
    if not differs and {c: list(v) for c, v in base["crop"].items()} != facts["crop"]:
        differs.append(f"crop ({base['crop']}, now {facts['crop']})")
    names = ARCHITECTURE + (FULLY_CONNECTED if before.network.kind == "fully-connected" else ())
    differs += [
        f"network.{name}"
        for name in names
        if getattr(before.network, name) != getattr(config.network, name)
    ]
    if bool(before.network.view_dropout) != bool(config.network.view_dropout):
        differs.append("network.view_dropout, whether there is any")
    pictures = ("whitening", "stabilised_input", "targets")
    differs += [name for name in pictures if getattr(before, name) != getattr(config, name)]
    if differs:
        raise ModelError(
            f"{base['model']} differs in {', '.join(differs)}",
            remedy="start from a model that is alike in these, or train without --from",
        )


def _of(base: Mapping[str, Any], facts: Mapping[str, Any], key: str) -> str:
    if key == "topology_sha256":
        return "another mesh"
    return f"{_listed(base.get(key))}, now {_listed(facts[key])}"


def _listed(value: Any) -> str:
    return " and ".join(value) if isinstance(value, list) else str(value)
