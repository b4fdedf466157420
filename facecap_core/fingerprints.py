"""Fingerprints: content identity of footage and caches, at the cost of a few reads."""

from __future__ import annotations

import hashlib
import os
import re
from itertools import islice
from pathlib import Path

from facecap_core.errors import FootageError, FootageMissing, ModelError

_PRINTF = re.compile(r"%0?\d*d")
_BLOCK = 64 * 1024
_BLOCKS = 64
_UNPACKED = frozenset({".bmp", ".dpx", ".exr", ".tga", ".tif", ".tiff"})  # may be, as a header says
_LOOKED_AT = 4  # packets, the first of which is larger where later pictures are differences to it


def fingerprint_file(path: Path, *, whole: bool = False) -> str:
    """Content identity of a file of any size: its length and 64 blocks spread over it, as hexadecimal.

    Files up to 4 MiB are hashed whole. What is compressed cannot change between the blocks without
    moving what follows, so this finds a new encode at the cost of a few reads.

    Args:
        whole: every byte counts: what is not compressed changes in its place.

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

    Of footage whose pictures take the same room each (not compressed, DNxHD, AVC-Intra), every byte counts:
    some of them can be replaced, and the rest stays where it is.

    Args:
        whole: as of `fingerprint_file`, whatever the pictures are.

    Raises:
        FootageMissing: nothing is there, or it cannot be read.
    """
    path = Path(path)
    members = members_of(path)
    if members == [path]:
        return fingerprint_file(path, whole=whole or _of_one_size(path))
    digest = hashlib.blake2b(digest_size=16)
    for member in members:
        told = fingerprint_file(member, whole=whole or member.suffix.lower() in _UNPACKED)
        digest.update(member.name.encode() + b"\0" + told.encode())
    return digest.hexdigest()


def _of_one_size(path: Path) -> bool:
    """Whether the pictures of a video take as many bytes each; of a file that is hashed whole anyway it is not asked."""
    try:
        if path.stat().st_size <= _BLOCK * _BLOCKS:
            return False
        # Here: who only compares small files need not wait for the decoder's library.
        from facecap_core.footage.video_container import open_video

        with open_video(path) as video:
            sizes = [packet.size for packet in islice(video.packets(), _LOOKED_AT)]
    except (FootageError, OSError):  # whoever reads it says so
        return False
    return len(sizes) > 1 and len(set(sizes)) == 1


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
    return short_fingerprint(hashlib.sha256(weights).hexdigest())


def short_fingerprint(sha256: str) -> str:
    """As much of a SHA-256 as tells weights apart."""
    return sha256[:32]


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
