"""Time left: when a job will end, guessed from the records of its shots alone."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from jobs.records import ShotRecord


def seconds_left(records: Sequence[ShotRecord], *, now: float) -> float | None:
    """The seconds until the last of these shots (and the training, if it is among them) ends.

    Queued shots are dealt out to as many places as there are shots at work, and are held to take what
    those before them took, the long ones as often. Meant for a job that runs; of one that stands still
    it knows nothing.

    Returns:
        None where nothing can be said yet: no shot has ended and none has told its progress.
    """
    training = next((record for record in records if record.stage == "train"), None)
    shots = [record for record in records if record.stage != "train"]
    left = _shots_left(shots, now)
    if training is None or training.state not in ("queued", "running"):
        return left
    if training.state == "queued":  # nobody knows how long one takes before it begins
        return None
    return _training_left(training, now)


def _shots_left(shots: Sequence[ShotRecord], now: float) -> float | None:
    running = [record for record in shots if record.state == "running"]
    queued = sum(record.state == "queued" for record in shots)
    if not running and not queued:
        return 0.0
    before = _seconds_each(shots, now)
    if not before:
        return None
    usual = sum(before) / len(before)
    places = [_running_left(record, usual, now) for record in running]
    places = places or [0.0] * _lately_at_once(shots)
    heapq.heapify(places)
    for number in range(queued):
        like = before[
            number * len(before) // queued if queued < len(before) else number % len(before)
        ]
        heapq.heapreplace(places, places[0] + like)
    return max(places)


def _seconds_each(shots: Sequence[ShotRecord], now: float) -> list[float]:
    """What each shot that was begun takes in all; of those under way, as far as one can say.

    Those that have ended would not do alone: they are the short ones.
    """
    ended = [s for record in shots if (s := _seconds(record)) is not None]
    mean = sum(ended) / len(ended) if ended else None
    each = []
    for record in shots:
        seconds = _seconds(record)
        if record.state == "running" and mean is not None:
            seconds = _elapsed(record, now) + _running_left(record, mean, now)
        elif record.state == "running" and (done := _done(record)):
            seconds = _elapsed(record, now) / done
        if seconds is not None:
            each.append(seconds)
    return each


def _seconds(record: ShotRecord) -> float | None:
    """How long a shot took that was worked on; one that was in the store already says nothing."""
    worked = record.state in ("solved", "failed") and not record.reused
    return record.seconds if worked else None


def _running_left(record: ShotRecord, usual: float, now: float) -> float:
    """By its own progress, the more so the further it has come; by what is usual before that."""
    elapsed = _elapsed(record, now)
    by_others = max(0.0, usual - elapsed)
    done = _done(record)
    if not done:
        return by_others
    by_itself = elapsed * (1 - done) / done
    return done * by_itself + (1 - done) * by_others


def _training_left(training: ShotRecord, now: float) -> float | None:
    progress = training.progress
    if (
        progress is None or progress.what != "train"
    ):  # what it took so far says nothing of reading or calibrating
        return None
    if "seconds_left" in progress.figures:
        return max(0.0, progress.figures["seconds_left"])
    done = _done(training)
    return _elapsed(training, now) * (1 - done) / done if done else None


def _lately_at_once(shots: Sequence[ShotRecord]) -> int:
    """How many shots were at work when the latest one ended: between two tasks none is."""
    spans = [(r.started, r.ended) for r in shots if r.started is not None and r.ended is not None]
    if not spans:
        return 1
    latest = max(spans, key=lambda span: span[1])
    moment = (latest[0] + latest[1]) / 2
    return max(1, sum(began <= moment <= ended for began, ended in spans))


def _done(record: ShotRecord) -> float:
    """The part of its work that is done, 0 where that is not known."""
    progress = record.progress
    if progress is None or not progress.total:
        return 0.0
    return min(1.0, progress.done / progress.total)


def _elapsed(record: ShotRecord, now: float) -> float:
    # The clocks of two machines may differ a little.
    return max(0.0, now - record.started) if record.started is not None else 0.0
