"""OBJ sequence: an animation as a folder of OBJ files, one a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facecap_core.exports.animation import Animation
from facecap_core.template import Template
from facecap_core.whole_path import whole_path


def write_obj_sequence(path: Path, animation: Animation) -> None:
    """Write `path`/NAME.0000.obj, …, numbered from the start frame, a whole number from 0 on; the whole folder or nothing.

    Nine digits, so that every float32 comes back as it was.

    Raises:
        OSError: it cannot be written.
    """
    tail = "".join(_faces(animation.template))
    last = int(animation.start_frame) + animation.frames - 1
    digits = max(4, len(str(last)))
    with whole_path(path) as folder:
        folder.mkdir()
        for first, block in animation.blocks(path):
            for number, frame in enumerate(block, start=first + int(animation.start_frame)):
                points = "".join("v {:.9g} {:.9g} {:.9g}\n".format(*row) for row in frame.tolist())
                name = f"{animation.name}.{number:0{digits}d}.obj"
                (folder / name).write_text(f"o {animation.name}\n{points}{tail}", encoding="utf-8")


def _faces(template: Template) -> Iterator[str]:
    """Texture coordinates, then the polygons, as lines."""
    uvs = template.uvs if template.corner_uvs is not None else None
    if uvs is not None:
        yield from ("vt {:.9g} {:.9g}\n".format(*uv) for uv in uvs.tolist())
    corners = (template.face_vertices + 1).tolist()
    if uvs is not None and template.corner_uvs is not None:
        places = (template.corner_uvs + 1).tolist()
        words = [f"{corner}/{place}" for corner, place in zip(corners, places, strict=True)]
    else:
        words = [str(corner) for corner in corners]
    start = 0
    for size in template.face_sizes.tolist():
        yield f"f {' '.join(words[start : start + size])}\n"
        start += size
