"""Inputs: short digests of the files that a request reads, by which changed footage is another request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from facecap_core.errors import FootageMissing
from facecap_core.fingerprints import fingerprint_file, fingerprint_footage, members_of
from facecap_core.pointcaches.reader import fingerprint_cache, split_mesh
from facecap_core.productions.production_toml import PREDICTOR_FILE

MISSING = "missing"


def stamp(footage: Sequence[Path], numbers: Sequence[Path]) -> str:
    """Digest of names, sizes and modification times: a cheap one, for hundreds of shots.

    A copied file with another time makes another job, which finds its shots solved by their content.

    Args:
        numbers: point caches, as shots.csv names them, and landmarks.
    """
    digest = hashlib.sha256()
    for path in (*footage, *numbers):
        file, mesh = split_mesh(path)
        try:
            for member in members_of(file):
                status = member.stat()
                digest.update(f"{member.name}|{status.st_size}|{status.st_mtime_ns};".encode())
        except (OSError, FootageMissing):
            digest.update(f"{file.name}|{MISSING};".encode())
        if mesh is not None:
            digest.update(f"#{mesh};".encode())
    return digest.hexdigest()[:12]


def content(footage: Sequence[Path], numbers: Sequence[Path]) -> str:
    """Digest of contents: the same files elsewhere are the same training, with the same model's name.

    Args:
        numbers: as of `stamp`.
    """
    digest = hashlib.sha256()
    # A predictor of landmarks serves all shots, and is a hundred megabytes.
    whole = {path for path in numbers if path.suffix.lower() != PREDICTOR_FILE}
    for path in (*footage, *numbers):
        try:
            found = fingerprint_cache(path) if path in whole else fingerprint_footage(path)
            digest.update(found.encode())
        except (OSError, FootageMissing):
            digest.update(MISSING.encode())
    return digest.hexdigest()[:12]


def file_content(path: Path | None) -> str:
    """Digest of one small file; empty where there is none."""
    if path is None:
        return ""
    try:
        return fingerprint_file(path, whole=True)[:12]
    except (OSError, FootageMissing):
        return MISSING
