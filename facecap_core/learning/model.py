"""Model: a trained network with all that is needed to use it and to trace it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from facecap_core.errors import ConfigError, ModelError
from facecap_core.files import write_bytes_atomically, write_text_atomically
from facecap_core.learning.confidence import Confidence, read_confidence
from facecap_core.learning.config import TrainConfig, parse
from facecap_core.learning.engine import Engine, Pictures
from facecap_core.learning.fully_connected import FullyConnected
from facecap_core.learning.lanes import Lanes
from facecap_core.learning.networks import AnyNetwork, build_network, to_device
from facecap_core.learning.prepared_layers import half_type
from facecap_core.learning.whitening import Whitening
from facecap_core.stores.manifests import verify
from facecap_core.stores.paths import CALIBRATION
from facecap_core.stores.versions import whole_directory
from facecap_core.units import MM_PER_UNIT

SCHEMA_VERSION = 1
WEIGHTS, METRICS = "weights.safetensors", "metrics.jsonl"
MOST_ERROR_MM = 0.01  # that 16 bits may cost, mean of the frames' RMSE
CHECKED_FRAMES = 8
_DAMAGE = (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError)


@dataclass(frozen=True)
class Model:
    """A network ready for inference on `device`; `facts` is the whole of model.json."""

    network: AnyNetwork
    config: TrainConfig
    whitening: tuple[Whitening, ...]  # one a camera
    device: torch.device
    facts: dict[str, Any]
    confidence: Confidence | None = None  # None: not calibrated
    _engines: dict[tuple[tuple[int, ...], torch.dtype | None], Engine] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(str(camera) for camera in self.facts["cameras"])

    @property
    def camera(self) -> str:
        """The first, or only, camera."""
        return self.cameras[0]

    @property
    def may_miss_views(self) -> bool:
        """Whether it was trained to do without some of its cameras."""
        return len(self.cameras) > 1 and self.config.network.view_dropout > 0

    def crop(self, camera: str) -> tuple[int, int, int, int]:
        """x, y, width, height in the pixels of this camera's picture."""
        x, y, width, height = (int(v) for v in self.facts["crop"][camera])
        return x, y, width, height

    def picture_size(self, camera: str) -> tuple[int, int]:
        """Width and height of this camera's pictures."""
        width, height = self.facts["picture_size"][camera]
        return int(width), int(height)

    @property
    def vertex_count(self) -> int:
        return int(self.facts["vertex_count"])

    def predict(self, luma: np.ndarray, views: Sequence[int] | None = None) -> np.ndarray:
        """uint8 images [frame, view, y=320, x=240] to positions float32 [frame, vertex, xyz], in the
        production's units; with one camera also [frame, y, x]. For batches: everything given is on the
        device at once.

        Args:
            views: which of the model's cameras the images are of, ascending; None: all. A model without
                view dropout needs all.
        """
        images = luma if luma.ndim == 4 else luma[:, None]
        return self._fastest(images, self._chosen(views)).start(images)()

    def solver(self, luma: np.ndarray, views: Sequence[int] | None = None) -> Engine | Lanes:
        """What solves a shot's batches, of which `luma` uint8 [frame, view, y, x] is the first.

        In 16 bits where the device is made for them and the error that this costs on these pictures is
        below `MOST_ERROR_MM`, in float32 else: so the same shot is always solved in the same way.
        """
        engine = self._fastest(luma, self._chosen(views))
        return Lanes(engine) if self.device.type == "cuda" else engine

    def engine(self, views: Sequence[int], half: torch.dtype | None = None) -> Engine:
        """The network made ready for these cameras, its convolutions in this 16-bit type or float32."""
        pictures = Pictures(
            self.config.network.input_size,
            tuple(views),
            tuple(self.whitening[view] for view in views),
        )
        scale = 10 / MM_PER_UNIT[self.facts["units"]]
        spaces = self.confidence.spaces if self.confidence else ()
        return Engine(
            self.network,
            pictures,
            self.device,
            half=half,
            scale=scale,
            spaces=[spaces[view] for view in views if spaces],
        )

    def _fastest(self, luma: np.ndarray, views: tuple[int, ...]) -> Engine:
        half = half_type(self.device)
        exact = self._made(views, None)
        if half is None or isinstance(self.network, FullyConnected):
            return exact
        quick, some = self._made(views, half), luma[:CHECKED_FRAMES]
        # What is not a number, beyond the range of the type, is not below it either.
        with np.errstate(invalid="ignore", over="ignore"):
            difference = quick.start(some)() - exact.start(some)()
            error = float(np.sqrt(np.square(difference, dtype=np.float64).sum(-1).mean(-1)).mean())
        return quick if error * MM_PER_UNIT[self.facts["units"]] < MOST_ERROR_MM else exact

    def _made(self, views: tuple[int, ...], half: torch.dtype | None) -> Engine:
        if (views, half) not in self._engines:
            self._engines[views, half] = self.engine(views, half)
        return self._engines[views, half]

    def _chosen(self, views: Sequence[int] | None) -> tuple[int, ...]:
        return tuple(range(len(self.cameras)) if views is None else views)


def whitened(luma: torch.Tensor, whitening: Sequence[Whitening]) -> torch.Tensor:
    """uint8 images [image, view, y, x] as the network takes them, each camera by its own whitening."""
    views = [one(luma[:, view]) for view, one in enumerate(whitening)]
    return torch.stack(views, dim=1).contiguous(memory_format=torch.channels_last)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 convolutions where the device is made for them, float32 else."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision(device) == "bf16")


def precision(device: torch.device) -> str:
    """`bf16` on GPUs and on processors with bfloat16 instructions, `fp32` on others."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bf16" if supported is not None and supported() else "fp32"


def choose_device(device: str | None) -> torch.device:
    """The named device, or a GPU where there is one, or the CPU.

    Raises:
        ConfigError: there is no such device here.
    """
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            "this machine has no GPU that torch can use", remedy="leave the device out, or use cpu"
        )
    return torch.device(name)


def save_model(
    directory: Path,
    weights: dict[str, torch.Tensor],
    facts: dict[str, Any],
    history: list[dict[str, Any]],
    confidence: Confidence | None = None,
) -> None:
    """Write weights.safetensors, model.json and metrics.jsonl, and with a calibration
    confidence.safetensors; the folder appears whole.

    Raises:
        StoreError: it cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    facts = {"schema_version": SCHEMA_VERSION, **facts}
    with whole_directory(directory) as staged:
        write_bytes_atomically(staged.path / WEIGHTS, save(plain))
        write_text_atomically(staged.path / METRICS, metrics_lines(history))
        _write_facts(staged.path, facts, confidence)


def set_confidence(directory: Path, confidence: Confidence) -> None:
    """Give a model a calibration, or another one, in a new version of its folder; all else stays.

    Raises:
        ModelError: there is no such model, or more of it is damaged than its calibration. StoreError: it
            cannot be written.
    """
    old = Path(os.path.realpath(directory))  # facts and weights of one version
    facts = read_model_facts(old)
    # The new version vouches for all of its files. (Models of version 0.1 have no manifest.)
    hurt = [str(found) for found in verify(old) if found.part and found.part != CALIBRATION]
    if hurt:
        raise ModelError(f"is damaged: {', '.join(hurt)}", remedy="train again", file=directory)
    with whole_directory(directory) as staged:
        for name in (WEIGHTS, METRICS):
            write_bytes_atomically(staged.path / name, (old / name).read_bytes())
        _write_facts(staged.path, facts, confidence)


def _write_facts(folder: Path, facts: dict[str, Any], confidence: Confidence | None) -> None:
    if confidence is not None:
        facts = {**facts, "confidence": confidence.facts()}
        write_bytes_atomically(folder / CALIBRATION, confidence.tensors())
    write_text_atomically(folder / "model.json", json.dumps(facts, indent=1) + "\n")


def metrics_lines(history: list[dict[str, Any]]) -> str:
    """metrics.jsonl: a line of JSON an epoch."""
    return "".join(json.dumps(line) + "\n" for line in history)


def read_model_facts(directory: Path) -> dict[str, Any]:
    """model.json of a complete model.

    Raises:
        ModelError: there is none, or it is of another version.
    """
    path = Path(directory) / "model.json"
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(
            "is not a model", remedy="`farm models` lists what there is", file=directory
        ) from error
    if not isinstance(facts, dict) or facts.get("schema_version") != SCHEMA_VERSION:
        raise ModelError(
            f"model.json is not of schema {SCHEMA_VERSION}", remedy="train again", file=path
        )
    return facts


def load_model(directory: Path, device: str | None = None, *, calibrated: bool = True) -> Model:
    """Read a model folder for inference.

    Args:
        calibrated: False leaves its calibration unread, in whatever state that is.

    Raises:
        ModelError: it is missing, damaged, or of another version.
        ConfigError: there is no such device.
    """
    where = choose_device(device)
    directory = Path(os.path.realpath(directory))
    facts = read_model_facts(directory)
    try:
        config = parse(facts["config"])
        whitening = _whitening(facts)
        network = build_network(config.network, 3 * int(facts["vertex_count"]), len(whitening))
        network.load_state_dict(load_file(directory / WEIGHTS))
    except _DAMAGE as error:
        raise ModelError(f"is damaged: {error}", remedy="train again", file=directory) from error
    confidence = _read_confidence(directory, facts) if calibrated else None
    network.eval().requires_grad_(False)
    to_device(network, where)
    return Model(network, config, whitening, where, facts, confidence and confidence.to(where))


def _read_confidence(directory: Path, facts: dict[str, Any]) -> Confidence | None:
    if "confidence" not in facts:
        return None
    try:
        return read_confidence((directory / CALIBRATION).read_bytes(), facts["confidence"])
    except _DAMAGE as error:
        raise ModelError(
            f"its calibration is damaged: {error}",
            remedy=f"farm calibrate {facts.get('model', 'MODEL')} makes it anew",
            file=directory,
        ) from error


def _whitening(facts: dict[str, Any]) -> tuple[Whitening, ...]:
    told = facts["whitening"]
    if "mean" in told:  # of version 0.1, which knew one camera
        told = {facts["cameras"][0]: told}
    return tuple(Whitening(**told[camera]) for camera in facts["cameras"])
