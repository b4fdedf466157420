"""Training: from frames and targets to a model (Sections 4.1 and 4.2)."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facecap_core.errors import TrainingError
from facecap_core.files import make_folder
from facecap_core.learning.calibration import calibrate
from facecap_core.learning.camera_shares import LEAST_SHARE, camera_shares
from facecap_core.learning.confidence import Confidence
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.examples import Examples
from facecap_core.learning.final_figures import final_figures
from facecap_core.learning.model import (
    Model,
    choose_device,
    precision,
    save_model,
)
from facecap_core.learning.networks import parameter_count, parts_of
from facecap_core.learning.run import Run
from facecap_core.learning.training_loop import run_through
from facecap_core.progress import OnProgress
from facecap_core.provenance import made
from facecap_core.regions import FaceRegions


@dataclass(frozen=True)
class TrainResult:
    """What came out: `validation_rmse_mm` is nan where there were no validation shots, and without enough of
    their frames the model is not `calibrated`: its results have no confidence. `unused` cameras of several
    decide nothing of what it puts out, see `camera_shares`."""

    directory: Path
    training_rmse_mm: float
    validation_rmse_mm: float
    seconds: float
    calibrated: bool
    unused: tuple[str, ...] = ()


def train(
    training: Examples,
    validation: Examples | None,
    config: TrainConfig,
    *,
    animated: np.ndarray,
    regions: FaceRegions | None = None,
    facts: dict[str, Any],
    model_directory: Path,
    state_directory: Path,
    base: Model | None = None,
    device: str | None = None,
    threads: int | None = None,
    checkpoint_seconds: float | None = None,
    progress_seconds: float = 1.0,
    on_progress: OnProgress | None = None,
) -> TrainResult:
    """Train one network and write its model folder; a killed run goes on when called again.

    One seed decides the run: every random draw is a function of seed and position, so that a resumed
    run on the same kind of device with the same number of threads ends with the same bits.

    Args:
        animated: indices of the vertices that count in errors.
        regions: of the mesh, for losses that weigh them.
        base: a model of the same network and cameras, from whose weights to start; named in
            `facts["training"]`, which decides whether a killed run goes on.
        facts: what model.json says besides what training finds out (actor, crop, units, ...).
        device: "cpu", "cuda", "cuda:1", ...; None takes a GPU where there is one.
        threads: of the CPU; None leaves torch's setting.
        checkpoint_seconds: a killed run loses at most this much; None: fifty times what writing the
            state takes, between 5 and 60.
        progress_seconds: between two calls of `on_progress`.

    Raises:
        ConfigError: the configuration asks for what these data or this mesh do not have.
        TrainingError: the data do not fit, or the loss is not finite.
        StoreError: the model or the state cannot be written.
        Cancelled: `on_progress` answered False; the state is kept.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if len(training) < 2:
        raise TrainingError("fewer than two training frames", remedy="add training shots")
    where = choose_device(device)
    if where.type == "cuda":
        torch.backends.cudnn.deterministic = True  # or a resumed run would end with other bits
    run = Run(
        training.to(where),
        validation and validation.to(where),
        config,
        animated,
        where,
        regions,
        base,
    )
    key = _run_key(config, facts, run, torch.get_num_threads())
    state_path = Path(state_directory) / "state.safetensors"
    make_folder(state_path.parent)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        run.restore(state_path, key)
        run_through(run, state_path, checkpoint_seconds, progress_seconds, on_progress)
        results = final_figures(run, animated)
        facts = {**facts, "vertex_count": training.positions.shape[1] // 3}
        shares: dict[str, float] = {}
        if run.training.views > 1:
            shares = dict(zip(facts["cameras"], camera_shares(run), strict=True))
            facts["camera_shares"] = {camera: round(share, 4) for camera, share in shares.items()}
        confidence = _calibrated(run, facts, animated, on_progress)
    save_model(
        model_directory,
        run.network.state_dict(),
        _model_facts(run, facts, results),
        run.position.history,
        confidence,
    )
    state_path.unlink(missing_ok=True)
    return TrainResult(
        Path(model_directory),
        results["training"]["rmse_mm"],
        results["validation"]["rmse_mm"] if validation else math.nan,
        run.position.seconds,
        confidence is not None,
        tuple(camera for camera, share in shares.items() if share < LEAST_SHARE),
    )


def _model_facts(run: Run, facts: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """All of model.json but its confidence: what the caller knows of the data, what the run found out."""
    return {
        **facts,
        "animated_count": len(run.animated),
        "preset": run.config.preset,
        "config": json.loads(run.config.model_dump_json()),
        "architecture": {
            **parts_of(run.network),
            "parameters": parameter_count(run.network),
            "variance_held": run.captured,
        },
        "whitening": {
            camera: vars(whitening)
            for camera, whitening in zip(facts["cameras"], run.whitening, strict=True)
        },
        "training": {**facts.get("training", {}), **results["training"]},
        "validation": results["validation"],
        "made": {
            **made(),
            "seed": run.config.seed,
            "device": _device_name(run.device),
            "precision": precision(run.device),
            "threads": torch.get_num_threads(),
            "seconds": round(run.position.seconds, 1),
        },
    }


def _calibrated(
    run: Run, facts: dict[str, Any], animated: np.ndarray, on_progress: OnProgress | None
) -> Confidence | None:
    """What the finished network's validation frames say about errors; None without such frames."""
    if run.validation is None:
        return None
    run.network.eval()
    model = Model(run.network, run.config, run.whitening, run.device, facts)
    return calibrate(
        model, run.training, run.validation, animated=animated, on_progress=on_progress
    )


def _run_key(config: TrainConfig, facts: dict[str, Any], run: Run, threads: int) -> str:
    """Identity of everything that decides the weights."""
    told: list[Any] = [
        config.model_dump_json(),
        facts.get("training"),
        [*run.training.shots, *run.training.runs],
        run.training.positions.shape,
        [vars(whitening) for whitening in run.whitening],
        None if run.objective.weights is None else run.objective.weights.tolist(),
        float(run.basis.deviation.sum()),
        run.device.type,
        threads if run.device.type == "cpu" else 0,
    ]
    # A later regions file may pair other vertices. (Without pairs, keys are what they were.)
    told += [
        pairs.tolist() for pairs in (run.objective.lips, run.objective.lids) if pairs is not None
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({os.cpu_count()} cores)"
