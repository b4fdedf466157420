"""Shot trust: how far solved shots can be believed, as their stores say frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from facecap_core.corrections.correction import standing
from facecap_core.errors import StoreError
from facecap_core.frame_names import FrameNames
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.reports.figures import BLUE, INK, STYLE, VERMILION, grid, svg
from facecap_core.stores.groups import open_vertices

DOUBTFUL = 0.5  # a confidence below which the error is expected to be over twice the usual one
BINS = 20


@dataclass(frozen=True, eq=False)
class ShotTrust:
    """One shot's confidence, float32 [frame] from 0 to 1."""

    shot: str
    confidence: np.ndarray
    names: FrameNames

    @property
    def doubtful_frames(self) -> int:
        return int((self.confidence < DOUBTFUL).sum())

    @property
    def worst_second(self) -> float:
        """Mean confidence of the second (of a shorter shot, of all) in which it is lowest."""
        return float(self._running_mean().min())

    @property
    def worst_frame(self) -> int:
        """The frame of lowest confidence in the worst second: one bad frame makes no bad shot."""
        start = int(self._running_mean().argmin())
        return start + int(self.confidence[start : start + self._window].argmin())

    @property
    def _window(self) -> int:
        return max(1, min(round(self.names.fps), len(self.confidence)))

    def _running_mean(self) -> np.ndarray:
        sums = np.cumsum(np.concatenate([[0.0], self.confidence.astype(np.float64)]))
        return np.asarray((sums[self._window :] - sums[: -self._window]) / self._window)


@dataclass(frozen=True)
class Trust:
    """What was read of some shots; `without` have no confidence, `left_out` cannot be told of, and why."""

    shots: list[ShotTrust] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return sum(len(shot.confidence) for shot in self.shots)

    @property
    def doubtful_frames(self) -> int:
        return sum(shot.doubtful_frames for shot in self.shots)

    def worst(self, count: int) -> list[ShotTrust]:
        """Those whose worst second is worst, in this order."""
        return sorted(self.shots, key=lambda shot: (shot.worst_second, shot.shot))[:count]


def read_trust(
    production: Production, models: Mapping[str, str], on_progress: OnProgress | None = None
) -> Trust:
    """The confidence of shots that were solved with these models (by shot), 1 in frames that an artist corrected;
    others are left out.

    Raises:
        Cancelled: `on_progress` answered False.
    """
    found = Trust()
    for done, (name, model) in enumerate(models.items()):
        report(on_progress, Progress("confidence", done, len(models), unit="shots"))
        shot = production.shots.get(name)
        if shot is None:
            found.left_out[name] = "is not in shots.csv any more"
            continue
        try:
            store = open_vertices(production.paths.vertices(shot.actor, name))
            now = str(store.attributes.get("model", ""))
            if now != model:
                found.left_out[name] = f"was solved by {now} since"
                continue
            names = FrameNames.of(store.attributes, store.path)
            confidence = store.read("confidence") if store.has("confidence") else np.empty(0)
            for correction in standing(production.paths, shot.actor, name):
                confidence[correction.frames[correction.frames < len(confidence)]] = 1
        except StoreError as error:
            found.left_out[name] = error.fault.message
            continue
        if len(confidence) and np.isfinite(confidence).all():
            found.shots.append(ShotTrust(name, confidence, names))
        else:
            found.without.append(name)
    return found


def confidence_counts(shots: Sequence[ShotTrust]) -> np.ndarray:
    """Frames by confidence, int64 [bin] of equal width from 0 to 1."""
    every = np.concatenate([shot.confidence for shot in shots])
    return np.histogram(np.clip(every, 0, 1), bins=BINS, range=(0, 1))[0]


def confidence_histogram(shots: Sequence[ShotTrust]) -> str:
    """How many frames have which confidence, as SVG; the doubtful ones are hatched."""
    counts = confidence_counts(shots)
    share = 100 * counts / max(counts.sum(), 1)
    left = np.arange(BINS) / BINS
    doubtful = left < DOUBTFUL - 1e-9
    with mpl.rc_context({**STYLE, "hatch.linewidth": 0.6}):
        figure = Figure(figsize=(11.0, 2.3), layout="constrained")
        axes = figure.subplots()
        for some, colour, hatch, label in (
            (doubtful, VERMILION, "///", f"below {DOUBTFUL:g}: twice the usual error or more"),
            (~doubtful, BLUE, None, "others"),
        ):
            axes.bar(
                left[some],
                share[some],
                width=1 / BINS,
                align="edge",
                color=colour,
                alpha=0.85,
                edgecolor=INK,
                linewidth=0.5,
                hatch=hatch,
                label=label,
            )
        axes.set_xlim(0, 1)
        axes.set_xlabel("confidence")
        axes.set_ylabel("% of frames")
        axes.legend(loc="upper left")
        grid(axes)
        return svg(figure, "confidence")
