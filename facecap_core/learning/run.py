"""Run: the tensors of a training, and one step of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from facecap_core.learning.augment import Draws, augment, draw
from facecap_core.learning.basis import Basis, compute_basis
from facecap_core.learning.checkpoint import Position, load_checkpoint
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.examples import Examples
from facecap_core.learning.fully_connected import FullyConnected
from facecap_core.learning.image_basis import compute_image_basis
from facecap_core.learning.losses import Objective, vertex_deviation
from facecap_core.learning.model import Model, autocast, whitened
from facecap_core.learning.muon import Muon
from facecap_core.learning.networks import AnyNetwork, build_network, to_device
from facecap_core.learning.order import Order, mixed_seed, neighbours
from facecap_core.learning.recording import Recorded, Work
from facecap_core.learning.schedule import augmentation_strength, beta1, learning_rate
from facecap_core.learning.several_views import SeveralViews, set_chances
from facecap_core.learning.whitening import Whitening, choose_whitening
from facecap_core.regions import FaceRegions
from facecap_core.units import MM_PER_CM

VALIDATION_BATCH = 64


class Run:
    """The tensors of a run: data, network, optimizer, averaged weights."""

    def __init__(
        self,
        training: Examples,
        validation: Examples | None,
        config: TrainConfig,
        animated: np.ndarray,
        device: torch.device,
        regions: FaceRegions | None = None,
        base: Model | None = None,
    ) -> None:
        """`base`: whose weights and whitening to start from. Raises ConfigError for a configuration that these
        data do not allow."""
        self.training, self.validation = training, validation
        self.animated = torch.from_numpy(animated).to(device)
        self.config, self.device = config, device
        self.whitening: tuple[Whitening, ...] = (
            base.whitening
            if base is not None
            else tuple(
                choose_whitening(config.whitening, training.luma[:, view])
                for view in range(training.views)
            )
        )
        self.basis: Basis = compute_basis(training.positions, config.network.components)
        self.captured = {"meshes": self.basis.captured}  # parts of variance that the bases hold
        self.objective = Objective(
            config.loss, regions=regions, deviation=vertex_deviation(training.positions)
        )
        again = training.corrected.repeat(
            config.corrections.repeats(len(training.corrected), len(training)) - 1
        )
        self.order = Order(len(training), config.seed, again)
        self.neighbours = neighbours([*training.shots, *training.runs])
        self._pairs = config.loss.pairs_of(config.batch)
        self._recorded: Work | None = None
        self.network = build_network(config.network, training.positions.shape[1], training.views)
        if base is not None:
            self.network.load_state_dict(base.network.state_dict())
            self.network.output.requires_grad_(config.network.train_output)
        else:
            self._initialise()
        to_device(self.network, device)
        self.optimizers = _optimizers(self.network, config)
        self.average: list[torch.Tensor] | None = None
        if config.optimizer.average:
            self.average = [p.detach().clone() for p in self.network.parameters()]
        missing = config.network.view_dropout
        self._chances = set_chances(training.views, missing) if missing else [1.0]
        self.position = Position("")

    def _initialise(self) -> None:
        config = self.config
        self.network.initialise(config.network, self.basis.to("cpu"), config.seed)
        if isinstance(self.network, FullyConnected):
            found = compute_image_basis(
                self.training.luma[:, 0], self.whitening[0], config.network.image_components
            )
            self.network.set_inputs(found)
            self.captured["images"] = found.captured

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return math.ceil(len(self.order) * self.config.schedule.epochs / self.config.batch)

    def epoch(self, step: int) -> float:
        """Progress in epochs; the last batch may reach beyond the end."""
        return min(step * self.config.batch / len(self.order), self.config.schedule.epochs)

    def restore(self, path: Path, key: str) -> None:
        """Go on from the state in this file if it is of the same run (`Position.key`), else begin."""
        found = load_checkpoint(path, key, self.network, self.optimizers, self.average)
        self.position = found or Position(key)

    def step(self, step: int) -> torch.Tensor:
        """One update; the mean square error in cm² of its frames, still on the device.

        Nothing here waits for a GPU, so that it never waits for the next step. What is returned is
        overwritten by the next call.
        """
        config, epoch = self.config, self.epoch(step)
        indices = self.order.batch(step * config.batch, config.batch)
        # For the loss of motion some frames come with their neighbour, at the end of the batch.
        frames = torch.cat([indices, self.neighbours[indices[: self._pairs]]])
        draws = self._draws(step, epoch, len(indices))
        torch.manual_seed(mixed_seed(config.seed, 2, step))  # dropout
        loss, gradients = self._work(draws)(frames, torch.stack([d.rows() for d in draws]))
        # Outside of the recording, since their rates are numbers that the kernels take by value.
        for parameter, gradient in zip(self.network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        for optimizer in self.optimizers:
            _set_rates(optimizer, epoch, config)
            optimizer.step()
        if self.average is not None:
            # Young averages forget faster, or the random start would stay in them for long.
            weight = 1 - min(config.optimizer.average, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(self.average, list(self.network.parameters()), weight)
        return loss

    def _work(self, draws: list[Draws]) -> Work:
        """What a step computes from frames and draws: recorded where that is possible."""
        if any(
            drawn.noise is not None for drawn in draws
        ):  # its generator begins anew in each step
            return partial(self._gradients, draws)
        if self._recorded is None:
            self._recorded = Recorded(partial(self._gradients, draws), self.device)
        return self._recorded

    def _gradients(
        self, kinds: list[Draws], frames: torch.Tensor, rows: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        """The loss of the frames that were drawn, and the gradient of each parameter.

        `frames` int64 [image], and what was drawn for the first of them, `rows` [view, kind, image] of
        the kinds that `kinds` have.
        """
        for parameter in self.network.parameters():
            parameter.grad = None
        frames, rows = frames.to(self.device), rows.to(self.device)
        draws = [kind.of_rows(row) for kind, row in zip(kinds, rows, strict=True)]
        images = self._augmented(frames, draws)
        target = self.training.positions[frames]
        predicted = self._predicted(images)
        count = rows.shape[2]
        shown = torch.nn.functional.mse_loss(predicted[-1, :count], target[:count])
        if self.objective.plain and len(predicted) == 1:
            shown.backward()
        else:
            torch.stack(
                [
                    chance * self.objective(said, target, self._pairs)
                    for chance, said in zip(self._chances, predicted, strict=True)
                ]
            ).sum().backward()
        return shown.detach(), [parameter.grad for parameter in self.network.parameters()]

    def _predicted(self, images: torch.Tensor) -> torch.Tensor:
        """Coordinates [set, image, 3 * vertex] by each set of cameras that view dropout may leave, all of them last.

        A step with cameras drawn at random would train one layer of several, and each camera's
        convolutions now and then: all sets in every step, weighed by their chances, are its expectation.
        """
        with autocast(self.device):
            if isinstance(self.network, SeveralViews) and len(self.network.sets) > 1:
                return self.network.every_set(images)
            whole: torch.Tensor = self.network(images)
            return whole[None]

    def _draws(self, step: int, epoch: float, images: int) -> list[Draws]:
        config = self.config
        generator = torch.Generator().manual_seed(mixed_seed(config.seed, 1, step))
        strength = augmentation_strength(epoch, config.augmentation)
        return [
            draw(images, config.augmentation, strength, generator)
            for _ in range(self.training.views)
        ]

    def _augmented(self, frames: torch.Tensor, draws: list[Draws]) -> torch.Tensor:
        """Whitened images [image, view, y, x] of these frames.

        The first are augmented each in its way, those beyond the draws as the first again: a head
        that moves between two frames must not be moved once more.
        """
        images = []
        for view, drawn in enumerate(draws):
            if self._pairs:
                images_drawn = len(frames) - self._pairs
                drawn = drawn.taken(torch.arange(len(frames), device=self.device) % images_drawn)
            luma, whitening = self.training.luma[frames, view], self.whitening[view]
            images.append(whitening(augment(luma, drawn, whitening.mean)))
        return torch.stack(images, dim=1).contiguous(memory_format=torch.channels_last)

    def predict(self, examples: Examples) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of (predicted, target) [frame, 3 * vertex] without augmentation or dropout."""
        self.network.eval()
        with torch.inference_mode(), autocast(self.device):
            for luma, target in zip(
                examples.luma.split(VALIDATION_BATCH),
                examples.positions.split(VALIDATION_BATCH),
                strict=True,
            ):
                images = whitened(luma, self.whitening)
                yield self.network(images), target
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

    def _swap_average(self) -> None:
        if self.average is not None:
            with torch.no_grad():
                for parameter, averaged in zip(
                    self.network.parameters(), self.average, strict=True
                ):
                    kept = parameter.detach().clone()
                    parameter.copy_(averaged)
                    averaged.copy_(kept)


def _optimizers(network: AnyNetwork, config: TrainConfig) -> list[torch.optim.Optimizer]:
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
