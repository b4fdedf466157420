"""Final figures: the errors of a finished network, which model.json tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from facecap_core.learning.examples import Examples
from facecap_core.learning.rmse import baselines_mm, per_frame_rmse_mm, pooled_rmse_mm
from facecap_core.learning.run import Run
from facecap_core.units import MM_PER_CM


def final_figures(run: Run, animated: np.ndarray) -> dict[str, Any]:
    """Errors in mm of the finished network, over the animated vertices int64 [n], and the baselines beside them.

    From here on the network has the averaged weights, where there are some.
    """
    run.use_average()
    results: dict[str, Any] = {"training": _errors(run, run.training, animated)}
    if run.validation is None:
        results["validation"] = {"shots": {}, "frames": 0}
        return results
    validation = _errors(run, run.validation, animated)
    mean_shape, floor = baselines_mm(
        run.basis,
        run.validation.positions,
        animated=torch.from_numpy(animated),
        mm_per_unit=MM_PER_CM,
    )
    results["validation"] = {
        **validation,
        "mean_shape_rmse_mm": mean_shape,
        "pca_floor_rmse_mm": floor,
        "pca_components": run.config.network.components,
    }
    return results


def _errors(run: Run, examples: Examples, animated: np.ndarray) -> dict[str, Any]:
    errors = np.concatenate(
        [
            per_frame_rmse_mm(
                predicted.reshape(len(target), -1, 3).float().cpu().numpy(),
                target.reshape(len(target), -1, 3).cpu().numpy(),
                animated=animated,
                mm_per_unit=MM_PER_CM,
            )
            for predicted, target in run.predict(examples)
        ]
    )
    shots, start = {}, 0
    for shot, frames in examples.shots:
        part = errors[start : start + frames]
        shots[shot] = {"frames": frames, "rmse_mm": pooled_rmse_mm(part)}
        start += frames
    corrected = {}
    if len(examples.corrected):
        part = errors[examples.corrected.numpy()]
        corrected = {"corrected_frames": len(part), "corrected_rmse_mm": pooled_rmse_mm(part)}
    return {
        "shots": shots,
        "frames": len(examples),
        **corrected,
        "rmse_mm": pooled_rmse_mm(errors),  # as the loss pools them
        "frame_mean_mm": float(errors.mean()),  # the plain mean of Figure 6's curve
    }
