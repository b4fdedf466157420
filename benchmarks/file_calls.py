"""File calls: what a piece of Python asks of the file system, counted by kind."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

CALLS = [
    "stat",
    "lstat",
    "open",
    "mkdir",
    "rename",
    "replace",
    "unlink",
    "remove",
    "rmdir",
    "symlink",
    "readlink",
    "link",
    "scandir",
    "listdir",
    "utime",
    "fsync",
    "access",
    "statvfs",
]


@contextlib.contextmanager
def counted(*parts: str) -> Iterator[Counter[str]]:
    """Calls while the block runs, by the first of `parts` that the path holds, else `other`.

    Calls by a number (`fsync`) count as `open files`. A network file system answers some from its cache.
    """
    found: Counter[str] = Counter()

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **named: Any) -> Any:
            place = "open files"
            if arguments and not isinstance(arguments[0], int):
                path = os.fsdecode(arguments[0])
                place = next((part for part in parts if part in path), "other")
            found[place] += 1
            return call(*arguments, **named)

        return count

    before = {name: getattr(os, name) for name in CALLS}
    opened = io.open
    try:
        for name, call in before.items():
            setattr(os, name, counting(call))
        io.open = builtins.open = counting(opened)
        yield found
    finally:
        io.open = builtins.open = opened
        for name, call in before.items():
            setattr(os, name, call)
