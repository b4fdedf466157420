"""Store paths: where everything of a production is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facecap_core.stores.object_folder import ArrayFolder, ObjectFolder
from facecap_core.stores.objects import check_bucket

CALIBRATION = "confidence.safetensors"  # in a model's folder


@dataclass(frozen=True)
class StorePaths:
    """Where everything of a production is written, and nothing else knows.

    What was stabilised (pictures: Appendix B, targets: Appendix A.2) lies apart from the original.
    `arrays` holds the frames, targets and vertices in a bucket; None: they are under `root` too.
    """

    root: Path
    arrays: ObjectFolder | None = None

    def frames(self, shot: str, camera: str, *, stabilised: bool = False) -> ArrayFolder:
        return self._original(not stabilised) / "frames" / shot / f"{camera}.zarr"

    def views(
        self, shot: str, cameras: Iterable[str], *, stabilised: bool = False
    ) -> tuple[ArrayFolder, ...]:
        """The frame store of each of these cameras, in their order."""
        return tuple(self.frames(shot, camera, stabilised=stabilised) for camera in cameras)

    def targets(self, shot: str, *, stabilised: bool = False) -> ArrayFolder:
        return self._original(not stabilised) / "targets" / f"{shot}.zarr"

    def vertices(self, actor: str, shot: str) -> ArrayFolder:
        return self._arrays / "vertices" / actor / f"{shot}.zarr"

    def corrections(self, actor: str, shot: str) -> Path:
        """On the file system in any case: nothing could make them anew."""
        return self.root / "corrections" / actor / shot

    def models(self, actor: str) -> Path:
        return self.root / "models" / actor

    def model(self, actor: str, model: str) -> Path:
        return self.models(actor) / model

    def training_state(self, actor: str, model: str) -> Path:
        return self.root / "training" / actor / model

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    def check_arrays(self) -> None:
        """Find out in a few seconds whether the arrays' bucket can be used; nothing without one.

        Raises:
            StoreError: the extra s3 is not installed, or the bucket is absent, closed or out of reach.
        """
        if self.arrays is not None:
            check_bucket(self.arrays.bucket, self.arrays.key)

    def _original(self, original: bool) -> ArrayFolder:
        return self._arrays if original else self._arrays / "stabilised"

    @property
    def _arrays(self) -> ArrayFolder:
        return self.root if self.arrays is None else self.arrays
