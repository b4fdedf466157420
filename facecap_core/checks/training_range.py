"""Training range: whether what a model is validated on lies within what it is trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.finding import Finding
from facecap_core.productions.composition import PAPER_PARTS, Composition

CHECK = "training range"
COMPOSITION_CHECK = "composition"
COMPONENTS = 20
WORST_PERCENTILE = 95.0
LEAST_MM = 1.0  # root mean square over vertices
LEAST_PART = 0.25  # of how far the poses of the training set are from their mean
LEAST_SHARE = 0.5  # of the minutes that the paper has of a part


def beyond_mm(poses: NDArray[np.float64], trained: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each pose is from the nearest that stays within the training set's ranges, in mm.

    The ranges are those of its first principal components; what no component has counts too. Both
    are positions [frame, vertex, xyz] in mm; the result [frame] is a root mean square over vertices.
    """
    flat = trained.reshape(len(trained), -1)
    mean = flat.mean(0)
    _, _, axes = np.linalg.svd(flat - mean, full_matrices=False)
    axes = axes[:COMPONENTS]
    inside = (flat - mean) @ axes.T
    asked = poses.reshape(len(poses), -1) - mean
    nearest = np.clip(asked @ axes.T, inside.min(0), inside.max(0)) @ axes
    return np.sqrt(np.square(asked - nearest).mean(1) * 3)


def check_range(
    actor: str, trained: NDArray[np.float64], validated: Mapping[str, NDArray[np.float64]]
) -> list[Finding]:
    """Validation shots with poses that the training set lacks, poses [frame, vertex, xyz] in mm."""
    findings = []
    spread = float(np.sqrt(np.square(trained - trained.mean(0)).mean() * 3))
    for name, poses in validated.items():
        beyond = float(np.percentile(beyond_mm(poses, trained), WORST_PERCENTILE))
        if beyond >= max(LEAST_MM, LEAST_PART * spread):
            message = (
                f"it has poses {beyond:.1f} mm outside of what the training set has "
                f"(whose poses are {spread:.1f} mm from their mean)"
            )
            remedy = "track footage like it for training, or its error says little about the others"
            findings.append(Finding(CHECK, actor, name, "", beyond, "mm", message, remedy))
    return findings


def check_composition(composition: Composition) -> list[Finding]:
    """Parts of the paper's training set of which there is some, and less than half."""
    findings = []
    for part in PAPER_PARTS:
        minutes = composition.total_minutes("train", part.categories)
        if 0 < minutes < LEAST_SHARE * part.paper_minutes:
            message = (
                f"{minutes:.1f} min of {' and '.join(part.categories)} to train on, "
                f"the paper has {part.paper_minutes:g}"
            )
            remedy = "track more of it for lower errors"
            findings.append(
                Finding(
                    COMPOSITION_CHECK, composition.actor, "", "", minutes, "min", message, remedy
                )
            )
    return findings
