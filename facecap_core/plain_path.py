"""Plain path: where a path that somebody typed leads, in as few words as that can be said."""

from __future__ import annotations

import os
from pathlib import Path


def plain_path(path: Path) -> Path:
    """The whole path, from here, without `..` in it; links stay as they were typed where they can."""
    whole = Path(path).absolute()
    if ".." not in whole.parts:
        return whole
    plain = Path(os.path.normpath(whole))
    try:
        leads = whole.resolve()
        return plain if plain.resolve() == leads else leads  # beyond a link `..` is elsewhere
    except (OSError, RuntimeError, ValueError):  # whoever opens it says what is wrong
        return whole
