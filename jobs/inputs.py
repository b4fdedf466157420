"""Inputs: short digests of the files that a request reads, by which changed footage is another request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from facecap_core.errors import FootageMissing
from facecap_core.fingerprints import fingerprint_file, fingerprint_footage, members_of

MISSING = "missing"


def stamp(paths: Iterable[Path]) -> str:
    """Digest of names, sizes and modification times: a cheap one, for hundreds of shots.

    A copied file with another time makes another job, which finds its shots solved by their content.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            for member in members_of(path):
                status = member.stat()
                digest.update(f"{member.name}|{status.st_size}|{status.st_mtime_ns};".encode())
        except (OSError, FootageMissing):
            digest.update(f"{path.name}|{MISSING};".encode())
    return digest.hexdigest()[:12]


def content(paths: Iterable[Path]) -> str:
    """Digest of contents: the same footage elsewhere is the same training, with the same model's name."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(fingerprint_footage(path).encode())
        except (OSError, FootageMissing):
            digest.update(MISSING.encode())
    return digest.hexdigest()[:12]


def file_content(path: Path | None) -> str:
    """Digest of one small file; empty where there is none."""
    if path is None:
        return ""
    try:
        return fingerprint_file(path)[:12]
    except (OSError, FootageMissing):
        return MISSING
