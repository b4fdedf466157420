"""Config: every setting of a training run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from facecap_core.errors import ConfigError

MOST_OPTIONAL_VIEWS = 4  # cameras: each set of them has a layer of its own


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkConfig(_Settings):
    """Section 3.1. Each stage is a 3x3 convolution of stride 2 and, where `refine`, one of stride 1.

    `fully-connected` is the network of Appendix B, from PCA coefficients of the picture through the two
    `hidden` layers; `stem`, `channels` and `refine` do not concern it. A larger `stem` in place of the first 3x3 takes in more pixels at a fraction of the cost, which on
    a CPU is mostly in the large pictures of the first stages.
    """

    kind: Literal["convolutional", "fully-connected"] = "convolutional"
    input_size: tuple[int, int] = Field((240, 320), description="width, height of the input")
    stem: tuple[int, int] = Field((3, 2), description="size and stride of the first convolution")
    channels: tuple[PositiveInt, ...] = Field(
        (64, 96, 144, 216, 324, 486), min_length=1, max_length=8
    )
    refine: tuple[bool, ...] = Field((True,) * 6, description="has the stage a stride-1 layer")
    dropout: float = Field(0.2, ge=0, lt=1)
    components: int = Field(160, ge=1, le=4096, description="PCA basis vectors of the output layer")
    basis_scale: Literal["orthonormal", "deviation"] = Field(
        "deviation",
        description="length of the basis vectors: 1, or the deviation of their coefficient",
    )
    train_output: bool = Field(True, description="False keeps the output layer as it starts")
    output_start: Literal["pca", "random"] = Field(
        "pca", description="what the output layer starts from; random: as the paper does not do it"
    )
    view_dropout: float = Field(
        0.0, ge=0, lt=1, description="several cameras: how often each is taken to be missing"
    )
    image_components: int = Field(3000, ge=1, le=20000, description="fully-connected: its inputs")
    hidden: tuple[PositiveInt, PositiveInt] = Field(
        (2000, 1000), description="fully-connected: ReLU, tanh"
    )

    @model_validator(mode="after")
    def _check(self) -> NetworkConfig:
        if len(self.refine) != len(self.channels):
            raise ValueError("refine needs one value per stage in channels")
        size, stride = self.stem
        if not 1 <= stride <= 16 or not stride <= size <= 2 * stride:
            raise ValueError("stem needs a stride of 1 to 16 and a size from it to its double")
        width, height = self.input_size
        if width < 1 or 240 % width or height * 240 != width * 320:
            raise ValueError("input_size must be 240x320 divided by a whole number")
        if size > width:
            raise ValueError("stem must not be larger than the pictures, see input_size")
        return self


class AugmentationConfig(_Settings):
    """Section 4.1. Each magnitude is the largest one; draws are uniform between minus and plus it.

    The paper found noise, gamma and perspective to be of no use: they are off.
    """

    translation: float = Field(0.05, ge=0, le=0.5, description="part of the picture's width")
    rotation_degrees: float = Field(4.0, ge=0, le=45)
    zoom: float = Field(0.04, ge=0, le=0.5, description="natural logarithm of the factor")
    brightness: float = Field(0.05, ge=0, le=1, description="part of the range black to white")
    contrast: float = Field(0.10, ge=0, lt=1, description="natural logarithm of the factor")
    noise: float = Field(0.0, ge=0, le=0.5, description="deviation per pixel; part of the range")
    gamma: float = Field(0.0, ge=0, le=1, description="natural logarithm of the exponent")
    perspective: float = Field(
        0.0, ge=0, le=0.5, description="how much nearer one side of the picture comes"
    )
    ramp_epochs: float = Field(
        5.0, ge=0, description="strength rises linearly from zero over these"
    )


class ScheduleConfig(_Settings):
    """Section 4.2. Learning rate and beta1 over the run."""

    kind: Literal["paper", "cosine"] = "paper"
    epochs: float = Field(200.0, gt=0, le=100000)
    learning_rate: float = Field(1e-3, gt=0)
    rampup_epochs: float = Field(1.0, ge=0, description="geometric rise from a thousandth")
    rampdown_epochs: float = Field(
        30.0, ge=0, description="paper: smooth ramp to zero over the last"
    )
    beta1: float = Field(0.9, ge=0, lt=1)
    final_beta1: float = Field(0.5, ge=0, lt=1)


class OptimizerConfig(_Settings):
    """Section 4.2: Adam with the values that its authors recommend; Muon for most weights as an option."""

    kind: Literal["adam", "muon"] = "adam"
    muon_learning_rate: float = Field(0.02, gt=0, description="muon: of the matrices, at the peak")
    muon_momentum: float = Field(0.95, ge=0, lt=1)

    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0, description="decoupled (AdamW)")
    average: float = Field(
        0.0, ge=0, lt=1, description="decay per step of the averaged weights; 0: none"
    )


class LossConfig(_Settings):
    """Section 4.2: mean square error; Appendix A.1; and terms for what Section 5.3 misses in it."""

    kind: Literal["mse", "affine-invariant"] = "mse"
    regions: dict[str, float] = Field(
        {}, description="weight of a region's vertices, others have 1"
    )
    by_motion: float = Field(
        0.0, ge=0, le=2, description="weight of a vertex: its deviation in training to this power"
    )
    motion: float = Field(0.0, ge=0, description="weight of the error of motion between two frames")
    motion_part: float = Field(
        0.25, gt=0, le=1, description="part of a batch that comes with the next frame, for motion"
    )
    lips: float = Field(0.0, ge=0, description="weight of the error of the distance between lips")
    lids: float = Field(0.0, ge=0, description="weight of the error of the distance between lids")

    def pairs_of(self, batch: int) -> int:
        """How many frames of a batch come with their neighbour."""
        return max(1, round(batch * self.motion_part)) if self.motion else 0

    @field_validator("regions")
    @classmethod
    def _not_negative(cls, regions: dict[str, float]) -> dict[str, float]:
        if any(not 0 <= weight < 1e6 for weight in regions.values()):
            raise ValueError("weights are numbers from 0 on")
        return regions


class CorrectionsConfig(_Settings):
    """How much frames that artists corrected count beside the tracked ones."""

    share: float = Field(
        0.1, ge=0, le=0.9, description="of what an epoch shows; 0: each once, as any other frame"
    )
    most_repeats: int = Field(16, ge=1, description="how often an epoch shows one of them at most")

    def repeats(self, corrected: int, frames: int) -> int:
        """How often an epoch shows each of so many corrected frames among all `frames`."""
        if not corrected:
            return 1
        others = frames - corrected
        wanted = round(others * self.share / (1 - self.share) / corrected)
        return min(max(wanted, 1), self.most_repeats)


class TrainConfig(_Settings):
    """Everything that decides a training run besides the data."""

    preset: str
    batch: int = Field(50, ge=1)
    seed: int = Field(2017, ge=0, lt=2**31)
    whitening: Literal["training", "image", "none"] = Field(
        "training", description="whose mean and deviation: all training images', each image's, none"
    )
    stabilised_input: bool = Field(False, description="pictures turned and moved by landmarks")
    targets: Literal["original", "stabilised"] = "original"
    validate_every_epochs: float = Field(
        1.0, gt=0, description="at the first end of an epoch after each of these, and at the end"
    )
    network: NetworkConfig = NetworkConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    loss: LossConfig = LossConfig()
    corrections: CorrectionsConfig = CorrectionsConfig()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings that came later are written where they are set: requests without stay what they were."""
        told: dict[str, Any] = inner(self)
        if self.corrections == CorrectionsConfig():
            del told["corrections"]
        return told

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if self.loss.kind == "affine-invariant" and self.network.train_output:
            raise ValueError(
                "loss.kind=affine-invariant needs network.train_output=false: with an output layer that"
                " learns nothing would keep the mesh in its place, size and orientation (Appendix A.1)"
            )
        return self


def overridden(values: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A configuration's JSON form with overrides such as `schedule.epochs=20` on top.

    Raises:
        ConfigError: an unknown setting; all of them together.
    """
    values = json.loads(json.dumps(values))
    faults = []
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            faults.append(f"--set {override}: not of the form KEY=VALUE")
            continue
        names = key.strip().split(".")
        known = _setting_names()
        if ".".join(names) not in known:
            near = [setting for setting in known if setting.rpartition(".")[2] == key.strip()]
            near = near or difflib.get_close_matches(key, known, n=1)
            faults.append(
                f"--set {override}: unknown setting"
                + (
                    f"; did you mean {' or '.join(near)}?"
                    if near
                    else f"; settings are {', '.join(known)}"
                )
            )
            continue
        place = values
        for name in names[:-1]:
            place = place.setdefault(name, {})
        try:
            place[names[-1]] = json.loads(text)
        except json.JSONDecodeError:
            place[names[-1]] = text
    if faults:
        raise ConfigError("; ".join(faults), remedy="see farm submit train --help")
    return values


def parse(values: dict[str, Any]) -> TrainConfig:
    """A configuration from its JSON form.

    Raises:
        ConfigError: with every fault.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_told(dict(fault)) for fault in error.errors())
        raise ConfigError(faults, remedy="give it another value: --set KEY=VALUE") from error


def _told(fault: dict[str, Any]) -> str:
    """`schedule.epochs = -1: Input should be greater than 0`."""
    place = ".".join(str(part) for part in fault["loc"])
    if isinstance(fault["input"], str | int | float):
        place = f"{place} = {fault['input']!r}"
    return ": ".join(filter(None, (place, fault["msg"].removeprefix("Value error, "))))


def _setting_names() -> list[str]:
    names = []
    for name, field in TrainConfig.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += [f"{name}.{part}" for part in inner.model_fields]
        elif name != "preset":
            names.append(name)
    return names
