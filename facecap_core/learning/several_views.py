"""Several views: one network fed by several cameras, as Section 5.1 proposes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import torch
from torch import nn

from facecap_core.learning.basis import Basis
from facecap_core.learning.config import NetworkConfig
from facecap_core.learning.convolution import convolved
from facecap_core.learning.network import convolutions, start_layers, start_output


class SeveralViews(nn.Module):
    """Whitened images [image, view, y, x] to vertex coordinates [image, 3 * vertex].

    Each camera has convolutions of its own, since each sees the face from elsewhere; their features meet in
    the linear layer to the coefficients. With view dropout there is one such layer for each set of
    cameras that may be present (`sets`): what to believe of one camera depends on which others there are.
    """

    def __init__(self, config: NetworkConfig, outputs: int, views: int) -> None:
        super().__init__()
        self.views = views
        trunks = [convolutions(config) for _ in range(views)]
        self.features = nn.ModuleList(layers for layers, _ in trunks)
        self.drop = nn.Dropout(config.dropout)
        flat = trunks[0][1]
        self.sets = list(view_sets(views)) if config.view_dropout else [tuple(range(views))]
        self.fc = nn.ModuleDict(
            {_key(chosen): nn.Linear(flat * len(chosen), config.components) for chosen in self.sets}
        )
        self.output = nn.Linear(config.components, outputs)

    def forward(self, images: torch.Tensor, present: Sequence[int] | None = None) -> torch.Tensor:
        """`present` says which cameras the images are of, in ascending order; None: all."""
        chosen = tuple(range(self.views)) if present is None else tuple(present)
        joined = self.drop(torch.cat(self._seen(images, chosen), dim=1))
        with torch.autocast(joined.device.type, enabled=False):  # as in Network
            return self.output(self.fc[_key(chosen)](joined.float()))

    def every_set(self, images: torch.Tensor) -> torch.Tensor:
        """What each of `sets` says of images of all cameras [image, view, y, x]: [set, image, 3 * vertex].

        The convolutions, nearly all of the work, are done once.
        """
        seen = self._seen(images, range(self.views))
        joined = self.drop(torch.cat(seen, dim=1))
        with torch.autocast(joined.device.type, enabled=False):
            of_view = joined.float().split([features.shape[1] for features in seen], dim=1)
            coefficients = [
                self.fc[_key(chosen)](torch.cat([of_view[view] for view in chosen], dim=1))
                for chosen in self.sets
            ]
            return self.output(torch.stack(coefficients))

    def _seen(self, images: torch.Tensor, chosen: Sequence[int]) -> list[torch.Tensor]:
        """Features [image, feature] of each camera's images."""
        return [
            convolved(self.features[view], images[:, place : place + 1]).flatten(1)  # type: ignore[arg-type]
            for place, view in enumerate(chosen)
        ]

    def initialise(self, config: NetworkConfig, basis: Basis, seed: int) -> None:
        """As Network's."""
        generator = torch.Generator().manual_seed(seed)
        for trunk in self.features:
            start_layers(trunk, generator)  # type: ignore[arg-type]
        start_layers(self.fc.values(), generator)
        start_output(self.output, config, basis, generator)

    def inner_weights(self) -> list[torch.Tensor]:
        """Weights of the layers between the first ones and the output layer."""
        found: list[torch.Tensor] = []
        for trunk in self.features:
            found += [p for p in trunk.parameters() if p.ndim > 1][1:]
        return found + [p for p in self.fc.parameters() if p.ndim > 1]


def view_sets(views: int) -> Iterator[tuple[int, ...]]:
    """Every set of cameras that is not empty, small ones first."""
    for size in range(1, views + 1):
        yield from combinations(range(views), size)


def set_chances(views: int, missing: float) -> list[float]:
    """How often just the cameras of each set are there, in the order of `view_sets`, if each is missing with this
    probability; if all are, none counts as missing."""
    chances = [
        (1 - missing) ** len(there) * missing ** (views - len(there)) for there in view_sets(views)
    ]
    chances[-1] += missing**views
    return chances


def _key(views: tuple[int, ...]) -> str:
    return "-".join(map(str, views))
