"""Fingerprints: content identity of footage and caches, at the cost of a few reads."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from facecap_core.errors import FootageMissing, ModelError

_PRINTF = re.compile(r"%0?\d*d")
_BLOCK = 64 * 1024
_BLOCKS = 64


def fingerprint_file(path: Path, *, whole: bool = False) -> str:
    """Content identity of a file of any size: its length and 64 blocks spread over it, as hexadecimal.

    Files up to 4 MiB are hashed whole. Compressed footage cannot change between the blocks without
    moving what follows, so this finds a new encode at the cost of a few reads.

    Args:
        whole: every byte counts: numbers that are not compressed change in their places.

    Raises:
        FootageMissing: there is no such file, or it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(size.to_bytes(8, "little"))
            if whole or size <= _BLOCK * _BLOCKS:
                starts = list(range(0, size, _BLOCK))
            else:
                starts = [(size - _BLOCK) * i // (_BLOCKS - 1) for i in range(_BLOCKS)]
            for start in starts:
                file.seek(start)
                digest.update(file.read(_BLOCK))
    except OSError as error:
        raise FootageMissing(
            f"cannot be read: {error.strerror}",
            remedy="check the path in shots.csv, and that the disk is mounted",
            file=path,
        ) from error
    return digest.hexdigest()


def fingerprint_footage(path: Path, *, whole: bool = False) -> str:
    """Content identity of a video file, or of an image or OBJ sequence given as `name.%04d.png`.

    Args:
        whole: as of `fingerprint_file`.

    Raises:
        FootageMissing: nothing is there, or it cannot be read.
    """
    path = Path(path)
    members = members_of(path)
    if members == [path]:
        return fingerprint_file(path, whole=whole)
    digest = hashlib.blake2b(digest_size=16)
    for member in members:
        told = fingerprint_file(member, whole=whole)
        digest.update(member.name.encode() + b"\0" + told.encode())
    return digest.hexdigest()


def fingerprint_weights(directory: Path) -> str:
    """What tells a model's weights from others.

    Raises:
        ModelError: there are none.
    """
    try:
        weights = (Path(directory) / "weights.safetensors").read_bytes()
    except OSError as error:
        raise ModelError(
            "is not a model", remedy="`farm models` lists what there is", file=directory
        ) from error
    return hashlib.sha256(weights).hexdigest()[:32]


def members_of(path: Path) -> list[Path]:
    """The files that footage or a cache consists of: itself, or the members of a sequence in order.

    Raises:
        FootageMissing: nothing is there.
    """
    if path.exists() and not path.is_dir():
        return [path]
    if path.is_dir():
        members = sorted(member for member in path.iterdir() if member.is_file())
    else:
        head, *tail = _PRINTF.split(path.name)
        if not tail or not path.parent.is_dir():
            raise FootageMissing("no such file", remedy="check the path in shots.csv", file=path)
        pattern = re.compile(re.escape(head) + r"\d+" + re.escape(tail[0]))
        members = sorted(m for m in path.parent.iterdir() if pattern.fullmatch(m.name))
    if not members:
        raise FootageMissing(
            "no file of this sequence", remedy="check the path in shots.csv", file=path
        )
    return members
