"""Tables: columns of text for people, on stdout."""

from __future__ import annotations

from collections.abc import Collection, Sequence

PIPED_WIDTH = 400  # where no terminal says how wide it is
COLOURS = {
    "done": "green",
    "solved": "green",
    "running": "cyan",
    "queued": "dim",
    "interrupted": "yellow",
    "cancelled": "yellow",
    "skipped": "dim",
    "failed": "red",
}


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()
) -> None:
    """Print rows under their columns; those named in `right` are numbers. States are coloured."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=PIPED_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify = "right" if column in right else "left"
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(cell, COLOURS.get(cell, "")) for cell in row))
    console.print(table)


def number(value: float | None, form: str) -> str:
    """A number in this format; nothing where it is not known."""
    return "" if value is None else format(value, form)
