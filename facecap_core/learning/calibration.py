"""Calibration: how what a model sees becomes the error that is expected of it, learned on validation frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch

from facecap_core.learning.confidence import Confidence, Fit, logs
from facecap_core.learning.engine import Engine
from facecap_core.learning.examples import Examples
from facecap_core.learning.model import Model
from facecap_core.learning.novelty import LEAST_ERROR_MM, FeatureSpace, evenly, signals
from facecap_core.learning.rmse import MM_PER_UNIT, per_frame_rmse_mm
from facecap_core.learning.several_views import view_sets
from facecap_core.learning.spoilt import spoilt
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.ranks import auroc_of_worst, spearman

BATCH = 64
MOST_TRAINING = 2048  # pictures that the feature space is made from
MOST_VALIDATION = 4096
MOST_SPOILT = 256  # pictures, each in four ways
SPOILT_WEIGHT = 0.5  # of all spoilt pictures beside all that are not
NOVEL = 95  # percentile of the validation frames at which novelty is 1
DISTANCES = 2  # of the signals: the others say nothing of novelty
MM_PER_CM = 10.0
FEWEST_FRAMES = 20  # below which a fit of three numbers says nothing


@dataclass(frozen=True, eq=False)
class _Sample:
    """Signals [frame, signal], errors in mm [frame] and shots [frame] of validation frames; those of
    spoilt ones have more weight or less."""

    signals: np.ndarray
    errors_mm: np.ndarray
    shots: np.ndarray
    weights: np.ndarray

    def of(self, chosen: np.ndarray) -> _Sample:
        return _Sample(*(part[chosen] for part in vars(self).values()))


def calibrate(
    model: Model,
    training: Examples,
    validation: Examples,
    *,
    animated: np.ndarray,
    on_progress: OnProgress | None = None,
) -> Confidence | None:
    """What the signals of a picture (`novelty.signals`) say about the model's error; None where there are too
    few validation frames to tell.

    The frames are seen as they are and with faults (`spoilt`), so that the fit holds far beyond
    the errors of usual frames. The same frames give the same calibration.

    Args:
        training, validation: on the model's device, their pictures in the network's size.
        animated: indices of the vertices that count in errors.

    Raises Cancelled where `on_progress` answers False.
    """
    if len(validation) < FEWEST_FRAMES:
        return None
    every = tuple(range(len(model.cameras)))
    some = evenly(len(training), MOST_TRAINING)
    held = evenly(len(validation), MOST_VALIDATION)
    sets = list(view_sets(len(every))) if model.may_miss_views else [every]
    faulty = min(len(held), MOST_SPOILT)
    counter = _Counter(len(some) + len(sets) * (len(held) + 4 * faulty), on_progress)
    solver = _Solver(model, animated, counter)
    seen = solver(model.engine(every), training.luma, training.positions, some)
    errors = torch.from_numpy(seen.errors_mm)
    spaces = tuple(FeatureSpace.of(features, errors) for features in seen.features)
    sampler = _Sampler(model, spaces, validation, held, solver)
    fits, made_from, usual_mm = {}, {}, 0.0
    for views in sets:
        found = sampler(views)
        fits[views] = _fit(found)
        if views == every:
            plain = found.of(found.weights == 1)
            usual_mm = float(np.median(fits[views].predicted_mm(plain.signals)))
            made_from = {
                "validation": {
                    "shots": [name for name, _ in validation.shots],
                    "frames": len(held),
                    "median_rmse_mm": float(np.median(plain.errors_mm)),
                },
                "shots_left_out": _left_out(found),
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

    def __call__(self, views: tuple[int, ...]) -> _Sample:
        luma, frames = self._validation.luma[:, list(views)], self._faulty
        parts = [self._part(views, luma, self._held, None, 1.0)]
        weight = SPOILT_WEIGHT * len(self._held) / (4 * len(frames))
        some = luma[frames.to(luma.device)]
        # Each camera has its own faults, as its own exposure.
        kinds = zip(
            *(spoilt(some[:, place], view) for place, view in enumerate(views)), strict=True
        )
        for kind in kinds:
            every = torch.arange(len(frames))
            parts.append(self._part(views, torch.stack(kind, dim=1), frames, every, weight))
        return _Sample(
            *(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0]))
        )

    def _part(
        self,
        views: tuple[int, ...],
        luma: torch.Tensor,
        frames: torch.Tensor,
        of_luma: torch.Tensor | None,
        weight: float,
    ) -> _Sample:
        engine = self._model.engine(views)
        features, errors = self._solver(engine, luma, self._validation.positions, frames, of_luma)
        with torch.inference_mode():
            found = signals([self._spaces[view] for view in views], features).cpu().numpy()
        shots = self._shots[frames.numpy()]
        return _Sample(found, errors, shots, np.full(len(frames), weight))


def _fit(sample: _Sample) -> Fit:
    plain = sample.of(sample.weights == 1)
    middle = np.median(plain.signals.astype(np.float64), axis=0)
    usual = tuple(float(one) or 1.0 for one in middle)
    intercept, exponents = _least_squares(
        logs(sample.signals, usual),
        np.log(np.maximum(sample.errors_mm, LEAST_ERROR_MM)),
        sample.weights,
    )
    apart = plain.signals[:, :DISTANCES]
    far = np.percentile(apart, NOVEL, axis=0)
    far[far == 0] = 1.0
    # The larger of two distances is above 1 more often than either.
    far *= np.percentile((apart / far).max(axis=1), NOVEL) or 1.0
    return Fit(intercept, usual, exponents, tuple(far.tolist()))


def _least_squares(
    inputs: np.ndarray, wanted: np.ndarray, weights: np.ndarray
) -> tuple[float, tuple[float, ...]]:
    """Intercept and factors, none negative, of inputs [frame, input]: the weighted least squares."""
    middle = np.average(inputs, axis=0, weights=weights)
    mean = float(np.average(wanted, weights=weights))
    root = np.sqrt(weights)
    centred, rest = (inputs - middle) * root[:, None], (wanted - mean) * root
    count = inputs.shape[1]
    best, least = np.zeros(count), float(rest @ rest)
    # So few inputs that each set of them can be tried.
    for chosen in (
        list(s) for size in range(1, count + 1) for s in combinations(range(count), size)
    ):
        factors = np.zeros(count)
        factors[chosen] = np.linalg.lstsq(centred[:, chosen], rest, rcond=None)[0]
        off = rest - centred @ factors
        if (factors >= 0).all() and off @ off < least:
            best, least = factors, float(off @ off)
    return mean - float(middle @ best), tuple(best.tolist())


def _left_out(sample: _Sample) -> dict[str, float | None] | None:
    """How well errors of each shot are foretold by a fit to the others; None with one shot alone, and of
    figures that never change."""
    shots = np.unique(sample.shots)
    if len(shots) < 2:
        return None
    predicted, errors = [], []
    for shot in shots:
        own = (sample.shots == shot) & (sample.weights == 1)
        fit = _fit(sample.of(sample.shots != shot))
        predicted.append(fit.predicted_mm(sample.signals[own]))
        errors.append(sample.errors_mm[own])
    foretold, found = np.concatenate(predicted), np.concatenate(errors)
    figures = {
        "auroc_of_worst_tenth": auroc_of_worst(foretold, found),
        "spearman": spearman(foretold, found),
        "median_predicted_to_true": float(np.median(foretold / np.maximum(found, LEAST_ERROR_MM))),
    }
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}
