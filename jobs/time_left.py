"""Time left: when a job will end, guessed from the records of its shots alone."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.records import ShotRecord


def seconds_left(
    records: Sequence[ShotRecord], *, now: float, sizes: Mapping[str, int] | None = None
) -> float | None:
    """The seconds until the last of these shots (and the training, if it is among them) ends.

    Queued shots are dealt out to as many places as there are shots at work. They are held to take as long
    for each byte that they read as those before them took; where sizes are not known, what those took, the
    long ones as often. Meant for a job that runs; of one that stands still it knows nothing.

    Args:
        sizes: bytes that a shot reads, as far as they are known.

    Returns:
        None where nothing can be said yet: no shot has ended and none has told its progress.
    """
    training = next((record for record in records if record.stage == "train"), None)
    shots = [record for record in records if record.stage != "train"]
    left = _shots_left(shots, now, sizes or {})
    if training is None or training.state not in ("queued", "running"):
        return left
    if training.state == "queued":  # nobody knows how long one takes before it begins
        return None
    return _training_left(training, now)


def _shots_left(shots: Sequence[ShotRecord], now: float, sizes: Mapping[str, int]) -> float | None:
    running = [record for record in shots if record.state == "running"]
    queued = [record.name for record in shots if record.state == "queued"]
    if not running and not queued:
        return 0.0
    usual = _Usual.of(shots, now)
    before = _seconds_each(shots, usual, now)
    if not before:
        return None
    mean = sum(before.values()) / len(before)
    usual = replace(usual, seconds=mean)
    places = [_running_left(record, usual, now) for record in running]
    places = places or [0.0] * _lately_at_once(shots)
    heapq.heapify(places)
    measured = [name for name in before if sizes.get(name)]
    size = sum(sizes[name] for name in measured)
    dealt = _dealt(list(before.values()), len(queued))
    for name, like in zip(queued, dealt, strict=True):
        if size and name in sizes:
            like = sizes[name] * sum(before[other] for other in measured) / size
        heapq.heapreplace(places, places[0] + like)
    return max(places)


def _dealt(before: Sequence[float], count: int) -> list[float]:
    """So many durations like those before, in all as long as so many of them are on average."""
    if count < len(before):
        like = [before[number * len(before) // count] for number in range(count)]
    else:
        like = [before[number % len(before)] for number in range(count)]
    scale = count * sum(before) / len(before) / (sum(like) or 1.0)
    return [scale * seconds for seconds in like]


@dataclass(frozen=True)
class _Usual:
    """What the shots that have ended took, and a frame of them, else of those at work."""

    seconds: float | None
    seconds_per_frame: float | None

    @classmethod
    def of(cls, shots: Sequence[ShotRecord], now: float) -> _Usual:
        ended = [(s, record.frames) for record in shots if (s := _seconds(record)) is not None]
        paced = [(seconds, frames) for seconds, frames in ended if frames]
        if not paced:
            paced = [
                (_elapsed(record, now), record.progress.done)
                for record in shots
                if record.state == "running" and _total_frames(record) and record.progress
            ]
        frames = sum(frames for _, frames in paced)
        return cls(
            seconds=sum(seconds for seconds, _ in ended) / len(ended) if ended else None,
            seconds_per_frame=sum(seconds for seconds, _ in paced) / frames if frames else None,
        )

    def of_shot(self, record: ShotRecord) -> float | None:
        """What this one should take in all: by its own frames, where it has told how many there are."""
        frames = _total_frames(record)
        if frames and self.seconds_per_frame is not None:
            return frames * self.seconds_per_frame
        return self.seconds


def _seconds_each(shots: Sequence[ShotRecord], usual: _Usual, now: float) -> dict[str, float]:
    """What each shot that was begun takes in all; of those under way, as far as one can say.

    Those that have ended would not do alone: they are the short ones.
    """
    each = {}
    for record in shots:
        seconds = _seconds(record)
        if record.state == "running" and usual.seconds is not None:
            seconds = _elapsed(record, now) + _running_left(record, usual, now)
        elif record.state == "running" and (done := _done(record)):
            seconds = _elapsed(record, now) / done
        if seconds is not None:
            each[record.name] = seconds
    return each


def _seconds(record: ShotRecord) -> float | None:
    """How long a shot took that was worked on; one that was in the store already says nothing."""
    worked = record.state in ("solved", "failed") and not record.reused
    return record.seconds if worked else None


def _running_left(record: ShotRecord, usual: _Usual, now: float) -> float:
    """By its own progress, the more so the further it has come; by what is usual before that."""
    elapsed = _elapsed(record, now)
    by_others = max(0.0, (usual.of_shot(record) or 0.0) - elapsed)
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
    done = _done(training)
    if done >= 1:  # nor does it say how long saving and calibrating will
        return None
    if "seconds_left" in progress.figures:
        return max(0.0, progress.figures["seconds_left"])
    return _elapsed(training, now) * (1 - done) / done if done else None


def _lately_at_once(shots: Sequence[ShotRecord]) -> int:
    """How many shots were at work when the latest one ended: between two tasks none is."""
    spans = [(r.started, r.ended) for r in shots if r.started is not None and r.ended is not None]
    if not spans:
        return 1
    latest = max(spans, key=lambda span: span[1])
    moment = (latest[0] + latest[1]) / 2
    return max(1, sum(began <= moment <= ended for began, ended in spans))


def _total_frames(record: ShotRecord) -> int | None:
    """How many frames a shot at work has, where it has told."""
    progress = record.progress
    return progress.total if progress is not None and progress.unit == "frames" else None


def _done(record: ShotRecord) -> float:
    """The part of its work that is done, 0 where that is not known."""
    progress = record.progress
    if progress is None or not progress.total:
        return 0.0
    return min(1.0, progress.done / progress.total)


def _elapsed(record: ShotRecord, now: float) -> float:
    # The clocks of two machines may differ a little.
    return max(0.0, now - record.started) if record.started is not None else 0.0
