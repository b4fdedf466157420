"""Names: what actors, shots or cameras may be called, with the nearest one to a misspelt word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

LONGEST_NAME = 128
NAME_RULE = (
    f"use letters, digits, _ - and . only, at most {LONGEST_NAME} of them, not starting with . or -"
)

# Names become folders of the store, so neither a separator nor a leading dot may pass.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)


def is_name(text: str) -> bool:
    """Whether `text` is safe as a folder name in the store."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Whether a file system could have it: printable, and neither the whole nor a part of it too long."""
    return (
        text.isprintable()
        and len(text) <= 4000
        and all(len(part.encode()) <= 255 for part in text.split("/"))
    )


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be, or None when none is like it."""
    by_folded = {choice.casefold(): choice for choice in choices}
    folded = word.casefold()
    found = difflib.get_close_matches(folded, list(by_folded), n=1, cutoff=0.55)
    if not found and len(folded) > 1:
        found = [choice for choice in by_folded if choice.startswith(folded)]  # an abbreviation
    return by_folded[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str], *, otherwise: str = "") -> str:
    """A remedy: the nearest choice, else the list of all (`otherwise` where there are none)."""
    choices = list(choices)
    if not choices:
        return otherwise
    match = nearest(word, choices)
    listed = ", ".join(choices[:12]) + (", …" if len(choices) > 12 else "")
    return f"did you mean {match!r}?" if match else f"use one of: {listed}"


def some_of(names: Iterable[str], most: int = 8) -> str:
    """`a, b and 3 more`; empty for none."""
    names = list(names)
    more = f" and {len(names) - most} more" if names[most:] else ""
    return ", ".join(names[:most]) + more


def shown(text: str, limit: int = 80) -> str:
    """`text` quoted for a message: control characters escaped, and no longer than `limit`."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
