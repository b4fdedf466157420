"""Placement: the processors that a task asks the cluster for."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.errors import NoSuchResources
from jobs.nodes import GB
from jobs.records import Options

LEAST_STREAMS, MOST_STREAMS = 4, 16
"""Shots that share a GPU, for one shot's decoding would keep it waiting; Ray only counts, it does not
divide."""
TRAINING_CPUS_BESIDE_GPU = 2.0


@dataclass(frozen=True)
class Placement:
    """What one task reserves."""

    cpus: float
    gpus: float
    decode_apart: bool = False

    @property
    def threads(self) -> int:
        """Threads that the task may use: what it reserves, and at least one."""
        return max(1, int(self.cpus))

    def __str__(self) -> str:
        text = f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")
        return text + (", decoding on a machine without GPU" if self.decode_apart else "")


def placement(stage: str, options: Options, nodes: Sequence[Mapping[str, float]]) -> Placement:
    """What a task of this stage reserves on a cluster of these nodes.

    Training takes a whole GPU, or without one every processor of the largest machine; a shot takes one
    processor, and to be solved a share of a GPU where there is one. Where there are machines with GPUs
    and others without, those without decode. `options` overrides.

    Args:
        nodes: resources of each living machine, as Ray names them ("CPU", "GPU").

    Raises:
        NoSuchResources: no machine has that much, even when idle.
    """
    most_gpus = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    gpus = options.gpus
    if stage in ("ingest", "export", "review"):
        gpus = 0.0
    elif gpus is None:
        share = 1.0 if stage == "train" else 1 / _streams(nodes)
        gpus = share if most_gpus else 0.0
    memory = GB * (options.memory or 0.0)
    suited = [
        node
        for node in nodes
        if node.get("GPU", 0.0) >= gpus and node.get("memory", math.inf) >= memory
    ]
    most_cpus = max((node.get("CPU", 0.0) for node in suited), default=0.0)
    cpus = options.cpus
    if cpus is None:
        if stage != "train":
            cpus = 1.0
        elif gpus:
            cpus = min(TRAINING_CPUS_BESIDE_GPU, most_cpus)
        else:
            cpus = most_cpus
    decoders = any(node.get("CPU", 0.0) >= 1 and not node.get("GPU") for node in nodes)
    wanted = Placement(cpus, gpus, decode_apart=stage == "infer" and gpus > 0 and decoders)
    if not suited or cpus > most_cpus or cpus <= 0:
        raise NoSuchResources(
            f"a {stage} task asks for {wanted}"
            + (f" and {options.memory:g} GB" if options.memory else "")
            + f"; the cluster's machines have {_offered(nodes)}",
            remedy="ask for less with --cpus, --gpus or --memory, or add such a machine",
        )
    return wanted


def fits(
    place: Placement,
    nodes: Sequence[Mapping[str, Any]],
    without: Collection[str] = (),
    *,
    memory_gb: float | None = None,
) -> bool:
    """Whether a machine other than those could take the task, when idle, with so much memory reserved."""
    return any(
        node.get("CPU", 0.0) >= place.cpus
        and node.get("GPU", 0.0) >= place.gpus
        and node.get("memory", math.inf) >= GB * (memory_gb or 0.0)
        for node in nodes
        if node["NodeID"] not in without
    )


def _streams(nodes: Sequence[Mapping[str, float]]) -> int:
    """Shots at once on each GPU, so that every processor that decodes feeds one."""
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    decoders = sum(node.get("CPU", 0.0) for node in nodes if not node.get("GPU"))
    if not gpus:
        return 1
    beside = min(node.get("CPU", 0.0) / node["GPU"] for node in nodes if node.get("GPU"))
    wanted = math.ceil(decoders / gpus) if decoders else LEAST_STREAMS
    return max(1, min(MOST_STREAMS, max(LEAST_STREAMS, wanted), int(max(1, beside))))


def _offered(nodes: Sequence[Mapping[str, float]]) -> str:
    if not nodes:
        return "nothing yet"
    kinds: dict[str, int] = {}
    for node in nodes:
        kind = f"{node.get('CPU', 0.0):g} CPU and {node.get('GPU', 0.0):g} GPU"
        if "memory" in node:
            kind += f" and {node['memory'] / GB:.1f} GB"
        kinds[kind] = kinds.get(kind, 0) + 1
    return "; ".join(f"{count} x {kind}" for kind, count in kinds.items())
