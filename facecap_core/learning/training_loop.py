"""Training loop: the steps of a run, from where it is to its end, with checkpoints, epochs, progress on the way."""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch

from facecap_core.errors import Cancelled, TrainingError
from facecap_core.files import write_text_atomically
from facecap_core.learning.checkpoint import save_checkpoint
from facecap_core.learning.model import metrics_lines
from facecap_core.learning.rmse import rmse_mm_of_loss
from facecap_core.learning.run import Run
from facecap_core.learning.schedule import augmentation_strength, beta1, learning_rate
from facecap_core.progress import OnProgress, Progress, report

LEAST_CHECKPOINT_SECONDS = 5.0
MOST_CHECKPOINT_SECONDS = 60.0


def run_through(
    run: Run,
    state_path: Path,
    checkpoint_seconds: float | None,
    progress_seconds: float,
    on_progress: OnProgress | None,
) -> None:
    """Take the steps that are missing.

    Args:
        state_path: the checkpoint; metrics.jsonl, a line an epoch, lies beside it.
        checkpoint_seconds: between two of them; None: fifty times what writing one takes, between 5 and 60.
        progress_seconds: between two calls of `on_progress`.

    Raises:
        TrainingError: the loss is not finite. StoreError: the state cannot be written.
        Cancelled: `on_progress` answered False; the state is kept.
    """
    config, position = run.config, run.position
    batch = config.batch
    run.network.train()
    started, before, first_step = time.monotonic(), position.seconds, position.step
    saved = told = started
    pause = LEAST_CHECKPOINT_SECONDS if checkpoint_seconds is None else checkpoint_seconds
    loss_sum = torch.full((), position.epoch_loss, dtype=torch.float64, device=run.device)

    def checkpoint() -> None:
        position.epoch_loss = float(loss_sum)
        position.seconds = before + time.monotonic() - started
        save_checkpoint(state_path, position, run.network, run.optimizers, run.average)

    while position.step < run.steps:
        step = position.step
        loss = run.step(step)
        loss_sum += loss.double() * batch
        position.step += 1
        position.epoch_frames += batch
        now = time.monotonic()
        rate = (position.step - first_step) * batch / max(now - started, 1e-9)
        last = position.step == run.steps
        if last or int(run.epoch(step + 1)) > int(run.epoch(step)):
            position.epoch_loss, position.seconds = float(loss_sum), before + now - started
            _close_epoch(run, rate, last)
            loss_sum.zero_()
            lines = metrics_lines(position.history)
            write_text_atomically(state_path.with_name("metrics.jsonl"), lines, new_folders=False)
        if now - saved >= pause:
            checkpoint()
            saved = time.monotonic()
            if checkpoint_seconds is None:
                pause = min(
                    MOST_CHECKPOINT_SECONDS, max(LEAST_CHECKPOINT_SECONDS, 50 * (saved - now))
                )
        if now - told >= progress_seconds or last:
            told = now
            try:
                _tell(run, float(loss), rate, on_progress)
            except Cancelled:
                checkpoint()
                raise


def _close_epoch(run: Run, frames_per_second: float, last: bool) -> None:
    """Add the epoch's line to the history."""
    config, position = run.config, run.position
    training_loss = position.epoch_loss / position.epoch_frames
    if not math.isfinite(training_loss):
        raise TrainingError(
            f"the loss is {training_loss} in epoch {run.epoch(position.step):.1f}",
            remedy="lower schedule.learning_rate, and run `farm check` on the caches",
        )
    epoch = run.epoch(position.step)
    # At the first end of an epoch after each interval, which need not be a whole number of epochs.
    before = position.history[-1]["epoch"] if position.history else 0
    every = config.validate_every_epochs
    due = last or int(epoch / every) > int(before / every)
    validation_loss, validation_rmse_mm = run.validate() if due else (None, None)
    position.history.append(
        {
            "epoch": int(epoch) if epoch.is_integer() or not last else round(epoch, 2),
            "frames_seen": position.step * config.batch,
            "seconds": round(position.seconds, 2),
            "frames_per_second": round(frames_per_second, 1),
            "learning_rate": learning_rate(epoch, config.schedule),
            "beta1": beta1(epoch, config.schedule),
            "augmentation": augmentation_strength(epoch, config.augmentation),
            "training_loss_cm2": training_loss,
            "training_rmse_mm": rmse_mm_of_loss(training_loss),
            "validation_loss_cm2": validation_loss,
            "validation_rmse_mm": validation_rmse_mm,
        }
    )
    position.epoch_loss, position.epoch_frames = 0.0, 0


def _tell(run: Run, loss: float, rate: float, on_progress: OnProgress | None) -> None:
    position, total = run.position, run.steps * run.config.batch
    seen = position.step * run.config.batch
    figures = {
        "epoch": run.epoch(position.step),
        "epochs": run.config.schedule.epochs,
        "frames_per_second": rate,
        "seconds_left": (total - seen) / max(rate, 1e-9),
        "loss_cm2": loss,
    }
    validated = [
        line["validation_rmse_mm"]
        for line in position.history
        if line["validation_rmse_mm"] is not None
    ]
    if validated:
        figures["validation_rmse_mm"] = validated[-1]
    report(on_progress, Progress("train", seen, total, "frames", figures))
