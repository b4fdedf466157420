"""Store paths: where everything of a production is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StorePaths:
    """Where everything of a production is written, and nothing else knows."""

    root: Path

    def frames(self, shot: str, camera: str) -> Path:
        return self.root / "frames" / shot / f"{camera}.zarr"

    def targets(self, shot: str) -> Path:
        return self.root / "targets" / f"{shot}.zarr"

    def vertices(self, actor: str, shot: str) -> Path:
        return self.root / "vertices" / actor / f"{shot}.zarr"

    def models(self, actor: str) -> Path:
        return self.root / "models" / actor

    def model(self, actor: str, model: str) -> Path:
        return self.models(actor) / model

    def training_state(self, actor: str, model: str) -> Path:
        return self.root / "training" / actor / model

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"
