"""Suggestion trainings: the models of benchmarks/suggestion.py, which differ in the clips that they learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.own_store import shot_paths
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.examples import Examples
from facecap_core.learning.model import Model, load_model
from facecap_core.learning.presets import resolve
from facecap_core.learning.rmse import per_frame_rmse_mm, pooled_rmse_mm
from facecap_core.learning.training import train
from facecap_core.learning.trainingset import load_examples
from facecap_core.pictures_ahead import Clock
from facecap_core.productions.production import Production
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import open_frames, open_targets
from facecap_core.template import read_template
from facecap_core.vertex_writer import VertexWriter

SMALL = (
    "network.input_size=[30,40]",
    "network.channels=[24,40,64]",
    "network.refine=[false,true,true]",
    "network.components=48",
    "network.dropout=0",
)
BATCH = 64

Clip = tuple[str, int, int]
"""Shot, first frame, last frame."""


@dataclass(frozen=True)
class Bench:
    """What all trainings have in common."""

    production: Production
    actor: str
    model: Model  # of the tracked shots alone
    examples: Examples  # the tracked shots, then the bulk
    starts: dict[str, int]  # of each shot in these
    tracked: int  # frames
    animated: np.ndarray
    steps: int
    out: Path

    def config(self, frames: int, seed: int) -> TrainConfig:
        """As many steps, whatever there is to learn from."""
        return _config(self.steps, frames, seed)

    def error_mm(self, clips: list[Clip], name: str, seed: int) -> float:
        """On the validation shots, of a network that learned the tracked shots and these."""
        rows = [np.arange(self.tracked)]
        rows += [self.starts[shot] + np.arange(first, last + 1) for shot, first, last in clips]
        chosen = torch.from_numpy(np.concatenate(rows))
        learned = Examples(
            self.examples.luma[chosen],
            self.examples.positions[chosen],
            (("tracked and chosen", len(chosen)),),
        )
        facts = {
            key: self.model.facts[key]
            for key in ("cameras", "crop", "picture_size", "fps", "units", "topology_sha256")
        }
        directory = self.out / "models" / name
        if not directory.exists():
            train(
                learned,
                None,  # a validation in it would calibrate each model, which nobody asks here
                self.config(len(chosen), seed),
                animated=self.animated,
                facts={**facts, "actor": self.actor, "model": name},
                model_directory=directory,
                state_directory=self.out / "training" / name,
                device="cpu",
                threads=1,
            )
        return validation_mm(load_model(directory, "cpu"), self.production, self.actor)


def validation_mm(model: Model, production: Production, actor: str) -> float:
    """RMSE over all vertices and validation frames."""
    errors = []
    for shot in production.shots_of(actor, split="validation"):
        pictures = open_frames(production.paths.frames(shot.name, model.camera))
        targets = open_targets(production.paths.targets(shot.name))
        for start in range(0, pictures.frames, BATCH):
            solved = model.predict(pictures.read("luma", start, start + BATCH))
            target = targets.read("positions", start, start + BATCH)
            errors.append(per_frame_rmse_mm(solved, target, mm_per_unit=production.mm_per_unit))
    return pooled_rmse_mm(np.concatenate(errors))


def _config(steps: int, frames: int, seed: int) -> TrainConfig:
    batch = resolve("demo").batch
    epochs = steps * batch / frames
    settings = [*SMALL, f"schedule.epochs={epochs:.6f}", f"validate_every_epochs={2 * epochs:.6f}"]
    return resolve("demo", [*settings, f"seed={seed}"])


def begin(production: Production, actor: str, steps: int, out: Path) -> Bench:
    """Train on what is tracked, solve the bulk, and read everything into memory."""
    settings = production.actors[actor]
    cameras = [settings.main_camera]
    everything = load_examples(
        [
            *shot_paths(production, actor, "train", cameras),
            *shot_paths(production, actor, "", cameras),
        ],
        units=production.units,
        input_size=resolve("demo", SMALL).network.input_size,
    )
    ends = np.cumsum([frames for _, frames in everything.shots]).tolist()
    starts = {
        name: end - frames for (name, frames), end in zip(everything.shots, ends, strict=True)
    }
    names = {shot.name for shot in production.shots_of(actor, split="train")}
    tracked = sum(frames for name, frames in everything.shots if name in names)
    directory = production.paths.model(actor, "tracked")
    if not directory.exists():
        train_actor(
            production,
            actor,
            _config(steps, tracked, 2017),
            model="tracked",
            device="cpu",
            threads=1,
        )
    model = load_model(directory, "cpu")
    _solve(production, actor, directory, model)
    return Bench(
        production,
        actor,
        model,
        everything,
        starts,
        tracked,
        np.arange(read_template(settings.template).vertex_count),
        steps,
        out,
    )


def _solve(production: Production, actor: str, directory: Path, model: Model) -> None:
    """The bulk's vertex stores, by the model of this folder."""
    facts = {key: model.facts[key] for key in ("model", "fps", "units", "topology_sha256")}
    for shot in production.shots_of(actor, split=""):
        path = production.paths.vertices(actor, shot.name)
        if path.exists():
            continue
        pictures = open_frames(production.paths.frames(shot.name, model.camera))
        with new_group(path) as group:
            with VertexWriter(group, model, [0], Clock(), directory) as writer:
                for start in range(0, pictures.frames, BATCH):
                    luma = pictures.read("luma", start, start + BATCH)[:, None]
                    writer.put(model.solver(luma).start(luma))
            group.set_attributes({**facts, "camera": model.camera})
