"""Machine: what a figure was measured on, as far as it matters to the figure."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
PACKAGES = ("torch", "ray", "zarr", "av", "numpy", "onnxruntime", "openvino")
BUSY = 0.25
"""Runnable tasks a core at the start from which figures are doubtful."""


def machine() -> dict[str, Any]:
    """Processor, cores, memory, GPU, kernel and versions."""
    known = {"cores": len(os.sched_getaffinity(0)), "memory_gb": round(_memory_gb(), 1)}
    return {
        "processor": _cpu("model name") or platform.machine(),
        **known,
        "flags": [flag for flag in FLAGS if flag in _cpu("flags").split()],
        "gpu": _gpu(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": _versions(),
        "load": round(os.getloadavg()[0], 2),
    }


def name(facts: dict[str, Any]) -> str:
    """What tells one machine's figures from another's."""
    return f"{facts['processor']}, {facts['cores']} cores" + (
        f", {facts['gpu']}" if facts["gpu"] else ""
    )


def busy(facts: dict[str, Any]) -> str:
    """A warning where something else was running at the start; else empty."""
    if facts["load"] <= BUSY * facts["cores"]:
        return ""
    return (
        f"warning: load average {facts['load']} on {facts['cores']} cores before anything began;"
        " ratios of interleaved rounds are still of use, times are not"
    )


def sentence(facts: dict[str, Any]) -> str:
    """The machine in a line, for people."""
    versions = ", ".join(f"{package} {version}" for package, version in facts["versions"].items())
    return (
        f"{name(facts)}, {facts['memory_gb']} GB, {' '.join(facts['flags']) or 'no SIMD flag known'};"
        f" Linux {facts['kernel']}, Python {facts['python']}, {versions}"
    )


def commit() -> str:
    """The commit of the working tree, with `+` where it was changed since; empty outside of one."""
    here = Path(__file__).parent
    try:
        run = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def date() -> str:
    """Today, UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")


def _cpu(field: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == field:
            return value.strip()
    return ""


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _gpu() -> str:
    """The GPU's name and driver; empty without one. No import of torch, which takes seconds."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return answer.stdout.strip().replace("\n", "; ") if answer.returncode == 0 else ""


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    print(sentence(machine()))
