"""Bar: progress of work in this process, on stderr where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facecap_core.progress import OnProgress, Progress


@contextmanager
def bar() -> Iterator[OnProgress]:
    """While the block runs: one line a stage (`Progress.what`), which goes away at the end."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    shown = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, progress.TaskID] = {}
    with shown:

        def show(now: Progress) -> None:
            if now.what not in tasks:
                tasks[now.what] = shown.add_task(now.what, total=now.total)
            shown.update(tasks[now.what], completed=now.done, total=now.total)

        yield show
