"""Novelty: how far pictures are from those of training as the network sees them, with what it makes of those nearby."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from facecap_core.learning.subspace import find_subspace

DIRECTIONS = 64  # of a network of 2240 features they hold 95 % of the variance
EXAMPLES = 512
NEAREST = 5  # examples to which the distance counts: one alone may happen to be near
NEIGHBOURS = 10  # examples whose errors count
LEAST_ERROR_MM = 1e-6


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Where the pictures of training lie among a network's features, for one camera.

    `mean` float32 [feature]; `directions` [feature, direction], the principal ones, orthonormal columns;
    `scale` [direction]; `examples` [example, direction], scaled coordinates of some training pictures, and
    `log_errors` [example], logarithms of the model's errors on them in mm, which are the same for all cameras.
    """

    mean: torch.Tensor
    directions: torch.Tensor
    scale: torch.Tensor
    examples: torch.Tensor
    log_errors: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, errors_mm: torch.Tensor) -> FeatureSpace:
        """That of training pictures' features float32 [picture, feature] and errors [picture]."""
        found = find_subspace(features, min(DIRECTIONS, max(1, len(features) // 2)))
        directions = found.directions.to(features.dtype).T.contiguous()
        # Half way between the plain distance, which the first directions decide, and Mahalanobis', in which the
        # last ones count as much as an expression: docs/LOG.md, 2026-11-28.
        scale = found.deviation.to(features.dtype).rsqrt()
        mean = found.mean.to(features.dtype)
        some = evenly(len(features), EXAMPLES).to(features.device)
        examples = ((features[some] - mean) @ directions) * scale
        errors = errors_mm.to(examples)[some].clamp(min=LEAST_ERROR_MM)
        return cls(mean, directions, scale, examples, errors.log())

    def squares(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Squared distances of features [picture, feature]: from the subspace [picture], and within it to
        each example [picture, example]."""
        centred = features - self.mean
        along = centred @ self.directions
        outside = centred.square().sum(1) - along.square().sum(1)
        place = along * self.scale
        apart = place.square().sum(1, keepdim=True) - 2 * place @ self.examples.T
        return outside.clamp(min=0), (apart + self.examples.square().sum(1)).clamp(min=0)

    def to(self, device: torch.device) -> FeatureSpace:
        return FeatureSpace(*(part.to(device) for part in vars(self).values()))


def signals(spaces: Sequence[FeatureSpace], features: Sequence[torch.Tensor]) -> torch.Tensor:
    """What tells of errors, from the features of each camera [picture, feature]: float32 [picture, 3].

    The distance from what training spans; that from the nearest examples within it; and the geometric mean of
    the errors of those around, in mm: some expressions are harder than others.
    """
    found = [space.squares(seen) for space, seen in zip(spaces, features, strict=True)]
    outside = torch.stack([one for one, _ in found]).sum(0).sqrt()
    apart = torch.stack([one for _, one in found]).sum(0)
    squares, around = apart.topk(min(NEIGHBOURS, apart.shape[1]), largest=False)
    nearest = squares[:, :NEAREST].sqrt().mean(1)
    errors = spaces[0].log_errors[around].mean(1).exp()
    return torch.stack([outside, nearest, errors], 1)


def evenly(count: int, most: int) -> torch.Tensor:
    """At most `most` of the indices below `count`, evenly spread: int64."""
    if count <= most:
        return torch.arange(count)
    return torch.arange(most) * count // most
