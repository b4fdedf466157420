"""Nodes: the living machines of the cluster, as Ray names and counts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

GB = 1e9


def alive_nodes() -> list[dict[str, Any]]:
    """Resources of each living machine ("CPU", "GPU", "memory" in bytes), and Ray's id of it as "NodeID"."""
    import ray

    return [{**n["Resources"], "NodeID": n["NodeID"]} for n in ray.nodes() if n["Alive"]]


def gpu_nodes(nodes: Sequence[Mapping[str, Any]]) -> set[str]:
    """Ids of the machines with a GPU."""
    return {str(node["NodeID"]) for node in nodes if node.get("GPU")}


def largest_memory_gb(nodes: Sequence[Mapping[str, Any]]) -> float:
    """Memory of the largest machine."""
    return max((node.get("memory", 0.0) for node in nodes), default=0.0) / GB


def not_on(nodes: Iterable[str]) -> dict[str, str]:
    """A label selector for all machines but those of these ids."""
    return {"ray.io/node-id": f"!in({','.join(sorted(nodes))})"}
