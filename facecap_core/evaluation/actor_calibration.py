"""Actor calibration: a trained model's confidence learned anew, from the shots of its production."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from facecap_core.errors import ModelError
from facecap_core.evaluation.subject import EvaluatedShot, Subject
from facecap_core.learning.calibration import FEWEST_FRAMES, MOST_TRAINING, calibrate
from facecap_core.learning.confidence import Confidence
from facecap_core.learning.model import set_confidence
from facecap_core.learning.network import shrink
from facecap_core.learning.novelty import evenly
from facecap_core.learning.trainingset import ShotPaths, load_examples
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.stores.groups import open_frames


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
    size = model.config.network.input_size
    confidence = None
    if held:
        validation = load_examples(
            [ShotPaths(shot.shot, shot.views, shot.target) for shot in subject.shots(held)],
            units=production.units,
            input_size=size,
        )
        training = _pictures(subject.shots(learned), size, on_progress)
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


def _pictures(
    shots: Sequence[EvaluatedShot], size: tuple[int, int], on_progress: OnProgress | None
) -> torch.Tensor:
    """Some of the shots' pictures, evenly spread: uint8 [picture, view, y, x] of this size."""
    stores = [[open_frames(view) for view in shot.views] for shot in shots]
    total = sum(cameras[0].frames for cameras in stores)
    wanted = torch.zeros(total, dtype=torch.bool)
    wanted[evenly(total, MOST_TRAINING)] = True
    found, done = [], 0
    for cameras in stores:
        for blocks in zip(*(camera.chunks("luma") for camera in cameras), strict=True):
            some = wanted[done : done + len(blocks[0])]
            views = [shrink(torch.from_numpy(block)[some], size) for block in blocks]
            found.append(torch.stack(views, dim=1))
            done += len(some)
            report(on_progress, Progress("read", done, total))
    return torch.cat(found)
