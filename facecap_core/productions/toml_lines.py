"""Lines of TOML: where a key is set, which the parser does not tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"({_PART}(?:\s*\.\s*{_PART})*)"
_HEADER = re.compile(rf"\s*\[\[?\s*{_DOTTED}\s*\]")
_KEY = re.compile(rf"\s*{_DOTTED}\s*=")


def line_of(text: str, keys: Sequence[str]) -> int | None:
    """The line of TOML `text` where `keys` is set, else that of the nearest table around it."""
    wanted = tuple(keys)
    best: tuple[int, int] | None = None  # (number of keys in common, line)
    for found, number in _places(text):
        # Of keys that are missing, the nearest place is the first that shares most of their path.
        pairs = zip(found, wanted, strict=False)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if common and (best is None or common > best[0]):
            best = (common, number)
    return best[1] if best else None


@lru_cache(maxsize=1)
def _places(text: str) -> list[tuple[tuple[str, ...], int]]:
    """All tables and keys of TOML text, each with its line."""
    places = []
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _split(header[1])
            places.append((table, number))
        elif key := _KEY.match(line):
            places.append((table + _split(key[1]), number))
    return places


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))
