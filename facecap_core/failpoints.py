"""Failpoints: named moments of writing, at which a test breaks off what real machines break off anywhere."""

from __future__ import annotations

from collections.abc import Callable

STEPS = (
    "file.made",  # a file's bytes are on their way under another name
    "file.synced",  # and on disk; the old file is still the visible one
    "file.visible",
    "directory.made",  # an empty folder under .versions
    "chunk.written",  # one chunk of one array in it
    "directory.filled",
    "directory.synced",  # all on disk, with its manifest
    "directory.named",  # renamed to its final version, not yet linked
    "directory.linked",  # its link is made, under another name
    "directory.visible",
)

_action: Callable[[str], None] | None = None


def arm(action: Callable[[str], None] | None) -> None:
    """Call `action` with the name of every step reached from here on; None ends that."""
    global _action
    _action = action


def reach(step: str) -> None:
    """Say that a step is reached; nothing happens unless a test armed something."""
    if _action is not None:
        _action(step)
