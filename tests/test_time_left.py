"""Time left: the guess against schedules whose end is known."""

from __future__ import annotations

import heapq
import random
from statistics import median

import pytest

from farm.status_tables import training_line
from jobs.records import Moment, ShotRecord
from jobs.sentences import moment_sentence
from jobs.time_left import seconds_left


def schedule(durations, workers):
    """When each shot begins and ends, where a free worker takes the next one."""
    free = [0.0] * workers
    spans = []
    for seconds in durations:
        begin = heapq.heappop(free)
        spans.append((begin, begin + seconds))
        heapq.heappush(free, begin + seconds)
    return spans


def records_at(spans, now, *, progress=True, frames=100):
    """What the ledger would say at that moment."""
    records = []
    for number, (begin, end) in enumerate(spans):
        record = ShotRecord(name=f"s{number}", stage="infer")
        if end <= now:
            changes = {"state": "solved", "seconds": end - begin, "started": begin, "ended": end}
        elif begin <= now:
            done = int(frames * (now - begin) / (end - begin))
            moment = Moment(what="solve", done=done, total=frames) if progress and done else None
            changes = {"state": "running", "started": begin, "progress": moment}
        else:
            changes = {}
        records.append(record.model_copy(update=changes))
    return records


DRAWS = {
    "equal": lambda rng: 20.0,
    "uniform": lambda rng: rng.uniform(5, 35),
    "a few long ones": lambda rng: 60.0 if rng.random() < 0.1 else 10.0,
}


@pytest.mark.parametrize("draw", list(DRAWS))
@pytest.mark.parametrize("workers", [1, 4, 16])
@pytest.mark.parametrize("progress", [True, False], ids=["told", "silent"])
def test_halfway_the_guess_is_near_the_truth(draw, workers, progress):
    rng = random.Random(7)
    for part in (0.3, 0.5, 0.7):
        ratios = []
        for _ in range(7):
            spans = schedule([DRAWS[draw](rng) for _ in range(400)], workers)
            end = max(end for _, end in spans)
            guess = seconds_left(records_at(spans, part * end, progress=progress), now=part * end)
            ratios.append(guess / (end - part * end))
        assert 0.75 < median(ratios) < 1.33
        assert min(ratios) > 0.45  # a long shot that is yet to come cannot be foreseen
        assert max(ratios) < 1.6


def test_the_first_progress_says_something_already():
    spans = schedule([10.0] * 8, 2)
    assert seconds_left(records_at(spans, 0.01), now=0.01) is None
    assert seconds_left(records_at(spans, 5.0), now=5.0) == pytest.approx(35.0, rel=0.05)


def of_frames(frames, workers, seconds_per_frame=0.1):
    """A schedule of shots of so many frames, and what the ledger says of it at a moment."""
    spans = schedule([seconds_per_frame * count for count in frames], workers)

    def at(now):
        records = []
        for number, ((begin, end), count) in enumerate(zip(spans, frames, strict=True)):
            done = int(count * (now - begin) / (end - begin))
            record = records_at([(begin, end)], now, frames=count)[0]
            update = {"name": f"s{number}", "frames": count if end <= now else None}
            if record.state == "running":
                update["progress"] = Moment(what="solve", done=max(1, done), total=count)
            records.append(record.model_copy(update=update))
        return records

    return at, max(end for _, end in spans)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "frames", [(100, 1000, 120), (1000, 100, 120), (60, 90, 1000), (200, 1000, 100, 400)]
)
def test_of_a_few_shots_of_quite_different_lengths_the_guess_stays_near(frames, workers):
    at, end = of_frames(frames, workers)
    sizes = {f"s{number}": 9000 * count for number, count in enumerate(frames)}
    for part in range(5, 100, 5):
        now = part / 100 * end
        guess = seconds_left(at(now), now=now, sizes=sizes)
        assert guess == pytest.approx(end - now, rel=0.15, abs=0.02 * end), part


def test_a_long_shot_is_told_by_its_frames_as_soon_as_it_begins():
    at, end = of_frames((100, 1000), 1)
    for now in (11.0, 30.0, 60.0, 100.0):
        assert seconds_left(at(now), now=now) == pytest.approx(end - now, rel=0.1)


def test_the_last_shot_counts_down_by_its_own_progress():
    spans = [(0.0, 10.0), (10.0, 110.0)]  # far longer than the first
    assert seconds_left(records_at(spans, 100.0), now=100.0) == pytest.approx(10.0, rel=0.2)


def test_what_has_ended_takes_no_more_time():
    ended = [
        ShotRecord(name=state, stage="infer", state=state)
        for state in ("solved", "failed", "cancelled", "skipped")
    ]
    assert seconds_left(ended, now=0.0) == 0.0


def test_shots_that_were_in_the_store_already_tell_no_speed():
    records = [
        ShotRecord(name=f"s{i}", stage="infer", state="solved", reused=True, seconds=0.01)
        for i in range(50)
    ]
    records += [ShotRecord(name="new", stage="infer", state="running", started=0.0)]
    assert seconds_left(records, now=5.0) is None
    records += [ShotRecord(name="t", stage="infer", state="solved", seconds=30.0)]
    assert seconds_left(records, now=5.0) == pytest.approx(25.0)


def test_between_two_tasks_the_places_are_those_of_just_before():
    spans = [(0.0, 10.0), (0.0, 10.1), (0.0, 9.9), (0.1, 10.0), (10.5, 20.0), (10.5, 20.0)]
    records = records_at(spans, 10.3)
    assert not [record for record in records if record.state == "running"]
    assert seconds_left(records, now=10.3) == pytest.approx(10.0, rel=0.05)


def test_clocks_that_differ_do_no_harm():
    spans = schedule([10.0] * 4, 2)
    assert seconds_left(records_at(spans, 12.0), now=-5.0) >= 0.0


def test_a_training_is_asked_itself():
    shot = ShotRecord(name="s", stage="ingest", state="solved", seconds=1.0)
    training = ShotRecord(name="m", stage="train")
    assert seconds_left([shot, training], now=0.0) is None
    moment = Moment(what="train", done=10, total=100, unit="steps")
    running = training.model_copy(update={"state": "running", "started": 0.0, "progress": moment})
    assert seconds_left([shot, running], now=5.0) == pytest.approx(45.0)
    moment = moment.model_copy(update={"figures": {"epoch": 1.0, "seconds_left": 70.0}})
    running = running.model_copy(update={"progress": moment})
    assert seconds_left([shot, running], now=5.0) == 70.0
    for what, done in (
        ("train", 100),
        ("calibrate", 1),
    ):  # a model is not there before it is calibrated
        after = moment.model_copy(
            update={"what": what, "done": done, "figures": {"epoch": 9.0, "seconds_left": 0.0}}
        )
        last = running.model_copy(update={"progress": after})
        assert seconds_left([shot, last], now=900.0) is None
    solved = training.model_copy(update={"state": "solved"})
    assert seconds_left([shot, solved], now=5.0) == 0.0


def test_the_time_left_of_a_training_is_told_once():
    figures = {"epoch": 1.0, "epochs": 10.0, "seconds_left": 70.0}
    moment = Moment(what="train", done=10, total=100, unit="frames", figures=figures)
    assert moment_sentence(moment) == "epoch 1.0/10, 1m10s left"
    record = ShotRecord(name="m", stage="train", state="running", progress=moment)
    assert training_line(record) == "epoch 1.0/10", "beside what the line of the shots says"
    ended = moment.model_copy(update={"done": 100, "figures": {"epoch": 10.0, "seconds_left": 0.0}})
    assert moment_sentence(ended) == "epoch 10.0", "calibration is still to come"
