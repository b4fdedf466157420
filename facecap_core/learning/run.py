"""Run: the tensors of a training, and one step of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from facecap_core.learning.augment import augment, draw
from facecap_core.learning.basis import Basis, compute_basis
from facecap_core.learning.checkpoint import Position, load_checkpoint
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.model import autocast
from facecap_core.learning.muon import Muon
from facecap_core.learning.network import Network
from facecap_core.learning.schedule import augmentation_strength, beta1, learning_rate
from facecap_core.learning.trainingset import Examples
from facecap_core.learning.whitening import Whitening, compute_whitening

VALIDATION_BATCH = 64
MM_PER_CM = 10.0


class Run:
    """The tensors of a run: data, network, optimizer, averaged weights."""

    def __init__(
        self,
        training: Examples,
        validation: Examples | None,
        config: TrainConfig,
        animated: np.ndarray,
        device: torch.device,
    ) -> None:
        self.training, self.validation = training, validation
        self.animated = torch.from_numpy(animated).to(device)
        self.config, self.device = config, device
        self.whitening: Whitening = compute_whitening(training.luma)
        self.basis: Basis = compute_basis(training.positions, config.network.components)
        self.network = Network(config.network, training.positions.shape[1])
        basis = Basis(*(part.cpu() for part in vars(self.basis).values()))
        self.network.initialise(config.network, basis, config.seed)
        self.network.place(device)
        self.optimizers = _optimizers(self.network, config)
        self.average: list[torch.Tensor] | None = None
        if config.optimizer.average:
            self.average = [p.detach().clone() for p in self.network.parameters()]
        self.position = Position("")

    @property
    def steps(self) -> int:
        return math.ceil(len(self.training) * self.config.schedule.epochs / self.config.batch)

    def epoch(self, step: int) -> float:
        """Progress in epochs; the last batch may reach beyond the end."""
        return min(step * self.config.batch / len(self.training), self.config.schedule.epochs)

    def restore(self, path: Path, key: str) -> None:
        found = load_checkpoint(path, key, self.network, self.optimizers, self.average)
        self.position = found or Position(key)

    def step(self, step: int, indices: torch.Tensor) -> torch.Tensor:
        """One update from the frames `indices`; the loss, still on the device."""
        config, epoch = self.config, self.epoch(step)
        torch.manual_seed(mixed_seed(config.seed, 2, step))  # dropout
        draws = draw(
            len(indices),
            config.augmentation,
            augmentation_strength(epoch, config.augmentation),
            torch.Generator().manual_seed(mixed_seed(config.seed, 1, step)),
        )
        luma = self.training.luma[indices]
        images = self.whitening(augment(luma, draws, self.whitening.mean))[:, None]
        images = images.contiguous(memory_format=torch.channels_last)
        for optimizer in self.optimizers:
            _set_rates(optimizer, epoch, config)
        with autocast(self.device):
            predicted = self.network(images)
        loss = torch.nn.functional.mse_loss(predicted, self.training.positions[indices])
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            # Young averages forget faster, or the random start would stay in them for long.
            weight = 1 - min(config.optimizer.average, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(self.average, list(self.network.parameters()), weight)
        return loss.detach()

    def predict(self, examples: Examples) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of (predicted, target) [frame, 3 * vertex] without augmentation or dropout."""
        self.network.eval()
        with torch.inference_mode(), autocast(self.device):
            for luma, target in zip(
                examples.luma.split(VALIDATION_BATCH),
                examples.positions.split(VALIDATION_BATCH),
                strict=True,
            ):
                images = self.whitening(luma)[:, None]
                yield self.network(images.contiguous(memory_format=torch.channels_last)), target
        self.network.train()

    def validate(self) -> tuple[float | None, float | None]:
        """Mean loss in cm² over all coordinates, and RMSE in mm over the animated vertices; with the
        averaged weights where there are some."""
        if self.validation is None:
            return None, None
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self._swap_average()
        for predicted, target in self.predict(self.validation):
            squares = (predicted - target).square().reshape(len(target), -1, 3)
            sums[0] += squares.mean((1, 2)).double().sum()
            sums[1] += squares[:, self.animated].sum(2).mean(1).double().sum()
        self._swap_average()
        loss_cm2, square_cm2 = (sums / len(self.validation)).tolist()
        return loss_cm2, MM_PER_CM * math.sqrt(square_cm2)

    def use_average(self) -> None:
        """From here on the network has the averaged weights."""
        self._swap_average()

    def final_weights(self) -> dict[str, torch.Tensor]:
        return self.network.state_dict()

    def _swap_average(self) -> None:
        if self.average is not None:
            with torch.no_grad():
                for parameter, averaged in zip(
                    self.network.parameters(), self.average, strict=True
                ):
                    kept = parameter.detach().clone()
                    parameter.copy_(averaged)
                    averaged.copy_(kept)


def _optimizers(network: Network, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """One for all weights, or Muon for the matrices between first and last layer and Adam for the rest."""
    settings = config.optimizer
    rest = [p for p in network.parameters() if p.requires_grad]
    found: list[torch.optim.Optimizer] = []
    if settings.kind == "muon":
        inner = network.inner_weights()
        rest = [p for p in rest if all(p is not weight for weight in inner)]
        found.append(
            Muon(
                inner,
                lr=settings.muon_learning_rate,
                momentum=settings.muon_momentum,
                weight_decay=settings.weight_decay,
            )
        )
    adam = torch.optim.AdamW(
        rest,
        lr=config.schedule.learning_rate,
        betas=(config.schedule.beta1, settings.beta2),
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    return [*found, adam]


def _set_rates(optimizer: torch.optim.Optimizer, epoch: float, config: TrainConfig) -> None:
    rate, settings = learning_rate(epoch, config.schedule), config.optimizer
    for group in optimizer.param_groups:
        if isinstance(optimizer, Muon):
            group["lr"] = settings.muon_learning_rate * rate / config.schedule.learning_rate
        else:
            group["lr"] = rate
            group["betas"] = (beta1(epoch, config.schedule), settings.beta2)


class Order:
    """Training frames in random order, each once an epoch, as one endless stream."""

    def __init__(self, frames: int, seed: int, device: torch.device) -> None:
        self._frames, self._seed, self._device = frames, seed, device
        self._epochs: dict[int, torch.Tensor] = {}

    def batch(self, start: int, size: int) -> torch.Tensor:
        """Indices of the stream's positions [start, start + size)."""
        parts, position = [], start
        while position < start + size:
            epoch, inside = divmod(position, self._frames)
            count = min(self._frames - inside, start + size - position)
            parts.append(self._epoch(epoch)[inside : inside + count])
            position += count
        return torch.cat(parts).to(self._device)

    def _epoch(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            generator = torch.Generator().manual_seed(mixed_seed(self._seed, 0, epoch))
            self._epochs = {e: order for e, order in self._epochs.items() if e >= epoch - 1}
            self._epochs[epoch] = torch.randperm(self._frames, generator=generator)
        return self._epochs[epoch]


def mixed_seed(*numbers: int) -> int:
    """A 63-bit seed from several numbers, far apart for neighbours."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
