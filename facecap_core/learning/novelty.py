"""Novelty: how far pictures are from those of training as the network sees them, with what it makes of those nearby."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from facecap_core.learning.subspace import find_subspace

DIRECTIONS = 48  # of a network of 2240 features they hold 93 % of the variance
EXAMPLES = 512
NEAREST = 5  # examples to which the distance counts: one alone may happen to be near
NEIGHBOURS = 10  # examples whose errors count; the case whose distance says how far apart cases are
REACH = 0.35  # of that distance, within which the error on a case counts
LEAST_ERROR_MM = 1e-6
LEAST_REACH = 1e-12  # where all cases are the same


@dataclass(frozen=True, eq=False)
class Known:
    """Pictures of which the model's errors are known: features float32 [picture, feature] for one camera, and
    errors in mm [picture]."""

    features: torch.Tensor
    errors_mm: torch.Tensor


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Where the pictures of training lie among a network's features, for one camera.

    `mean` float32 [feature]; `directions` [feature, direction], the principal ones, orthonormal columns;
    `scale` [direction]; `examples` [example, direction], scaled coordinates of some training pictures; `cases`
    [case, direction], those of training pictures as augmentation and faults change them; `log_errors`
    [example + case], logarithms of the model's errors on these in mm, which are the same for all cameras;
    `reach` [], the squared distance within which a case tells of others.
    """

    mean: torch.Tensor
    directions: torch.Tensor
    scale: torch.Tensor
    examples: torch.Tensor
    cases: torch.Tensor
    log_errors: torch.Tensor
    reach: torch.Tensor

    @classmethod
    def of(cls, training: Known, cases: Known) -> FeatureSpace:
        """That of training pictures."""
        features = training.features
        found = find_subspace(features, min(DIRECTIONS, max(1, len(features) // 2)))
        directions = found.directions.to(features.dtype).T.contiguous()
        # Half way between the plain distance, which the first directions decide, and Mahalanobis', in which the
        # last ones count as much as an expression: docs/LOG.md, 2026-11-28.
        scale = found.deviation.to(features.dtype).rsqrt()
        mean = found.mean.to(features.dtype)

        def places(of: torch.Tensor) -> torch.Tensor:
            return ((of - mean) @ directions) * scale

        some = evenly(len(features), EXAMPLES).to(features.device)
        known = places(cases.features)
        errors = torch.cat([training.errors_mm.to(known)[some], cases.errors_mm.to(known)])
        errors = errors.clamp(min=LEAST_ERROR_MM)
        # The first of the nearest is the case itself.
        apart = torch.cdist(known, known).topk(min(NEIGHBOURS + 1, len(known)), largest=False)[0]
        reach = (REACH * apart[:, -1].median()).square().clamp(min=LEAST_REACH)
        return cls(mean, directions, scale, places(features[some]), known, errors.log(), reach)

    def to(self, device: torch.device) -> FeatureSpace:
        return FeatureSpace(*(part.to(device) for part in vars(self).values()))


class Signals:
    """What tells of errors, in the feature spaces of one or several cameras.

    The distance from what training spans; that from the nearest examples within it; and twice the geometric mean
    of the errors around, in mm, as some expressions are harder than others: of cases, near ones counting more,
    and of the nearest examples.
    """

    def __init__(self, spaces: Sequence[FeatureSpace]) -> None:
        self._spaces = spaces
        self._examples = len(spaces[0].examples)
        self._of_examples = spaces[0].log_errors[: self._examples]
        self._of_cases = spaces[0].log_errors[self._examples :]
        self._nearness = -0.5 / float(sum(space.reach for space in spaces))
        known = [torch.cat([space.examples, space.cases]) for space in spaces]
        self._known = [one.T.contiguous() for one in known]
        self._sizes = [one.square().sum(1) for one in known]

    def __call__(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """float32 [picture, 4] from the features of each camera [picture, feature]."""
        outside, size, apart = features[0].new_zeros(3, len(features[0]), 1)
        for space, seen, known, sizes in zip(
            self._spaces, features, self._known, self._sizes, strict=True
        ):
            centred = seen - space.mean
            along = centred @ space.directions
            place = along * space.scale
            outside = outside + _squares(centred) - _squares(along)
            size = size + _squares(place)
            # Less the size, which all examples share.
            apart = apart + torch.addmm(sizes, place, known, alpha=-2)
        near, around = apart[:, : self._examples], apart[:, self._examples :]
        squares, places = near.topk(min(NEIGHBOURS, self._examples), largest=False)
        distances = (squares[:, :NEAREST] + size).clamp(min=0).sqrt()
        return torch.stack(
            [
                outside[:, 0].clamp(min=0).sqrt(),
                distances.mean(1),
                ((around * self._nearness).softmax(1) @ self._of_cases).exp(),
                self._of_examples[places].mean(1).exp(),
            ],
            1,
        )


def _squares(rows: torch.Tensor) -> torch.Tensor:
    """Squared lengths [row, 1]."""
    return torch.linalg.vector_norm(rows, dim=1, keepdim=True).square()


def evenly(count: int, most: int) -> torch.Tensor:
    """At most `most` of the indices below `count`, evenly spread: int64 [n]."""
    if count <= most:
        return torch.arange(count)
    return torch.arange(most) * count // most
