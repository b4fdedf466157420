"""Camera shares: how much of what a network of several cameras puts out each of them decides."""

from __future__ import annotations

import torch

from facecap_core.learning.examples import Examples
from facecap_core.learning.run import Run

FRAMES = 64
LEAST_SHARE = 0.01  # one that decides less might as well not be there


def camera_shares(run: Run) -> list[float]:
    """Of each camera: how far the result goes when it shows another frame than the others, as a share of how far
    it goes when all of them show that frame. Near 0: its pictures do not matter.

    A network can learn from one camera alone and let the layers of another fall silent for good: a ReLU that
    is 0 for every picture has no gradient either. The errors do not tell.
    """
    training = run.training
    some = torch.linspace(0, len(training) - 1, min(FRAMES, len(training))).long()
    luma = training.luma[some.to(training.luma.device)]
    other = torch.randperm(len(some), generator=torch.Generator().manual_seed(0)).to(luma.device)
    result = _solved(run, luma)
    whole = (result[other] - result).square().mean().sqrt()
    if not whole > 0:
        return [0.0] * training.views
    shares = []
    for view in range(training.views):
        mixed = luma.clone()
        mixed[:, view] = luma[other, view]
        change = (_solved(run, mixed) - result).square().mean().sqrt()
        shares.append(float(change / whole))
    return shares


def _solved(run: Run, luma: torch.Tensor) -> torch.Tensor:
    """float32 [frame, 3 * vertex]."""
    examples = Examples(luma, run.training.positions[: len(luma)], ())
    return torch.cat([predicted.float() for predicted, _ in run.predict(examples)])
