"""Tables: columns of text for people, on stdout."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 400  # where no terminal says how wide it is
PROSE_WIDTH = 24  # columns in which a sentence can be read
COLOURS = {
    "done": "green",
    "solved": "green",
    "ingested": "green",
    "trained": "green",
    "made": "green",
    "running": "cyan",
    "queued": "dim",
    "interrupted": "yellow",
    "cancelled": "yellow",
    "skipped": "dim",
    "failed": "red",
}


def terminal(piped_width: int) -> Console:
    """What prints to stdout, colours where that is a terminal; else as wide as told."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, emoji=False, width=piped_width)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    spare: Sequence[str] = (),
    prose: Collection[str] = (),
) -> None:
    """Print rows under their columns. States are coloured.

    Args:
        right: columns of numbers.
        spare: what a narrow terminal may do without, the first one first; a line says what was left out.
        prose: columns that may break into lines; names and numbers do so only where nothing else helps.
    """
    from rich.table import Table
    from rich.text import Text

    console = terminal(PIPED_WIDTH)
    kept = fitting(columns, rows, spare, console.width, prose=prose)
    broken = [name for name in kept if name in prose]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in kept:
        justify = "right" if name in right else "left"
        whole = bool(broken) and name not in broken
        table.add_column(name, justify=justify, overflow="fold", no_wrap=whole)  # type: ignore[arg-type]
    for row in rows:
        cells = dict(zip(columns, row, strict=True))
        table.add_row(*(Text(cells[name], COLOURS.get(cells[name], "")) for name in kept))
    console.print(table)
    if left_out := left_out_sentence(columns, kept):
        console.print(left_out, style="dim")


def fitting(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    spare: Sequence[str],
    width: int,
    *,
    gap: int = 2,
    prose: Collection[str] = (),
) -> list[str]:
    """The columns that stand beside each other in `width` unbroken, without as many of `spare` as it takes.

    Those of `prose` may be broken at `PROSE_WIDTH`.
    """
    from rich.cells import cell_len

    widths = {
        name: max(cell_len(line) for cell in cells for line in (cell or " ").splitlines())
        for name, *cells in zip(columns, columns, *rows, strict=True)
    }
    widths |= {name: min(widths[name], PROSE_WIDTH) for name in prose}
    kept = list(columns)
    for name in spare:
        if sum(widths[other] + gap for other in kept) - gap <= width:
            break
        kept.remove(name)
    return kept


def left_out_sentence(columns: Sequence[str], kept: Collection[str]) -> str:
    """What a narrow terminal does not show; nothing where it shows all."""
    names = ", ".join(name for name in columns if name not in kept)
    return f"(no room for: {names})" if names else ""


def number(value: float | None, form: str) -> str:
    """A number in this format; nothing where it is not known."""
    return "" if value is None else format(value, form)
