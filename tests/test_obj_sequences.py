"""OBJ sequences: one mesh a frame in every style of writing, and all that can be amiss between frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pointcache_files import refusal, some_positions, write_sequence

from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.template import Template, read_template

FACES = "f 1 2 3\nf 3 4 5\n"


def template_with(folder: Path, faces: str = FACES) -> Template:
    path = folder / "template.obj"
    path.write_text("v 0 0 0\n" * 5 + faces)
    return read_template(path)


def test_sequence_as_pattern_and_as_folder(tmp_path: Path) -> None:
    positions = some_positions(4, 5)
    pattern = write_sequence(tmp_path / "seq", positions, first=9998, faces=FACES)
    (tmp_path / "seq" / "notes.txt").write_text("x")
    (tmp_path / "seq" / "rest.obj").write_text("v 0 0 0\n")
    template = template_with(tmp_path)
    for path in (pattern, tmp_path / "seq", tmp_path / "seq" / "face.%d.obj"):
        with open_point_cache(path, vertex_count=5, topology=template) as cache:
            assert (cache.format, cache.start_frame) == ("OBJ sequence", 9998.0)
            assert np.array_equal(cache.read(0, 4), positions)
            assert cache.notes == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v ", "v\t"),
        ("\nv ", "\n  v "),
        ("\nf ", "\n f "),
        ("\nv ", " 0.5 0.5 0.5\nv "),
        ("\n", "\r\n"),
        ("f 1 2 3", "f 1 \\\n2 3"),
        ("f 1 2 3", "f -5 -4 -3"),
        ("f 1 2 3", "f 3//1 2//1 1//1"),
        ("f 1 2 3", "# frame\no face_01\nf 1 2 3"),
    ],
)
def test_sequences_of_every_style_read_alike(tmp_path: Path, old: str, new: str) -> None:
    positions = some_positions(4, 5)
    pattern = write_sequence(tmp_path / "seq", positions, faces=FACES)
    for frames in ([2], [0, 1, 3]):  # one among others, then all
        for frame in frames:
            path = tmp_path / "seq" / f"face.{frame:04d}.obj"
            path.write_text(path.read_text().replace(old, new), newline="")
        with open_point_cache(pattern, vertex_count=5, topology=template_with(tmp_path)) as cache:
            assert np.array_equal(cache.read(0, 4), positions)


def test_a_face_that_changes_in_a_sequence_is_named(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path / "seq", some_positions(4, 5), faces=FACES)
    path = tmp_path / "seq" / "face.0002.obj"
    text = path.read_text()
    path.write_text(text.replace("f 3 4 5", "f 3 5 2"))
    error = refusal(pattern)
    assert error.fault.file == str(path)
    assert "face 1 has vertices (2, 4, 1), in the first frame (2, 3, 4)" in str(error)
    path.write_text(text + "f 1 2 4\n")
    assert "has 3 faces, the first frame has 2" in str(refusal(pattern))
    path.write_text("v 0 0 0\n" + text)
    assert "has 6 points, the template has 5" in str(refusal(pattern))
    path.write_text(text.replace("v ", "v x", 1))
    error = refusal(pattern)
    assert (error.fault.file, error.fault.line) == (str(path), 1)


def test_a_sequence_of_another_topology_is_refused(tmp_path: Path) -> None:
    pattern = write_sequence(tmp_path / "seq", some_positions(2, 5), faces=FACES)
    template = template_with(tmp_path, "f 1 2 3\nf 3 4 1\n")
    assert "face 1 has vertices (2, 3, 4), in the template (2, 3, 0)" in str(
        refusal(pattern, topology=template)
    )
    bare = write_sequence(tmp_path / "bare", some_positions(2, 5))
    with open_point_cache(bare, vertex_count=5, topology=template) as cache:
        assert "no faces" in cache.notes[0]


def test_sequences_with_gaps_or_doubts_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    pattern = write_sequence(folder, some_positions(5, 5))
    (folder / "face.0003.obj").unlink()
    assert "frame 3 is missing: there is face.0002.obj, then face.0004.obj" in str(refusal(pattern))
    (folder / "face.3.obj").write_text("v 0 0 0\n" * 5)
    (folder / "face.4.obj").write_text("v 0 0 0\n" * 5)
    assert "frame 4 is there twice" in str(refusal(folder))
    (folder / "face.4.obj").rename(folder / "brow.0001.obj")
    assert "several sequences: 'brow.….obj', 'face.….obj'" in str(refusal(folder))
    (tmp_path / "empty").mkdir()
    assert "no numbered OBJ files" in str(refusal(tmp_path / "empty"))
    assert "cannot be listed" in str(refusal(tmp_path / "none" / "face.%04d.obj"))
    assert "no frame number, or several" in str(refusal(folder / "face.%s.obj"))
