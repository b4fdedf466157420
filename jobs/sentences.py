"""Sentences: a moment of running work in words, the same in logs and beside bars."""

from __future__ import annotations

from collections.abc import Mapping

from facecap_core.progress import Progress
from jobs.records import JobStatus, Moment, ShotRecord


def moment_sentence(now: Moment | Progress, *, left: bool = True) -> str:
    """`epoch 3.2/60, 620 frames/s, 1m20s left, ...` of a training, `decode 128/442 frames` else.

    Args:
        left: with the time left, which those leave out who say when the job ends.
    """
    if "epoch" in now.figures:
        ended = now.total is not None and now.done >= now.total  # calibration is still to come
        return _epoch_sentence(now.figures, left=left and not ended)
    end = "" if now.total is None else f"/{now.total}"
    others = [f", {name.replace('_', ' ')} {value:.4g}" for name, value in now.figures.items()]
    return f"{now.what} {now.done}{end} {now.unit}{''.join(others)}"


def _epoch_sentence(figures: Mapping[str, float], *, left: bool) -> str:
    """Epoch, speed, time left, loss and validation error, as far as they are known."""
    parts = [f"epoch {figures['epoch']:.1f}"]
    if "epochs" in figures:
        parts[0] += f"/{figures['epochs']:g}"
    if "frames_per_second" in figures:
        parts.append(f"{figures['frames_per_second']:.0f} frames/s")
    if left and "seconds_left" in figures:
        parts.append(f"{duration(figures['seconds_left'])} left")
    if "loss_cm2" in figures:
        parts.append(f"loss {figures['loss_cm2']:.5f} cm²")
    if "validation_rmse_mm" in figures:
        parts.append(f"validation {figures['validation_rmse_mm']:.3f} mm")
    return ", ".join(parts)


def result_sentence(figures: Mapping[str, float]) -> str:
    """`validation 0.417 mm, training 0.301 mm, in 12m02s` of a finished training, with the validation error of
    the model that it started from."""
    parts = []
    for name in ("validation", "training"):
        if (key := f"{name}_rmse_mm") in figures:
            before = figures.get(f"base_{key}")
            parts.append(f"{name} {figures[key]:.3f} mm")
            parts[-1] += "" if before is None else f" (before {before:.3f})"
    if "seconds" in figures:
        parts.append(f"in {duration(figures['seconds'])}")
    return ", ".join(parts)


def end_sentence(record: ShotRecord, count: int, total: int) -> str:
    """`infer 12/40 ada_line_0001: solved, 442 frames, 8.1 s` of a shot or training that ended, the count-th
    of its stage."""
    head = f"{record.stage} {count}/{total} {record.name}: {record.state_word}"
    if record.state == "solved":
        if record.stage == "train":
            return f"{head}, {result_sentence(record.figures)}"
        how = "there already" if record.reused else f"{record.seconds or 0:.1f} s"
        return f"{head}, {record.frames} frames, {how}"
    return f"{head}: {record.cause}" if record.cause else head


def counted(status: JobStatus) -> str:
    """`12 solved, 1 failed, 27 queued`; of a training or an ingest, `12 ingested`."""
    return ", ".join(
        f"{count} {status.done_word if state == 'solved' else state}"
        for state, count in status.counts.items()
        if count
    )


def duration(seconds: float | None) -> str:
    """Seconds as 8s, 3m20s or 2h05m."""
    if seconds is None:
        return ""
    whole = int(max(0.0, seconds) + 0.5)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
