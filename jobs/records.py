"""Records: what the ledger's files say of a shot, a submission and a driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field

from facecap_core.errors import FacecapError
from facecap_core.files import TRANSIENT
from jobs.decoder import Decoder
from jobs.errors import NoSuchResources, WorkerLost

ShotState = Literal["queued", "running", "solved", "failed", "cancelled", "skipped"]
JobState = Literal["queued", "running", "interrupted", "done", "failed", "cancelled"]
SHOT_STATES: tuple[ShotState, ...] = (
    "queued",
    "running",
    "solved",
    "failed",
    "cancelled",
    "skipped",
)
Stage = Literal["ingest", "train", "infer", "export", "review"]
"""What is done to a shot (or, train, to a model); of what is asked for, the last thing done."""
DONE: Mapping[str, str] = {
    "ingest": "ingested",
    "train": "trained",
    "infer": "solved",
    "export": "made",
    "review": "made",
}
"""The state `solved` in the words of each stage: a shot that a training read is not solved yet."""
CauseKind = Literal["fault", "transient", "memory", "lost", "hung", "bug"]
"""What a failure is: a user can mend it; the storage hiccuped; too little memory; the worker or its
machine died; no progress; an error of ours."""


_TORCH_MEMORY = re.compile(r"DefaultCPUAllocator: can't allocate memory|CUDA out of memory")


class _Record(BaseModel):
    # A newer version's extra fields are no reason not to show a job.
    model_config = ConfigDict(extra="ignore")

    schema_version: Literal[1] = 1


class Cause(BaseModel):
    """Why something failed, in the words of the error."""

    type: str
    message: str
    remedy: str = ""
    kind: CauseKind = "fault"

    @classmethod
    def of(cls, error: BaseException) -> Cause:
        """The error's message and remedy; of an unexpected one its class and text."""
        if isinstance(error, FacecapError):
            fault = error.fault
            place = fault.file + (f":{fault.line}" if fault.line else "")
            text = f"{place}: {fault.message}" if place else fault.message
            kind: CauseKind = "transient" if getattr(error, "transient", False) else "fault"
            if isinstance(error, WorkerLost):
                kind = "lost"
            return cls(type=type(error).__name__, message=text, remedy=fault.remedy, kind=kind)
        text = str(error).strip() or type(error).__name__
        kind = "bug"
        if isinstance(error, MemoryError) or _TORCH_MEMORY.search(text):
            kind = "memory"
        elif isinstance(error, OSError) and error.errno in TRANSIENT:
            kind = "transient"
        return cls(
            type=type(error).__name__, message=text[:2000], remedy="see farm logs", kind=kind
        )

    def __str__(self) -> str:
        return f"{self.message} -> {self.remedy}" if self.remedy else self.message


class Moment(BaseModel):
    """How far running work has come."""

    what: str
    done: int
    total: int | None = None
    unit: str = "frames"
    figures: dict[str, float] = Field(default_factory=dict)


class Try(BaseModel):
    """One time that a shot's work was begun, as it ended; None where its end was not seen."""

    host: str
    started: float
    ended: float | None = None
    cause: Cause | None = None


class ShotRecord(_Record):
    """The state of one shot of a job, or (stage `train`) of the training of its model."""

    name: str
    stage: Stage
    state: ShotState = "queued"
    attempt: int = Field(default=0, description="how often its work was begun")
    frames: int | None = None
    seconds: float | None = None
    reused: bool = Field(default=False, description="it was in the store already, and verified")
    lost: int = Field(default=0, description="how often its worker or machine died in this attempt")
    memory_gb: float | None = Field(default=None, description="reserved for it, if any was")
    peak_memory_gb: float | None = Field(default=None, description="of its worker, all that it did")
    cause: Cause | None = None
    host: str = ""
    node: str = Field(default="", description="Ray's id of the machine")
    started: float | None = Field(default=None, description="Unix time")
    ended: float | None = None
    progress: Moment | None = None
    figures: dict[str, float] = Field(default_factory=dict, description="results in units by name")
    store_versions: dict[str, str] = Field(
        default_factory=dict,
        description="store: the version that was made, or found to be the same",
    )
    weights: dict[str, str] = Field(
        default_factory=dict,
        description="actor: fingerprint of the weights of the model that solved it",
    )
    warnings: list[str] = Field(
        default_factory=list, description="what is to be looked at, though it is done"
    )
    earlier: list[Try] = Field(default_factory=list, description="its tries before this one")

    @property
    def state_word(self) -> str:
        """Its state for people: `ingested`, `trained`, `made` where it is that."""
        return DONE[self.stage] if self.state == "solved" else self.state

    @property
    def tries(self) -> list[Try]:
        """All of them, this one included once it was begun."""
        if self.started is None:
            return self.earlier
        now = Try(host=self.host, started=self.started, ended=self.ended, cause=self.cause)
        return [*self.earlier, now]

    def queued(self) -> ShotRecord:
        """It as it waits to be tried again, its last try among the earlier ones."""
        again: dict[str, Any] = {"state": "queued", "earlier": self.tries}
        again |= dict.fromkeys(("cause", "progress", "started", "ended"))
        return self.model_copy(update=again)


class Lot(BaseModel):
    """What a try of a task is given beside its name."""

    model_config = ConfigDict(frozen=True)

    threads: int
    decode_apart: bool = Field(default=False, description="on machines without a GPU, as a stream")
    avoid: tuple[str, ...] = Field(default=(), description="machines that shall not decode")
    lost: int = 0
    memory_gb: float | None = None
    decoder: Decoder = Decoder.SOFTWARE


class Options(BaseModel):
    """How a job is to run; other options do not make it another job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: float | None = Field(
        default=None, gt=0, le=4096, description="per task; None: 1, training all"
    )
    gpus: float | None = Field(
        default=None, ge=0, le=64, description="per task; None: as the cluster has"
    )
    memory: float | None = Field(
        default=None,
        gt=0,
        le=65536,
        description="GB per task; None: reserved only after it ran out",
    )
    max_parallel: int | None = Field(default=None, ge=1, description="tasks at once; None: all")
    hung_minutes: float = Field(
        default=10.0,
        gt=0,
        le=1e6,
        description="without progress, a task is ended and tried elsewhere",
    )
    after: str | None = Field(default=None, description="a job that must be done first")
    decoder: Decoder = Decoder.SOFTWARE


class Submission(_Record):
    """The latest time the job was handed to a cluster."""

    attempt: int
    submission_id: str
    production: str
    address: str
    dashboard: str
    submitted: float
    host: str
    user: str = ""
    options: Options = Options()
    keeper: Process | None = None
    cause: Cause | None = Field(
        default=None, description="set when the cluster did not take the job"
    )


class Process(BaseModel):
    """A process that can be told from a later one with the same number."""

    host: str
    pid: int
    created: float


class Driver(_Record):
    """The driver's heartbeat."""

    attempt: int
    process: Process
    beat: float = Field(description="Unix time of the last heartbeat")
    state: Literal["running", "finished", "failed"] = "running"
    started: float
    submission_id: str = ""
    ray_job_id: str = Field(default="", description="the driver's name in Ray's own logs")
    dashboard: str = ""
    waits_for: str = Field(default="", description="the job that must be done first")
    waits_state: str = Field(default="", description="the state of that job")
    cause: Cause | None = None


class JobStatus(_Record):
    """All that `farm status` shows, derived from files alone."""

    job: str
    kind: Stage
    label: str
    state: JobState
    detail: str = Field(
        default="", description="why it is interrupted or failed, where no shot says it"
    )
    counts: dict[ShotState, int]
    seconds_left: float | None = None
    stale: dict[str, str] = Field(
        default_factory=dict, description="actor: the newer model, of vertices of an older one"
    )
    shots: list[ShotRecord]
    training: ShotRecord | None = None
    model: str | None = None
    submission: Submission | None = None
    driver: Driver | None = None

    @property
    def ended(self) -> bool:
        """Whether waiting longer is of no use."""
        return self.state in ("done", "failed", "cancelled", "interrupted")

    @property
    def done_word(self) -> str:
        """What its shots are when they are done."""
        return DONE[shot_stage(self.kind)]

    @property
    def without_end(self) -> int:
        """Shots that are in none of the ends, so far."""
        return self.counts["queued"] + self.counts["running"]

    @computed_field(description="of an ended job: shots that are in none of the ends")  # type: ignore[prop-decorator]
    @property
    def missing(self) -> int:
        return self.without_end if self.ended else 0


Submission.model_rebuild()


def shot_stage(kind: Stage) -> Stage:
    """What a job of this kind does to its shots: a training reads them."""
    return "ingest" if kind == "train" else kind


def options(**chosen: Any) -> Options:
    """The options of a command line, by the names of `Options`; None leaves the default.

    Raises:
        NoSuchResources: a number that no machine could have.
    """
    try:
        return Options(**{name: value for name, value in chosen.items() if value is not None})
    except ValidationError as error:
        fault = error.errors()[0]
        field = str(fault["loc"][0])
        name = {"hung_minutes": "hung-after"}.get(field, field.replace("_", "-"))
        raise NoSuchResources(f"--{name} {fault['input']}: {fault['msg']}") from error
