"""Schedule: learning rate, beta1 and augmentation strength as pure functions of progress in epochs."""

from __future__ import annotations

import math

from facecap_core.learning.config import AugmentationConfig, ScheduleConfig

RAMPUP_START = 1e-3  # the geometric rise begins at this part of the learning rate


def learning_rate(epoch: float, schedule: ScheduleConfig) -> float:
    """Learning rate at `epoch` (fractional, 0 to `schedule.epochs`), Section 4.2.

    `paper`: geometric rise in the first epoch, then 1/sqrt(t) with t in epochs, times a smooth ramp to
    zero over the last epochs. `cosine`: the same rise, then half a cosine to zero.
    """
    rampup = min(schedule.rampup_epochs, schedule.epochs / 2)
    if epoch < rampup:
        return schedule.learning_rate * RAMPUP_START ** (1 - epoch / rampup)
    if schedule.kind == "cosine":
        part = (epoch - rampup) / (schedule.epochs - rampup)
        return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))
    decay = 1 / math.sqrt(max(epoch, 1.0))
    return schedule.learning_rate * decay * (1 - rampdown(epoch, schedule))


def beta1(epoch: float, schedule: ScheduleConfig) -> float:
    """Adam's beta1 at `epoch`; `paper`: from 0.9 to 0.5 over the last epochs, Section 4.2."""
    if schedule.kind == "cosine":
        return schedule.beta1
    return schedule.beta1 + (schedule.final_beta1 - schedule.beta1) * rampdown(epoch, schedule)


def rampdown(epoch: float, schedule: ScheduleConfig) -> float:
    """0 before the last `rampdown_epochs`, then smoothly (half a cosine) to 1 at the end."""
    length = min(schedule.rampdown_epochs, schedule.epochs)
    if length <= 0:
        return 0.0
    part = (epoch - (schedule.epochs - length)) / length
    return 0.5 * (1 - math.cos(math.pi * min(max(part, 0.0), 1.0)))


def augmentation_strength(epoch: float, augmentation: AugmentationConfig) -> float:
    """Linear from 0 to 1 over the first `ramp_epochs`, Section 4.2."""
    if augmentation.ramp_epochs <= 0:
        return 1.0
    return min(1.0, epoch / augmentation.ramp_epochs)
