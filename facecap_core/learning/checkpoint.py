"""Checkpoint: the state from which a killed training goes on as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from facecap_core.files import remove_partials, write_bytes_atomically


@dataclass
class Position:
    """How far a run is, besides its tensors."""

    key: str  # identity of configuration and data: another run's state is never resumed
    step: int = 0
    seconds: float = 0.0
    epoch_loss: float = 0.0  # sum of losses times frames since the last line of the history
    epoch_frames: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    path: Path,
    position: Position,
    network: torch.nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    average: list[torch.Tensor] | None,
) -> None:
    """Write the whole state as one file, atomically; `average` has a tensor a parameter, in their order.

    Raises:
        StoreError: it cannot be written.
    """
    tensors = {}
    for i, (name, parameter) in enumerate(network.named_parameters()):
        tensors[f"network/{name}"] = parameter.detach()
        for optimizer in optimizers:
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value
        if average is not None:
            tensors[f"average/{name}"] = average[i]
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    state = save(tensors, {"position": json.dumps(vars(position))})
    write_bytes_atomically(path, state, new_folders=False)


def load_checkpoint(
    path: Path,
    key: str,
    network: torch.nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    average: list[torch.Tensor] | None,
) -> Position | None:
    """Restore the state in place; None where there is none, or it belongs to another run.

    A training has one process at a time: what a dead one left half written is removed.
    """
    remove_partials(path.parent)
    try:
        with safe_open(path, framework="pt") as file:
            position = Position(**json.loads(file.metadata()["position"]))
            if position.key != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    with torch.no_grad():
        for i, (name, parameter) in enumerate(network.named_parameters()):
            parameter.copy_(tensors[f"network/{name}"])
            prefix = "optimizer/"
            state = {
                entry[len(prefix) : -len(name) - 1]: value
                for entry, value in tensors.items()
                if entry.startswith(prefix) and entry.endswith("/" + name)
            }
            for optimizer in optimizers:
                if state and _has(optimizer, parameter):
                    optimizer.state[parameter] = {
                        entry: _placed(value, parameter) for entry, value in state.items()
                    }
            if average is not None:
                average[i].copy_(tensors[f"average/{name}"])
    return position


def _has(optimizer: torch.optim.Optimizer, parameter: torch.Tensor) -> bool:
    return any(p is parameter for group in optimizer.param_groups for p in group["params"])


def _placed(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """An optimizer's tensor as it was: its kernel takes the parameter's memory layout for granted."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter).copy_(value)
