"""Confidence: the error that is expected of a frame, in mm, by how unlike those of training its picture is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from facecap_core.learning.novelty import FeatureSpace

SCHEMA_VERSION = 2
LEAST = 0.1  # of the usual signal: what is smaller is not expected to be better yet
LISTS = ("usual", "parts_mm", "exponents", "far")  # fields of Fit


@dataclass(frozen=True)
class Fit:
    """How signals (`novelty.Signals`) become mm, for one set of cameras.

    Each signal stands for a part of the error, part_mm * (signal / usual)^exponent, and as their reasons differ
    their squares add up. Exponents are from 0 on: what is further away is never expected to be better.
    """

    usual: tuple[float, ...]  # signals, medians of the validation frames
    parts_mm: tuple[float, ...]  # of the error where signals are usual
    exponents: tuple[float, ...]
    far: tuple[float, ...]  # novelty 1: the larger of the two distances, in these

    def predicted_mm(self, signals: np.ndarray) -> np.ndarray:
        """Expected errors float64 [frame] for signals [frame, signal]."""
        grown = np.exp(logs(signals, self.usual) * np.array(self.exponents))
        return np.sqrt(np.square(grown) @ np.square(self.parts_mm))

    def novelty(self, signals: np.ndarray) -> np.ndarray:
        """float64 [frame]; 1 is the 95th percentile of the validation frames."""
        return (signals[:, : len(self.far)] / np.array(self.far)).max(axis=1)


def logs(signals: np.ndarray, usual: Sequence[float]) -> np.ndarray:
    """Logarithms of signals [frame, signal] in parts of the usual ones, float64."""
    return np.log(np.maximum(signals.astype(np.float64) / np.array(usual), LEAST))


@dataclass(frozen=True, eq=False)
class FrameFigures:
    """What a vertex store says of each frame: float32 [frame] each."""

    confidence: np.ndarray
    predicted_rmse_mm: np.ndarray
    novelty: np.ndarray


def not_estimated(frames: int) -> FrameFigures:
    """What is told where there is no calibration: NaN."""
    nothing = np.full(frames, np.nan, np.float32)
    return FrameFigures(nothing, nothing, nothing)


@dataclass(frozen=True, eq=False)
class Confidence:
    """A model's calibration: where its training pictures lie among its features, one space a camera; for
    each set of cameras that it may be given the fit; the error that is expected of a usual validation frame,
    seen by all of them; and what the calibration was made from, for people."""

    spaces: tuple[FeatureSpace, ...]
    fits: Mapping[tuple[int, ...], Fit]
    usual_mm: float
    made_from: Mapping[str, Any]

    def figures(self, signals: np.ndarray, views: Sequence[int]) -> FrameFigures:
        """Of frames seen by these cameras, by their numbers in the model, from signals [frame, signal]."""
        fit = self.fits[tuple(views)]
        predicted = fit.predicted_mm(signals)
        return FrameFigures(
            np.minimum(1, self.usual_mm / predicted).astype(np.float32),
            predicted.astype(np.float32),
            fit.novelty(signals).astype(np.float32),
        )

    def to(self, device: torch.device) -> Confidence:
        spaces = tuple(space.to(device) for space in self.spaces)
        return Confidence(spaces, self.fits, self.usual_mm, self.made_from)

    def tensors(self) -> bytes:
        """The spaces as the file confidence.safetensors."""
        return save(
            {
                f"{view}.{name}": part.detach().cpu().contiguous()
                for view, space in enumerate(self.spaces)
                for name, part in vars(space).items()
            }
        )

    def facts(self) -> dict[str, Any]:
        """The rest, for model.json."""
        told = {
            "schema_version": SCHEMA_VERSION,
            "usual_mm": self.usual_mm,
            "fits": {"-".join(map(str, views)): asdict(fit) for views, fit in self.fits.items()},
            **self.made_from,
        }
        text = json.dumps(told, sort_keys=True)
        digest = hashlib.sha256(text.encode() + self.tensors()).hexdigest()
        return {**json.loads(text), "fingerprint": digest[:12]}


def read_confidence(tensors: bytes, facts: Mapping[str, Any]) -> Confidence | None:
    """What `tensors` and `facts` of a calibration gave; raises KeyError, TypeError, ValueError or
    SafetensorError where they are damaged. None: an earlier version made it, and it means something else."""
    told = dict(facts)
    if told.pop("schema_version", 1) != SCHEMA_VERSION:
        return None
    parts = load(tensors)
    views = len({name.split(".")[0] for name in parts})
    names = FeatureSpace.__dataclass_fields__
    fits = {
        tuple(int(view) for view in key.split("-")): Fit(
            *(tuple(map(float, fit[name])) for name in LISTS)
        )
        for key, fit in told.pop("fits").items()
    }
    usual = float(told.pop("usual_mm"))
    fingerprint = told.pop("fingerprint")
    spaces = tuple(
        FeatureSpace(**{name: parts[f"{view}.{name}"] for name in names}) for view in range(views)
    )
    read = Confidence(spaces, fits, usual, told)
    if read.facts()["fingerprint"] != fingerprint:
        raise ValueError("it is not what was written")
    return read
