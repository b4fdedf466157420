"""Replacing: what an export's record says of a file while it is written anew in another way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facecap_core.errors import FacecapError
from facecap_core.outputs import Outputs


@contextmanager
def replacing(outputs: Outputs, file: str, way: Mapping[str, Any]) -> Iterator[None]:
    """Write the file inside, whole or not at all; the record is for the caller to write then.

    A process may be killed when the new file has just taken the place of the old one. So both ways are in the record
    until that is sure, "cm or m", which nobody takes for one. Whoever is merely interrupted leaves what is true.

    Args:
        way: of the new file, what the record says of each file beside its content.

    Raises:
        StoreError: the record cannot be written.
    """
    told = outputs.read_record()
    before = told.get("files", {}).get(file)
    was = {name: (before or {}).get(name, told.get(name)) for name in way}
    if before is None or was == way:
        yield
        return
    path = outputs.folder / file
    lay = _lies(path)
    either = {
        name: was[name] if was[name] == new else f"{was[name]} or {new}"
        for name, new in way.items()
    }
    # Without what it was made of: it is to be made again, whichever it is.
    entry = {name: value for name, value in before.items() if name != "of"} | either
    try:
        outputs.write_record({**told, "files": {**told["files"], file: entry}})
        yield
    except BaseException:
        if _lies(path) == lay:
            with contextlib.suppress(FacecapError):  # what went wrong first is told
                outputs.write_record(told)
        raise


def _lies(path: Path) -> tuple[int, int] | None:
    """What tells a file or folder from another of its name; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
