"""Shot change: how far two models are apart in the frames of a shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facecap_core.changes.model_results import ComparedModel, check_alike, frames_of
from facecap_core.corrections.correction import standing
from facecap_core.errors import Cancelled, FacecapError, FootageError
from facecap_core.flags.flagged_range import ranges_of
from facecap_core.frame_names import FrameNames, frame_names
from facecap_core.learning.rmse import per_frame_rmse_mm, pooled_rmse_mm
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.template import read_animated, read_template

GAP_SECONDS = 0.5  # ranges closer to each other are one: nobody looks at them apart


@dataclass(frozen=True)
class ShotChange:
    """What was measured in one shot."""

    shot: str
    frames: int
    every: int
    names: FrameNames
    rmse_mm: np.ndarray  # float64 [n], of frames 0, every, 2 * every, … over the animated vertices
    corrected: np.ndarray  # bool [frame]: an artist's, whatever a model makes of them
    solved_anew: tuple[str, ...]  # models for which that was necessary

    @property
    def by_frame_mm(self) -> np.ndarray:
        """float64 [frame]: of each frame the one before it that was compared; 0 where it is corrected."""
        every_frame = np.repeat(self.rmse_mm, self.every)[: self.frames]
        return np.where(self.corrected, 0.0, every_frame)

    @property
    def worst_mm(self) -> float:
        return float(self.by_frame_mm.max(initial=0.0))

    @property
    def worst_frame(self) -> int:
        """The first frame that changes most, counted from 0."""
        return int(self.by_frame_mm.argmax()) if self.frames else 0

    @property
    def pooled_mm(self) -> float:
        """Of all compared frames that are not corrected; nan where there are none."""
        return pooled_rmse_mm(self.rmse_mm[~self.corrected[:: self.every]])

    def changed_frames(self, threshold_mm: float) -> int:
        """How many change by more."""
        return int((self.by_frame_mm > threshold_mm).sum())

    def ranges(self, threshold_mm: float) -> list[tuple[int, int, float]]:
        """First and last frame of what changes by more than so many mm, and the most it does there."""
        by_frame = self.by_frame_mm
        # Severity counts from 1 on; what is exactly at the threshold is let pass.
        severity = np.where(by_frame > threshold_mm, 1.0 + by_frame, 0.0)
        found = ranges_of(severity, gap=round(GAP_SECONDS * self.names.fps), pad=0)
        return [(first, last, float(by_frame[worst])) for first, last, worst in found]


def compare_models(
    old: ComparedModel,
    new: ComparedModel,
    shots: Sequence[str],
    *,
    every: int = 1,
    on_progress: OnProgress | None = None,
) -> tuple[list[ShotChange], dict[str, str]]:
    """How far both models are apart in these shots, the worst first; and what hindered others, by shot.

    Memory is flat. What a model has solved already is read from the store, the rest is solved anew and not
    kept, every `every`-th frame.

    Raises:
        ModelError: the models are of different meshes. TemplateError: the mesh cannot be read.
        Cancelled: `on_progress` answered False.
    """
    check_alike(old, new)
    production, actor = old.production, old.actor
    settings = production.actors[actor]
    count = read_template(settings.template).vertex_count
    animated = read_animated(settings.animated, count)
    found: list[ShotChange] = []
    failed: dict[str, str] = {}
    lengths = {shot: _length(production, actor, shot) for shot in shots}
    done, total = 0, sum(lengths.values())
    for shot in shots:
        errors, frames, before = [], 0, done
        anew = tuple(model.name for model in (old, new) if model.stored(shot) is None)
        try:
            pairs = zip(old.results(shot, every), new.results(shot, every), strict=True)
            for (first, taken, a), (_, others, b) in pairs:
                if taken != others:
                    raise FootageError(
                        "the two models see another number of pictures",
                        remedy="cut all cameras of the shot to the same frames",
                        file=production.shots[shot].footage[settings.main_camera],
                    )
                errors.append(
                    per_frame_rmse_mm(a, b, animated=animated, mm_per_unit=production.mm_per_unit)
                )
                frames = first + taken
                report(on_progress, Progress("compare", min(before + frames, total), total))
        except Cancelled:
            raise
        except FacecapError as error:
            failed[shot] = str(error)
        else:
            corrected = np.zeros(frames, bool)
            for correction in standing(production.paths, actor, shot):
                corrected[correction.frames[correction.frames < frames]] = True
            rmse = np.concatenate(errors) if errors else np.zeros(0)
            names = frame_names(production, shot)
            found.append(ShotChange(shot, frames, every, names, rmse, corrected, anew))
        done = before + lengths[shot]
    return sorted(found, key=lambda change: (-change.worst_mm, change.shot)), failed


def _length(production: Production, actor: str, shot: str) -> int:
    try:
        return frames_of(production, actor, shot)
    except FacecapError:  # it is told where the shot is compared
        return 0
