"""Decoder: what may decode footage."""

from __future__ import annotations

from enum import StrEnum


class Decoder(StrEnum):
    """As the user chooses it; the pictures are the same."""

    SOFTWARE = "software"
    AUTO = "auto"  # a device of the machine where that is faster
