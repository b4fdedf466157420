"""Shot list: the shots that a text file names, a name or a glob a line."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from facecap_core.errors import Fault, ProductionError
from facecap_core.names import did_you_mean, shown
from facecap_core.productions.production import Production
from facecap_core.productions.written_text import read_written

MOST_FAULTS = 20
"""Of a file that is quite another one, a few say it all."""
_PATTERN = re.compile(r"[A-Za-z0-9_.*?\[\]!-]{1,256}", re.ASCII)


def read_shot_list(path: Path, production: Production, *, actor: str | None = None) -> list[str]:
    """The shots that a list names, each once, in the list's order.

    A line is a shot's name or a glob (`ada_rom_*`); `#` begins a comment.

    Args:
        actor: whose shots are meant: globs stand for these alone, and names of others' are faults.

    Raises:
        ProductionError: with the first lines that name no shot of the production; there is no such actor.
    """
    if actor is not None:
        production.check_actor(actor)
    text, faults = _list_text(path)
    names = [name for name, shot in production.shots.items() if actor in (None, shot.actor)]
    known = set(names)
    chosen: dict[str, None] = {}
    seen: set[str] = set()
    # Not splitlines, which takes letters for line ends that no editor counts.
    for number, line in enumerate(io.StringIO(text or "", newline=None), 1):
        pattern = line.partition("#")[0].strip()
        if not pattern or pattern in seen:
            continue
        seen.add(pattern)
        found = [pattern] if pattern in known else _matching(pattern, names)
        chosen.update(dict.fromkeys(found))
        if not found:
            faults.append(_unmatched(pattern, production, names, path, number))
        if len(faults) == MOST_FAULTS:
            remedy = "mend these first"
            faults.append(Fault("the lines after it were not read", remedy, str(path), number))
            break
    if not seen and not faults:
        faults.append(Fault("the list names no shot", "write a name or a glob a line", str(path)))
    if faults:
        raise ProductionError(faults)
    return list(chosen)


def _list_text(path: Path) -> tuple[str | None, list[Fault]]:
    remedy = "write a text file with a shot's name or a glob a line"
    text, faults = read_written(path, remedy=remedy)
    if text is not None and "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        return None, [Fault("is not UTF-8 text: it has a NUL", remedy, str(path), line)]
    return text, faults


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    if not _PATTERN.fullmatch(pattern):
        return []
    return [name for name in names if fnmatchcase(name, pattern)]


def _unmatched(
    pattern: str, production: Production, names: Sequence[str], path: Path, line: int
) -> Fault:
    if not _PATTERN.fullmatch(pattern):
        remedy = "write a shot's name or a glob, not a path"
        return Fault(f"{shown(pattern)} is no shot's name", remedy, str(path), line)
    if others := _matching(pattern, list(production.shots)):
        whose = production.shots[others[0]].actor
        message = f"{shown(pattern)} is of {whose}, another actor than was asked for"
        return Fault(message, f"take the line out, or ask for {whose}", str(path), line)
    otherwise = f"{production.shots_path} has no shots"
    remedy = did_you_mean(pattern, names, otherwise=otherwise)
    return Fault(f"no shot is called {shown(pattern)}", remedy, str(path), line)
