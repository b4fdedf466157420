"""Placement: the processors that a task asks the cluster for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.errors import NoSuchResources
from jobs.records import Options

INFERENCE_GPU_SHARE = 0.25
"""Decoding keeps a GPU waiting, so four shots share one; Ray only counts, it does not divide."""
TRAINING_CPUS_BESIDE_GPU = 2.0


@dataclass(frozen=True)
class Placement:
    """What one task reserves."""

    cpus: float
    gpus: float

    @property
    def threads(self) -> int:
        """Threads that the task may use: what it reserves, and at least one."""
        return max(1, int(self.cpus))

    def __str__(self) -> str:
        return f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")


def placement(stage: str, options: Options, nodes: Sequence[Mapping[str, float]]) -> Placement:
    """What a task of this stage reserves on a cluster of these nodes.

    Training takes a whole GPU, or without one every processor of the largest machine; a shot takes one
    processor, and to be solved a share of a GPU where there is one. `options` overrides.

    Args:
        nodes: resources of each living machine, as Ray names them ("CPU", "GPU").

    Raises:
        NoSuchResources: no machine has that much, even when idle.
    """
    most_gpus = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    gpus = options.gpus
    if stage == "ingest":
        gpus = 0.0
    elif gpus is None:
        share = 1.0 if stage == "train" else INFERENCE_GPU_SHARE
        gpus = share if most_gpus else 0.0
    suited = [node for node in nodes if node.get("GPU", 0.0) >= gpus]
    most_cpus = max((node.get("CPU", 0.0) for node in suited), default=0.0)
    cpus = options.cpus
    if cpus is None:
        if stage != "train":
            cpus = 1.0
        elif gpus:
            cpus = min(TRAINING_CPUS_BESIDE_GPU, most_cpus)
        else:
            cpus = most_cpus
    wanted = Placement(cpus, gpus)
    if not suited or cpus > most_cpus or cpus <= 0:
        raise NoSuchResources(
            f"a {stage} task asks for {wanted}; the cluster's machines have {_offered(nodes)}",
            remedy="ask for less with --cpus or --gpus, or add such a machine",
        )
    return wanted


def _offered(nodes: Sequence[Mapping[str, float]]) -> str:
    if not nodes:
        return "nothing yet"
    kinds: dict[str, int] = {}
    for node in nodes:
        kind = f"{node.get('CPU', 0.0):g} CPU and {node.get('GPU', 0.0):g} GPU"
        kinds[kind] = kinds.get(kind, 0) + 1
    return "; ".join(f"{count} x {kind}" for kind, count in kinds.items())
