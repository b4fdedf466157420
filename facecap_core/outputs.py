"""Outputs: files made of a solved shot outside of the store, each with what it was made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facecap_core.errors import StoreError
from facecap_core.files import files_in, sha256_of, write_text_atomically


@dataclass(frozen=True)
class OutputDamage:
    """What is wrong with one file (or folder) of an output."""

    part: str
    what: Literal["missing", "truncated", "altered", "of other vertices"]


@dataclass(frozen=True)
class Outputs:
    """The files that one shot shall have in a folder, by name, with what each is made of.

    A record beside them, written last, says what is there: that much is done, and can be verified.
    """

    folder: Path
    record: str  # name of the record's file
    wanted: Mapping[str, str]  # name: digest of all that decides its content

    def read_record(self) -> dict[str, Any]:
        """All that the record says; empty where there is none that can be read."""
        try:
            told = json.loads((self.folder / self.record).read_text("utf-8"))
            files = {str(name): dict(entry) for name, entry in told["files"].items()}
            sound = {name: entry for name, entry in files.items() if type(entry["bytes"]) is int}
            return {**told, "files": sound}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def write_record(self, told: Mapping[str, Any]) -> None:
        """Replace the record, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        write_text_atomically(self.folder / self.record, json.dumps(told, indent=1) + "\n")

    def recorded(self) -> dict[str, dict[str, Any]]:
        """The record's entry of each file."""
        found: dict[str, dict[str, Any]] = self.read_record().get("files", {})
        return found

    def damages(self, *, contents: bool = True) -> list[OutputDamage]:
        """Everything that is not as it was written, or is to be made anew.

        Args:
            contents: read and hash every byte; without, only sizes are compared.

        Raises:
            StoreError: a file cannot be read.
        """
        recorded = self.recorded()
        found = []
        for name, of in self.wanted.items():
            what = self._damage(name, recorded.get(name), of, contents=contents)
            if what is not None:
                found.append(OutputDamage(name, what))
        return found

    def _damage(
        self, name: str, entry: dict[str, Any] | None, of: str, *, contents: bool
    ) -> Literal["missing", "truncated", "altered", "of other vertices"] | None:
        if entry is None:
            return "missing"
        if entry.get("of") != of:
            return "of other vertices"
        try:
            size, digest = facts_of(self.folder / name, contents=contents)
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            raise StoreError(
                f"cannot be read: {error.strerror}",
                remedy="check that its folder is mounted",
                file=self.folder / name,
            ) from error
        if size != entry["bytes"]:
            return "truncated" if size < entry["bytes"] else "altered"
        return "altered" if contents and digest != entry.get("sha256") else None

    def entry(self, name: str) -> dict[str, Any]:
        """What the record says of a file that was just made."""
        size, digest = facts_of(self.folder / name)
        return {"bytes": size, "sha256": digest, "of": self.wanted[name]}

    def size(self) -> tuple[int, int]:
        """Number of files and of bytes by the record."""
        recorded = self.recorded()
        sizes = [recorded[name]["bytes"] for name in self.wanted if name in recorded]
        return len(sizes), sum(sizes)


def facts_of(path: Path, *, contents: bool = True) -> tuple[int, str]:
    """Size and SHA-256 of a file, or of a folder's names and files together; without `contents` no hash.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    if not path.is_dir():
        return path.stat().st_size, sha256_of(path) if contents else ""
    size, whole = 0, hashlib.sha256()
    for file in sorted(files_in(path)):
        size += file.stat().st_size
        if contents:
            name = file.relative_to(path).as_posix()
            whole.update(f"{name}\0{sha256_of(file)}\n".encode())
    return size, whole.hexdigest() if contents else ""


def digest_of(facts: Any) -> str:
    """Digest of whatever JSON can say."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
