"""Request: what a job is asked to do, and nothing about where or when it runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

from facecap_core.errors import StoreError
from facecap_core.names import NAME_RULE, is_name, shown


def _name(text: str) -> str:
    if not is_name(text):  # it becomes a folder of the store
        raise ValueError(f"{shown(text)} is no name: {NAME_RULE}")
    return text


Name = Annotated[str, AfterValidator(_name)]
LATER = ("base", "corrections")
ShotNames = Annotated[tuple[Name, ...], Field(min_length=1)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    settings: dict[str, Any] = Field(
        description="frame rate, units, and of each actor template and crops: other ones, other job"
    )
    inputs: dict[Name, str] = Field(
        default_factory=dict, description="shot: digest of its files, changed ones make another job"
    )

    def canonical(self) -> str:
        """JSON with sorted keys and no spaces: equal requests give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """The first eight hexadecimal digits of the canonical text's SHA-256."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:8]


def _several(cameras: str | tuple[str, ...]) -> tuple[str, ...]:
    return (cameras,) if isinstance(cameras, str) else cameras


def one_or_several(cameras: Sequence[str]) -> str | tuple[str, ...]:
    """A single camera is written as a name: such requests, and so their jobs, stay what they were."""
    return cameras[0] if len(cameras) == 1 else tuple(cameras)


class IngestRequest(_Request):
    """Decode footage into frame stores and read point caches into target stores."""

    kind: Literal["ingest"] = "ingest"
    actors: ShotNames
    shots: ShotNames
    cameras: tuple[Name, ...] = Field(
        default=(), description="empty: every camera a shot has footage of"
    )

    @property
    def label(self) -> str:
        return self.actors[0] if len(self.actors) == 1 else "shots"


class Base(BaseModel):
    """The model that a fine-tuning starts from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name
    fingerprint: str = Field(description="of its weights: others make another job")


class TrainRequest(_Request):
    """Train one network of one actor; ingests of its shots what is missing."""

    kind: Literal["train"] = "train"
    actor: Name
    camera: Name | ShotNames = Field(description="one camera, or several that are seen together")
    training: ShotNames
    validation: tuple[Name, ...]
    config: dict[str, Any] = Field(description="the resolved TrainConfig")
    base: Base | None = Field(None, description="whose weights to start from")
    corrections: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict,
        description="shot: contents of the artists' corrections to learn from, the oldest first",
    )

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What came later is written where it says something: requests without stay what they were."""
        told: dict[str, Any] = inner(self)
        return {key: told[key] for key in told if key not in LATER or told[key]}

    @property
    def label(self) -> str:
        return self.actor

    @property
    def cameras(self) -> tuple[str, ...]:
        return _several(self.camera)

    @property
    def shots(self) -> tuple[str, ...]:
        """All shots that must be in the store before training starts."""
        tracked = self.training + self.validation
        return tracked + tuple(shot for shot in self.corrections if shot not in tracked)

    @property
    def model(self) -> str:
        """The model's id, e.g. `cpu-1f3a9c20`, `cpu_tuned-1f3a9c20` where it starts from another one."""
        preset = re.sub(r"[^A-Za-z0-9_]+", "_", str(self.config.get("preset", "model")))
        preset += "_tuned" if self.base is not None else ""
        return f"{preset}-{self.digest}"


class InferRequest(_Request):
    """Solve shots with trained models."""

    kind: Literal["infer"] = "infer"
    models: dict[Name, Name] = Field(min_length=1, description="actor: model id")
    cameras: dict[Name, Name | ShotNames] = Field(
        description="actor: the camera its model was trained on, or several"
    )
    shots: ShotNames

    def cameras_of(self, actor: str) -> tuple[str, ...]:
        """The cameras that the actor's model was trained on."""
        return _several(self.cameras[actor]) if actor in self.cameras else ()

    @property
    def label(self) -> str:
        return next(iter(self.models)) if len(self.models) == 1 else "shots"


class _OutputRequest(_Request):
    """Make files of solved shots, outside of the store."""

    actors: ShotNames
    shots: ShotNames
    folder: str = Field(description="where they go; a relative one is inside the production")
    corrected: bool = True
    solved_by: str = Field(
        default="", description="the job that solves the shots, where one is to be done before"
    )

    @property
    def label(self) -> str:
        return self.actors[0] if len(self.actors) == 1 else "shots"


class ExportRequest(_OutputRequest):
    """Write solved shots as animation files."""

    kind: Literal["export"] = "export"
    formats: ShotNames
    units: str | None = None
    up_axis: Literal["y", "z"] = "y"
    start_frame: float | Literal["footage"] | None = None


class ReviewRequest(_OutputRequest):
    """Draw solved shots as videos and contact sheets."""

    kind: Literal["review"] = "review"
    against: str | None = Field(default=None, description="point caches beside which they are held")
    video: bool = True
    sheet: bool = True
    camera: str | None = Field(default=None, description="whose pictures; None: each shot's first")

    @model_serializer(mode="wrap")
    def _unless_chosen(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Requests of before that do not choose one stay what they were.
        told: dict[str, Any] = inner(self)
        return {key: told[key] for key in told if key != "camera" or told[key] is not None}


OutputRequest = ExportRequest | ReviewRequest
Request = IngestRequest | TrainRequest | InferRequest | ExportRequest | ReviewRequest
_ADAPTER: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])


def job_id(request: Request) -> str:
    """The job's name, e.g. `infer-ada-1f3a9c20`: the same request is always the same job."""
    return f"{request.kind}-{request.label}-{request.digest}"


def parse_request(text: str, file: str = "") -> Request:
    """A request from its JSON text.

    Raises:
        StoreError: it is damaged, or was written by another version.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"is not a request of this version ({where}: {first['msg']})",
            remedy="use the version that wrote it, or remove this file and submit the job again",
            file=file,
        ) from error
