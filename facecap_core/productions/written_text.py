"""Written text: what a person wrote in an editor or a spreadsheet, read whole and of a bounded size."""

from __future__ import annotations

import os
from pathlib import Path

from facecap_core.errors import Fault

LARGEST_BYTES = 16 * 2**20
"""Room for a hundred thousand shots; what is larger is footage, or has no end."""


def read_written(
    path: Path, *, remedy: str, utf16: bool = True, largest: int = LARGEST_BYTES
) -> tuple[str | None, list[Fault]]:
    """The text, or None with the one fault for which it cannot be read.

    Args:
        remedy: for what is no text of ours, such as "save it as UTF-8".
        utf16: take UTF-16 too where its mark stands at the start, as Windows programs write it.
        largest: bytes.
    """
    try:
        data = _read(path, largest)
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        message = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        return None, [Fault(message, "name a file that you may read", str(path))]
    if len(data) > largest:
        message = f"is larger than {largest // 2**20} MiB, so it is another kind of file"
        return None, [Fault(message, remedy, str(path))]
    marked = utf16 and data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return data.decode("utf-16" if marked else "utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return None, [Fault("is not UTF-8 text", remedy, str(path), line)]


def _read(path: Path, largest: int) -> bytes:
    """At most a byte more than the largest; a pipe is read to its end, one that nobody writes to is empty."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(descriptor, True)
    with open(descriptor, "rb") as file:
        return file.read(largest + 1)
