"""Ledger file: one file of a job's ledger, read and replaced whole."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from facecap_core.errors import StoreError
from facecap_core.files import store_error, write_text_atomically

_Model = TypeVar("_Model", bound=BaseModel)


def read_text(path: Path) -> str | None:
    """What is in the file; None where there is none.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(
            f"cannot be read: {error.strerror}", remedy="check that the store is mounted", file=path
        ) from error


def load_record(path: Path, model: type[_Model], *, tolerant: bool = False) -> _Model | None:
    """The record; None where there is none, or (`tolerant`) it is damaged, as after a power cut.

    Raises:
        StoreError: it cannot be read, or is damaged.
    """
    text = read_text(path)
    if text is None:
        return None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        if tolerant:
            return None
        raise StoreError(
            "is damaged, or was written by another version",
            remedy="remove the file and run farm retry",
            file=path,
        ) from error


def save_record(path: Path, record: BaseModel, *, durable: bool = True) -> None:
    """Replace the file by this record; `durable`: wait until the disk has it.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        # Where the store was unmounted, its folders must not come into being again below it.
        text = record.model_dump_json(indent=1) + "\n"
        write_text_atomically(path, text, durable=durable, new_folders=False)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise store_error(error, path) from error
