"""Actor calibration: a trained model's confidence learned anew, from the shots of its production."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from facecap_core.errors import ModelError
from facecap_core.evaluation.subject import EvaluatedShot, Subject
from facecap_core.learning.calibration import FEWEST_FRAMES, MOST_TRAINING, calibrate
from facecap_core.learning.confidence import Confidence
from facecap_core.learning.examples import Examples
from facecap_core.learning.model import set_confidence
from facecap_core.learning.network import shrink
from facecap_core.learning.novelty import evenly
from facecap_core.learning.trainingset import ShotPaths, load_examples
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.stores.groups import open_frames, open_targets
from facecap_core.units import MM_PER_UNIT


def calibrate_actor(
    subject: Subject, destination: Path, on_progress: OnProgress | None = None
) -> Confidence:
    """Learn what the subject's model makes of frames that it was not trained on, and keep that with the model.

    These are the shots that are now of split validation, whether or not they were when the model was
    trained. What was solved before keeps the figures that it has.

    Args:
        destination: the model's folder, see `StorePaths.model`.

    Raises:
        ModelError: there are too few such frames. StoreError: a shot is not ingested, or the model cannot be
        written. TrainingError: frame or vertex counts disagree. Cancelled: `on_progress` answered False.
    """
    production, model = subject.production, subject.model
    learned = subject.names("train")
    held = [
        shot.name
        for shot in production.shots_of(subject.actor, split="validation")
        if shot.name not in learned
    ]
    for shot in subject.shots([*learned, *held]):
        subject.check_crops(shot)
        subject.check_mesh(shot)
    size = model.config.network.input_size
    confidence = None
    if held:
        validation = load_examples(
            [ShotPaths(shot.shot, shot.views, shot.target) for shot in subject.shots(held)],
            units=production.units,
            input_size=size,
        )
        training = _some_of(subject.shots(learned), size, production.units, on_progress)
        confidence = calibrate(
            model,
            training.to(model.device),
            validation.to(model.device),
            animated=subject.animated,
            on_progress=on_progress,
        )
    if confidence is None:
        raise ModelError(
            f"{subject.actor} has fewer than {FEWEST_FRAMES} tracked frames that the model was not trained on",
            remedy="give a tracked shot split validation, and farm submit ingest it",
            file=production.shots_path,
        )
    set_confidence(destination, confidence)
    return confidence


def _some_of(
    shots: Sequence[EvaluatedShot],
    size: tuple[int, int],
    units: str,
    on_progress: OnProgress | None,
) -> Examples:
    """Some of the shots' frames, evenly spread, with pictures of this size."""
    views = [[open_frames(view) for view in shot.views] for shot in shots]
    targets = [open_targets(shot.target) for shot in shots]
    total = sum(target.frames for target in targets)
    wanted = torch.zeros(total, dtype=torch.bool)
    wanted[evenly(total, MOST_TRAINING)] = True
    luma, positions, done = [], [], 0
    for cameras, target in zip(views, targets, strict=True):
        stores = [camera.chunks("luma") for camera in cameras]
        for *pictures, mesh in zip(*stores, target.chunks("positions"), strict=True):
            some = wanted[done : done + len(mesh)]
            small = [shrink(torch.from_numpy(block)[some], size) for block in pictures]
            luma.append(torch.stack(small, dim=1))
            positions.append(torch.from_numpy(mesh)[some].flatten(1) * (MM_PER_UNIT[units] / 10))
            done += len(mesh)
            report(on_progress, Progress("read", done, total))
    return Examples(torch.cat(luma), torch.cat(positions), ())
