"""Watch: a job on the terminal, drawn anew until it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import typer

from farm.exit_codes import NOT_FINISHED
from farm.follow import goes_on, poll_seconds
from farm.status_tables import frames, job_line, left_sentence, stale_lines, took, training_line
from farm.tables import COLOURS
from jobs.records import JobStatus, ShotRecord, ShotState
from jobs.sentences import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    from jobs.ledger import Ledger

PLAIN_SECONDS = 5.0
BAR_WIDTH = 40
LEAST_ROWS = 3
MOST_CAUSES = 3
ORDER: tuple[ShotState, ...] = ("solved", "running", "queued", "failed", "cancelled", "skipped")
ALWAYS = ("solved", "running", "queued")


def watch(ledger: Ledger) -> JobStatus:
    """Show a job on stdout until it ends; returns its last status.

    A live table on a terminal, a plain block every few seconds where there is none.

    Raises:
        typer.Exit: with 101 after Ctrl-C, which leaves the job alone.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    try:
        if console.is_terminal:
            return _watch_live(ledger, console)
        return _watch_plain(ledger)
    except KeyboardInterrupt:
        typer.echo(goes_on(ledger), err=True)
        raise typer.Exit(NOT_FINISHED) from None


def _watch_live(ledger: Ledger, console: Console) -> JobStatus:
    from rich.live import Live

    status = ledger.status()
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while not status.ended:
            live.update(picture(status, height=console.height, now=time.time()), refresh=True)
            time.sleep(poll_seconds(status))
            status = ledger.status()
    return status


def _watch_plain(ledger: Ledger) -> JobStatus:
    status = ledger.status()
    while not status.ended:
        for line in plain_lines(status):
            typer.echo(line)
        shown = time.monotonic()
        while not status.ended and time.monotonic() - shown < PLAIN_SECONDS:
            time.sleep(poll_seconds(status))
            status = ledger.status()
    return status


def plain_lines(status: JobStatus) -> list[str]:
    """The job in one line, then a line for each shot at work."""
    lines = [f"{time.strftime('%H:%M:%S')}  {job_line(status)}"]
    lines += [f"  {r.name} {frames(r) or 'begins'} on {r.host}" for r in _running(status)]
    return lines


def picture(status: JobStatus, *, height: int, now: float) -> RenderableType:
    """A head line, a bar for each state, the training, why shots failed, the shots at work."""
    from rich.console import Group
    from rich.text import Text

    facts = [status.state, f"{duration(took(status))} so far", left_sentence(status)]
    head = Text(f"{status.job}  ", "bold")
    head.append(", ".join(fact for fact in facts if fact), COLOURS.get(status.state, ""))
    parts: list[RenderableType] = [head]
    if status.detail:
        parts.append(Text(status.detail, "yellow"))
    parts.append(_bars(status))
    training = status.training
    if training is not None and training.state != "queued":
        parts.append(Text(f"training  {training_line(training)}", "cyan"))
    parts += [Text(line, "yellow") for line in stale_lines(status)]
    failed = [record for record in status.shots if record.state == "failed"]
    latest = sorted(failed, key=lambda record: record.ended or 0.0)[-MOST_CAUSES:]
    parts += [Text(f"{r.name}: {r.cause}", "red", no_wrap=True) for r in latest if r.cause]
    running = _running(status)
    room = max(LEAST_ROWS, height - len(parts) - len(ORDER) - LEAST_ROWS)
    if running:
        parts.append(_shots(running[:room], now))
    if running[room:]:
        parts.append(Text(f"and {len(running) - room} more at work", "dim"))
    parts.append(Text("Ctrl-C ends the watching, not the job", "dim"))
    return Group(*parts)


def _bars(status: JobStatus) -> Table:
    """How many shots are in each state, of all."""
    from rich.table import Table
    from rich.text import Text

    total = len(status.shots)
    table = Table(box=None, pad_edge=False, show_header=False)
    for state in ORDER:
        count, colour = status.counts[state], COLOURS.get(state, "")
        if count or state in ALWAYS:
            drawn = _bar(count, total, BAR_WIDTH, "white" if colour == "dim" else colour)
            word = status.done_word if state == "solved" else state
            table.add_row(Text(word, colour), drawn, Text(f"{count}/{total}"))
    return table


def _shots(running: list[ShotRecord], now: float) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("at work", "", "frames", "for", "host"):
        justify: Literal["left", "right"] = "right" if column in ("frames", "for") else "left"
        table.add_column(column, justify=justify, overflow="fold")
    for record in running:
        progress = record.progress
        total = progress.total if progress else None
        drawn = _bar(progress.done if progress and total else 0, total or 1, BAR_WIDTH // 2, "cyan")
        since = None if record.started is None else now - record.started
        table.add_row(record.name, drawn, frames(record), duration(since), record.host)
    return table


def _bar(done: int, total: int, width: int, colour: str) -> ProgressBar:
    from rich.progress_bar import ProgressBar

    return ProgressBar(
        completed=done, total=total, width=width, complete_style=colour, finished_style=colour
    )


def _running(status: JobStatus) -> list[ShotRecord]:
    return [record for record in status.shots if record.state == "running"]
