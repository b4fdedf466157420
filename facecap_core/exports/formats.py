"""Formats: the ways to write an animation, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecap_core.errors import ConfigError
from facecap_core.exports.alembic import alembic_libraries, write_alembic
from facecap_core.exports.animation import Animation
from facecap_core.exports.obj_sequence import write_obj_sequence
from facecap_core.exports.usd import write_usd
from facecap_core.frame_names import LARGEST
from facecap_core.pointcaches.mdd import write_mdd
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.pointcaches.whole_file import float_blocks, whole_file


@dataclass(frozen=True)
class Format:
    """One way to write an animation; `suffix` is of its file, or nothing for a folder."""

    suffix: str
    write: Callable[[Path, Animation], None]
    meaning: str
    check: Callable[[], object] = lambda: None  # raises where its library is missing


def _write_pc2(path: Path, animation: Animation) -> None:
    write_pc2(path, animation, start_frame=animation.start_frame)


def _write_mdd(path: Path, animation: Animation) -> None:
    write_mdd(path, animation, animation.fps, start_frame=animation.start_frame)


def write_npy(path: Path, animation: Animation) -> None:
    """Write float32 [frame, vertex, xyz] as NumPy's format 1.0, whole or not at all."""
    with whole_file(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": animation.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in float_blocks(animation, path):
            file.write(np.ascontiguousarray(block, "<f4").data)


FORMATS: dict[str, Format] = {
    "usd": Format(".usdc", write_usd, "mesh, uvs, rate, units, up axis, figures of each frame"),
    "abc": Format(
        ".abc", write_alembic, "mesh, uvs, rate, figures of each frame", alembic_libraries
    ),
    "pc2": Format(".pc2", _write_pc2, "points and start frame, no rate"),
    "mdd": Format(".mdd", _write_mdd, "points and times"),
    "npy": Format(".npy", write_npy, "points only"),
    "obj": Format("", write_obj_sequence, "a folder with a mesh a frame, uvs"),
}


def check_formats(names: Iterable[str]) -> None:
    """See that all can be written here, before any is.

    Raises:
        PointCacheError: a format's library is missing.
    """
    for name in names:
        FORMATS[name].check()


def check_start(names: Iterable[str], start_frame: float) -> None:
    """See that the first frame may be called so in all of them.

    Raises:
        ConfigError: it is no number, or none that files can have.
    """
    if not abs(start_frame) <= LARGEST:
        raise ConfigError(f"start frame {start_frame} is no number", remedy="--start-frame 1001")
    if "obj" in names and not (start_frame >= 0 and float(start_frame).is_integer()):
        raise ConfigError(
            f"start frame {start_frame:g} cannot number OBJ files",
            remedy="--start-frame 0 or a larger whole number, or another --format than obj",
        )
