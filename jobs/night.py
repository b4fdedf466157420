"""Night: what came of a job, by cause, by machine and over time, counted from its ledger alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facecap_core.reports.machines_chart import Span, together_seconds
from jobs.records import Cause, JobStatus, ShotRecord


@dataclass(frozen=True)
class Failure:
    """The shots that failed of one kind of cause, with what mends it."""

    type: str
    kind: str
    remedy: str
    records: tuple[ShotRecord, ...]


@dataclass(frozen=True)
class Machine:
    """What one machine did; frames are those that it solved anew."""

    host: str
    solved: int
    failed_tries: int
    frames: int
    at_work_seconds: float  # with at least one shot
    task_seconds: float  # of all its tasks, side by side ones counted each
    waited_seconds: float  # that networks waited for pictures
    network_seconds: float
    peak_memory_gb: float | None  # of its largest worker

    @property
    def frames_per_second(self) -> float | None:
        return self.frames / self.at_work_seconds if self.at_work_seconds else None


@dataclass(frozen=True)
class Night:
    """One job, as far as its records tell; shots of the store that were kept count as reused."""

    status: JobStatus
    spans: tuple[Span, ...]
    failures: tuple[Failure, ...]
    machines: tuple[Machine, ...]
    frames: int  # of all solved shots
    new_frames: int  # without those that were in the store already
    reused: int
    tries: int  # how often work on a shot was begun
    waited_to_begin_seconds: float | None  # from the submission to the first task; None: not known

    @property
    def at_work_seconds(self) -> float:
        return together_seconds(self.spans)

    @property
    def frames_per_second(self) -> float | None:
        """Over the time in which anything was at work."""
        return self.new_frames / self.at_work_seconds if self.at_work_seconds else None


def night_of(status: JobStatus) -> Night:
    """Count a job's records; those of a training are a shot's too."""
    records = [*status.shots, *([status.training] if status.training else [])]
    spans = [span for record in records for span in _spans(record)]
    solved = [record for record in status.shots if record.state == "solved"]
    hosts = sorted({span.host for span in spans})
    submission = status.submission
    later = [s.began for s in spans if submission is not None and s.began >= submission.submitted]
    return Night(
        status=status,
        spans=tuple(spans),
        failures=failures_of(records),
        machines=tuple(_machine(host, records, spans) for host in hosts),
        frames=sum(record.frames or 0 for record in solved),
        new_frames=sum(record.frames or 0 for record in solved if not record.reused),
        reused=sum(record.reused for record in solved),
        tries=sum(max(record.attempt, len(record.tries)) for record in records),
        waited_to_begin_seconds=min(later) - submission.submitted if later and submission else None,
    )


def failures_of(records: Sequence[ShotRecord]) -> tuple[Failure, ...]:
    """What failed, by cause, the most frequent first."""
    groups: dict[tuple[str, str, str], list[ShotRecord]] = {}
    for record in records:
        if record.state == "failed":
            cause = record.cause or Cause(type="Unknown", message="", remedy="see farm logs")
            groups.setdefault((cause.type, cause.kind, cause.remedy), []).append(record)
    found = [Failure(*key, tuple(members)) for key, members in groups.items()]
    return tuple(sorted(found, key=lambda failure: -len(failure.records)))


def _spans(record: ShotRecord) -> list[Span]:
    """Its tries whose end is known; one at work is none of them."""
    spans = []
    for number, one in enumerate(record.tries):
        if one.ended is None:
            continue
        last = number == len(record.earlier)
        made = last and record.state == "solved" and not record.reused and record.stage != "train"
        spans.append(
            Span(
                shot=record.name,
                host=one.host,
                began=one.started,
                ended=max(one.started, one.ended),  # another machine's clock may have ended it
                frames=(record.frames or 0) if made else 0,
                failed=one.cause is not None and one.cause.type != "Cancelled",
            )
        )
    return spans


def _machine(host: str, records: Sequence[ShotRecord], spans: Sequence[Span]) -> Machine:
    own = [span for span in spans if span.host == host]
    ended = [record for record in records if record.host == host and record.state == "solved"]
    peaks = [r.peak_memory_gb for r in records if r.host == host and r.peak_memory_gb is not None]
    return Machine(
        host=host,
        solved=len(ended),
        failed_tries=sum(span.failed for span in own),
        frames=sum(span.frames for span in own),
        at_work_seconds=together_seconds(own),
        task_seconds=sum(span.ended - span.began for span in own),
        waited_seconds=sum(record.figures.get("waited_seconds", 0.0) for record in ended),
        network_seconds=sum(record.figures.get("network_seconds", 0.0) for record in ended),
        peak_memory_gb=max(peaks, default=None),
    )
