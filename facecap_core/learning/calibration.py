"""Calibration: how a model's distances from its training become expected errors, learned on validation frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from facecap_core.learning.confidence import Confidence, Fit, logs
from facecap_core.learning.engine import Engine
from facecap_core.learning.examples import Examples
from facecap_core.learning.model import Model
from facecap_core.learning.novelty import FeatureSpace, distances, evenly
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
LEAST_ERROR_MM = 1e-6
FEWEST_FRAMES = 20  # below which a fit of three numbers says nothing


@dataclass(frozen=True, eq=False)
class _Sample:
    """Distances [frame, 2], errors in mm [frame] and shots [frame] of validation frames; those of
    spoilt ones have more weight or less."""

    distances: np.ndarray
    errors_mm: np.ndarray
    shots: np.ndarray
    weights: np.ndarray

    def of(self, chosen: np.ndarray) -> _Sample:
        return _Sample(*(part[chosen] for part in vars(self).values()))


def calibrate(
    model: Model,
    training: torch.Tensor,
    validation: Examples,
    *,
    animated: np.ndarray,
    on_progress: OnProgress | None = None,
) -> Confidence | None:
    """What the model's distances from its training pictures say about its errors; None where there are
    too few validation frames to say so.

    The frames are seen as they are and with faults (`spoilt`), so that the fit holds far beyond
    the errors of usual frames. The same frames give the same calibration.

    Args:
        training: pictures uint8 [picture, view, y, x] that it was trained on, on the model's device as `validation`,
            and in the network's size as those.
        animated: indices of the vertices that count in errors.

    Raises Cancelled where `on_progress` answers False.
    """
    if len(validation) < FEWEST_FRAMES:
        return None
    every = tuple(range(len(model.cameras)))
    some = training[evenly(len(training), MOST_TRAINING).to(training.device)]
    held = evenly(len(validation), MOST_VALIDATION)
    sets = list(view_sets(len(every))) if model.may_miss_views else [every]
    faulty = min(len(held), MOST_SPOILT)
    counter = _Counter(len(some) + len(sets) * (len(held) + 4 * faulty), on_progress)
    engine = model.engine(every)
    seen = [engine.features(batch) for batch in counter.batches(some)]
    spaces = tuple(FeatureSpace.of(torch.cat([batch[view] for batch in seen])) for view in every)
    sample = _Sampler(model, spaces, validation, held, animated, counter)
    fits, made_from, usual_mm = {}, {}, 0.0
    for views in sets:
        found = sample(views)
        fits[views] = _fit(found)
        if views == every:
            plain = found.of(found.weights == 1)
            usual_mm = float(np.median(fits[views].predicted_mm(plain.distances)))
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
    """Splits pictures into batches and tells of each."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._done, self._total, self._on_progress = 0, total, on_progress

    def batches(self, luma: torch.Tensor) -> Iterator[torch.Tensor]:
        for batch in luma.split(BATCH):
            yield batch
            self._done += len(batch)
            report(self._on_progress, Progress("calibrate", self._done, self._total))


class _Sampler:
    """Solves validation frames as they are and spoilt, seen by a set of cameras."""

    def __init__(
        self,
        model: Model,
        spaces: Sequence[FeatureSpace],
        validation: Examples,
        held: torch.Tensor,
        animated: np.ndarray,
        counter: _Counter,
    ) -> None:
        self._model, self._spaces, self._animated, self._counter = model, spaces, animated, counter
        self._validation, self._held = validation, held
        self._faulty = held[evenly(len(held), MOST_SPOILT)]
        names = np.repeat(np.arange(len(validation.shots)), [n for _, n in validation.shots])
        self._shots = names

    def __call__(self, views: tuple[int, ...]) -> _Sample:
        validation, engine = self._validation, self._model.engine(views)
        pictures = validation.luma[:, list(views)]
        device = pictures.device
        parts = [self._solved(engine, views, pictures[self._held.to(device)], self._held, 1.0)]
        weight = SPOILT_WEIGHT * len(self._held) / (4 * len(self._faulty))
        some = pictures[self._faulty.to(device)]
        # Each camera has its own faults, as its own exposure.
        kinds = zip(
            *(spoilt(some[:, place], view) for place, view in enumerate(views)), strict=True
        )
        for kind in kinds:
            luma = torch.stack(kind, dim=1)
            parts.append(self._solved(engine, views, luma, self._faulty, weight))
        return _Sample(
            *(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0]))
        )

    def _solved(
        self,
        engine: Engine,
        views: tuple[int, ...],
        luma: torch.Tensor,
        frames: torch.Tensor,
        weight: float,
    ) -> _Sample:
        spaces = [self._spaces[view] for view in views]
        apart, errors, done = [], [], 0
        mm = MM_PER_UNIT[self._model.facts["units"]]
        for batch in self._counter.batches(luma):
            features = engine.features(batch)
            with torch.inference_mode():
                apart.append(distances(spaces, features).cpu().numpy())
            solved = engine.coordinates(features).cpu().numpy()
            chosen = frames[done : done + len(batch)].to(self._validation.positions.device)
            target = self._validation.positions[chosen].cpu().numpy()
            errors.append(
                per_frame_rmse_mm(
                    mm * solved.reshape(len(batch), -1, 3),
                    10.0 * target.reshape(len(batch), -1, 3),
                    animated=self._animated,
                )
            )
            done += len(batch)
        count = len(frames)
        return _Sample(
            np.concatenate(apart),
            np.concatenate(errors),
            self._shots[frames.numpy()],
            np.full(count, weight),
        )


def _fit(sample: _Sample) -> Fit:
    plain = sample.of(sample.weights == 1)
    middle = np.median(plain.distances.astype(np.float64), axis=0)
    usual = (float(middle[0]) or 1.0, float(middle[1]) or 1.0)
    intercept, (outside, nearest) = _least_squares(
        logs(sample.distances, usual),
        np.log(np.maximum(sample.errors_mm, LEAST_ERROR_MM)),
        sample.weights,
    )
    far = np.percentile(plain.distances, NOVEL, axis=0)
    far[far == 0] = 1.0
    # The larger of two distances is above 1 more often than either.
    far *= np.percentile((plain.distances / far).max(axis=1), NOVEL) or 1.0
    return Fit(*usual, intercept, outside, nearest, float(far[0]), float(far[1]))


def _least_squares(
    inputs: np.ndarray, wanted: np.ndarray, weights: np.ndarray
) -> tuple[float, tuple[float, float]]:
    """Intercept and factors, none negative, of two inputs [frame, 2]: the weighted least squares."""
    middle = np.average(inputs, axis=0, weights=weights)
    mean = float(np.average(wanted, weights=weights))
    root = np.sqrt(weights)
    centred, rest = (inputs - middle) * root[:, None], (wanted - mean) * root
    # With two inputs the best of what is allowed is among these.
    candidates = [np.linalg.lstsq(centred, rest, rcond=None)[0]]
    for one in range(2):
        alone = np.zeros(2)
        square = float(centred[:, one] @ centred[:, one])
        alone[one] = max(0.0, float(centred[:, one] @ rest) / square) if square else 0.0
        candidates.append(alone)
    allowed = [factors for factors in candidates if (factors >= 0).all()]
    best = min(allowed, key=lambda factors: float(np.square(rest - centred @ factors).sum()))
    return mean - float(middle @ best), (float(best[0]), float(best[1]))


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
        predicted.append(fit.predicted_mm(sample.distances[own]))
        errors.append(sample.errors_mm[own])
    foretold, found = np.concatenate(predicted), np.concatenate(errors)
    figures = {
        "auroc_of_worst_tenth": auroc_of_worst(foretold, found),
        "spearman": spearman(foretold, found),
        "median_predicted_to_true": float(np.median(foretold / np.maximum(found, LEAST_ERROR_MM))),
    }
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}
