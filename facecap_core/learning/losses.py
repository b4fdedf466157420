"""Losses: what training makes small (Section 4.2, Appendix A.1), with the terms that Section 5.3 asks for."""

from __future__ import annotations

import torch

from facecap_core.errors import ConfigError
from facecap_core.learning.affine_loss import affine_invariant_loss
from facecap_core.learning.config import LossConfig
from facecap_core.names import did_you_mean
from facecap_core.regions import FaceRegions

STILL_PART = 0.1  # of the mean deviation: so much weight a vertex has that never moves


class Objective:
    """The loss of a configuration, for meshes of one topology."""

    def __init__(
        self,
        config: LossConfig,
        *,
        regions: FaceRegions | None,
        deviation: torch.Tensor,
    ) -> None:
        """`deviation` [vertex] of the training targets, on the device of training.

        Raises:
            ConfigError: a term needs a region, or pairs of vertices, that the mesh is not known to have.
        """
        self.config = config
        self.plain = config == LossConfig()
        self.weights = _weights(config, regions, deviation)
        self.lips = _pairs("lips", config.lips, regions and regions.lip_pairs, deviation.device)
        self.lids = _pairs("lids", config.lids, regions and regions.lid_pairs, deviation.device)

    def __call__(
        self, predicted: torch.Tensor, target: torch.Tensor, pairs: int = 0
    ) -> torch.Tensor:
        """A scalar, in cm², of meshes [frame, 3 * vertex]; the last `pairs` are neighbours of the first.

        With no further term this is the mean over coordinates of the squared error, Section 4.2.
        """
        config = self.config
        if config.kind == "affine-invariant":
            loss = affine_invariant_loss(predicted, target, self.weights)
        else:
            loss = self._mean_square(predicted - target)
        if config.motion and pairs:
            # Karras et al. 2017, "Audio-driven facial animation": the change between two frames counts too.
            wrong = predicted - target
            loss = loss + config.motion * self._mean_square(wrong[-pairs:] - wrong[:pairs])
        for weight, across in ((config.lips, self.lips), (config.lids, self.lids)):
            if across is not None:
                wrong = apertures(predicted, across) - apertures(target, across)
                loss = loss + weight * wrong.square().mean()
        return loss

    def _mean_square(self, difference: torch.Tensor) -> torch.Tensor:
        if self.weights is None:
            return difference.square().mean()
        squares = difference.square().reshape(len(difference), -1, 3).mean((0, 2))
        return (squares * self.weights).mean()


def apertures(positions: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """Distances [frame, pair] between the two vertices of each pair, of meshes [frame, 3 * vertex]."""
    points = positions.reshape(len(positions), -1, 3)[:, pairs]
    # The root's slope is infinite where lips touch.
    return ((points[:, :, 0] - points[:, :, 1]).square().sum(2) + 1e-8).sqrt()


def vertex_deviation(positions: torch.Tensor) -> torch.Tensor:
    """How far each vertex strays from its mean, root mean square, [vertex]; meshes [frame, 3 * vertex]."""
    mean = torch.zeros(positions.shape[1], dtype=torch.float64, device=positions.device)
    for block in positions.split(1024):
        mean += block.double().sum(0)
    mean /= len(positions)
    squares = torch.zeros_like(mean)
    for block in positions.split(1024):
        squares += (block - mean).square().sum(0)
    return (squares / len(positions)).reshape(-1, 3).sum(1).sqrt().float()


def _weights(
    config: LossConfig, regions: FaceRegions | None, deviation: torch.Tensor
) -> torch.Tensor | None:
    """Weights [vertex] of mean 1; None: all alike."""
    if not config.regions and not config.by_motion:
        return None
    weights = torch.ones_like(deviation)
    if config.by_motion:
        if not float(deviation.max()) > 0:
            raise ConfigError(
                "loss.by_motion: no vertex of the training targets ever moves",
                remedy="leave it out, or train on shots in which the face moves",
            )
        weights = (deviation + STILL_PART * deviation.mean()) ** config.by_motion
        weights = weights / weights.mean()
    groups = regions.groups if regions is not None else {}
    for name, weight in config.regions.items():
        if name not in groups or not len(groups[name]):
            raise ConfigError(
                f"loss.regions: the mesh has no region {name!r}",
                remedy=did_you_mean(name, [known for known in groups if len(groups[known])])
                if groups
                else "list the regions in a file: farm regions --help",
            )
        weights[torch.from_numpy(groups[name]).to(weights.device)] *= weight
    if not float(weights.sum()) > 0:
        raise ConfigError("loss.regions leaves no vertex any weight", remedy="give one a weight")
    return weights / weights.mean()


def _pairs(name: str, weight: float, pairs: object, device: torch.device) -> torch.Tensor | None:
    if not weight:
        return None
    if pairs is None or not len(pairs):  # type: ignore[arg-type]
        raise ConfigError(
            f"loss.{name}: it is not known which vertices of the {name} lie opposite each other",
            remedy="list the pairs in a file: farm regions --help",
        )
    return torch.as_tensor(pairs, device=device)
