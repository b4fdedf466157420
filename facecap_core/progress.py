"""Progress: what long work tells its caller, who may answer with an end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from facecap_core.errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """A moment of long work: `done` of `total` (None: unknown) in `unit`, with figures to show beside it."""

    what: str
    done: int
    total: int | None
    unit: str = "frames"
    figures: dict[str, float] = field(default_factory=dict)


OnProgress = Callable[[Progress], bool | None]
"""Called now and then; an answer of False (not None) asks the work to stop."""


def report(on_progress: OnProgress | None, progress: Progress) -> None:
    """Tell the caller; raises `Cancelled` when the caller answers False."""
    if on_progress is not None and on_progress(progress) is False:
        raise Cancelled(f"{progress.what} cancelled at {progress.done} {progress.unit}")
