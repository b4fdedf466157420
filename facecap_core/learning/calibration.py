"""Calibration: how what a model sees becomes the error that is expected of it, learned on validation frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from facecap_core.learning.calibration_fit import Sample, fit_to, shots_left_out
from facecap_core.learning.confidence import Confidence
from facecap_core.learning.engine import Engine
from facecap_core.learning.examples import Examples
from facecap_core.learning.model import Model
from facecap_core.learning.novelty import FeatureSpace, Known, Signals, evenly
from facecap_core.learning.rmse import per_frame_rmse_mm
from facecap_core.learning.several_views import view_sets
from facecap_core.learning.spoilt import augmented, spoilt_views
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.units import MM_PER_CM, MM_PER_UNIT

BATCH = 64
MOST_TRAINING = 2048  # pictures that the feature space is made from
MOST_VALIDATION = 4096
MOST_AUGMENTED = 256  # training pictures, each shown twice as augmentation shows them
MOST_SPOILT = 256  # validation pictures, each in four ways
MOST_SPOILT_OF_TRAINING = 128
KINDS = 4
TRAINING_SEED = 1000  # of the faults that are learned from
VALIDATION_SEED = 0  # of those that are foretold
SPOILT_WEIGHT = 0.5  # of all spoilt pictures beside all that are not
FEWEST_FRAMES = 20  # below which a fit of five numbers says nothing


def calibrate(
    model: Model,
    training: Examples,
    validation: Examples,
    *,
    animated: np.ndarray,
    on_progress: OnProgress | None = None,
) -> Confidence | None:
    """What the signals of a picture (`novelty.Signals`) say about the model's error; None where there are too
    few validation frames to tell.

    The frames are seen as they are and with faults (`spoilt`), so that the fit holds far beyond
    the errors of usual frames; so are those of training, whose errors show where in the space large ones are to
    be expected. The same frames give the same calibration.

    Args:
        training, validation: on the model's device, their pictures in the network's size.
        animated: indices int64 [n] of the vertices that count in errors.

    Raises Cancelled where `on_progress` answers False.
    """
    if len(validation) < FEWEST_FRAMES:
        return None
    every = tuple(range(len(model.cameras)))
    some = evenly(len(training), MOST_TRAINING)
    held = evenly(len(validation), MOST_VALIDATION)
    sets = list(view_sets(len(every))) if model.may_miss_views else [every]
    faulty = min(len(held), MOST_SPOILT)
    cases = 2 * min(len(some), MOST_AUGMENTED) + KINDS * min(len(some), MOST_SPOILT_OF_TRAINING)
    total = len(some) + cases + len(sets) * (len(held) + KINDS * faulty)
    solver = _Solver(model, animated, _Counter(total, on_progress))
    seen = solver(model.engine(every), training.luma, training.positions, some)
    errors = torch.from_numpy(seen.errors_mm)
    learned = [Known(features, errors) for features in seen.features]
    spaces = tuple(map(FeatureSpace.of, learned, _cases(model, training, some, solver)))
    sampler = _Sampler(model, spaces, validation, held, solver)
    fits, made_from, usual_mm = {}, {}, 0.0
    for views in sets:
        found = sampler(views)
        fits[views] = fit_to(found)
        if views == every:
            plain = found.of(found.weights == 1)
            usual_mm = float(np.median(fits[views].predicted_mm(plain.signals)))
            made_from = {
                "validation": {
                    "shots": [name for name, _ in validation.shots],
                    "frames": len(held),
                    "median_rmse_mm": float(np.median(plain.errors_mm)),
                },
                "shots_left_out": shots_left_out(found),
            }
    return Confidence(spaces, fits, usual_mm, made_from)


class _Counter:
    """Splits indices of pictures into batches and tells of each."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._done, self._total, self._on_progress = 0, total, on_progress

    def batches(self, *indices: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
        for batch in zip(*(one.split(BATCH) for one in indices), strict=True):
            yield batch
            self._done += len(batch[0])
            report(self._on_progress, Progress("calibrate", self._done, self._total))


class _Solved(NamedTuple):
    features: list[torch.Tensor]  # of each view, [frame, feature]
    errors_mm: np.ndarray


class _Solver:
    """What a network sees in pictures and how far it is off."""

    def __init__(self, model: Model, animated: np.ndarray, counter: _Counter) -> None:
        self._mm = MM_PER_UNIT[model.facts["units"]]
        self._animated, self._counter = animated, counter

    def __call__(
        self,
        engine: Engine,
        luma: torch.Tensor,
        positions: torch.Tensor,
        frames: torch.Tensor,
        of_luma: torch.Tensor | None = None,
    ) -> _Solved:
        """Of `frames` (indices); `of_luma` where the pictures are others than those of the positions."""
        features, errors = [], []
        places = frames.to(luma.device)
        pictures = places if of_luma is None else of_luma.to(luma.device)
        for some, batch in self._counter.batches(pictures, places):
            features.append(engine.features(luma[some]))
            solved = engine.coordinates(features[-1]).cpu().numpy()
            target = positions[batch].cpu().numpy()
            errors.append(
                per_frame_rmse_mm(
                    self._mm * solved.reshape(len(batch), -1, 3),
                    MM_PER_CM * target.reshape(len(batch), -1, 3),
                    animated=self._animated,
                )
            )
        views = [torch.cat(parts) for parts in zip(*features, strict=True)]
        return _Solved(views, np.concatenate(errors))


def _cases(model: Model, training: Examples, some: torch.Tensor, solver: _Solver) -> list[Known]:
    """For each view, training pictures as augmentation and faults change them, seen by all cameras: as they
    are they were learned, and their errors are smaller than those of other footage."""
    views = tuple(range(len(model.cameras)))
    features, errors = [], []

    def take(changed: torch.Tensor, frames: torch.Tensor) -> None:
        every = torch.arange(len(frames))
        found = solver(model.engine(views), changed, training.positions, frames, every)
        features.append(found.features)
        errors.append(torch.from_numpy(found.errors_mm))

    often = some[evenly(len(some), MOST_AUGMENTED)]
    luma = training.luma[often.to(training.luma.device)]
    generator = torch.Generator().manual_seed(TRAINING_SEED)
    for _ in range(2):
        seen = [augmented(luma[:, view], model.config.augmentation, generator) for view in views]
        take(torch.stack(seen, dim=1), often)
    seldom = some[evenly(len(some), MOST_SPOILT_OF_TRAINING)]
    luma = training.luma[seldom.to(training.luma.device)]
    for changed in spoilt_views(luma, views, TRAINING_SEED):
        take(changed, seldom)
    together = torch.cat(errors)
    return [Known(torch.cat(parts), together) for parts in zip(*features, strict=True)]


class _Sampler:
    """Solves validation frames as they are and spoilt, seen by a set of cameras."""

    def __init__(
        self,
        model: Model,
        spaces: Sequence[FeatureSpace],
        validation: Examples,
        held: torch.Tensor,
        solver: _Solver,
    ) -> None:
        self._model, self._spaces, self._solver = model, spaces, solver
        self._validation, self._held = validation, held
        self._faulty = held[evenly(len(held), MOST_SPOILT)]
        lengths = [frames for _, frames in validation.shots]
        self._shots = np.repeat(np.arange(len(lengths)), lengths)

    def __call__(self, views: tuple[int, ...]) -> Sample:
        luma, frames = self._validation.luma[:, list(views)], self._faulty
        parts = [self._part(views, luma, self._held, None, 1.0)]
        weight = SPOILT_WEIGHT * len(self._held) / (KINDS * len(frames))
        every = torch.arange(len(frames))
        parts += [
            self._part(views, changed, frames, every, weight)
            for changed in spoilt_views(luma[frames.to(luma.device)], views, VALIDATION_SEED)
        ]
        return Sample(
            *(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0]))
        )

    def _part(
        self,
        views: tuple[int, ...],
        luma: torch.Tensor,
        frames: torch.Tensor,
        of_luma: torch.Tensor | None,
        weight: float,
    ) -> Sample:
        engine = self._model.engine(views)
        features, errors = self._solver(engine, luma, self._validation.positions, frames, of_luma)
        with torch.inference_mode():
            found = Signals([self._spaces[view] for view in views])(features).cpu().numpy()
        shots = self._shots[frames.numpy()]
        return Sample(found, errors, shots, np.full(len(frames), weight))
