"""Template: OBJ files in all their forms, topology, and the list of animated vertices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facecap_core.errors import TemplateError
from facecap_core.template import (
    Template,
    read_animated,
    read_template,
    topology_difference,
    topology_sha256,
    triangulate,
)

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def template_of(folder: Path, text: str) -> Template:
    path = folder / "template.obj"
    path.write_text(text)
    return read_template(path)


@pytest.mark.parametrize(
    "face",
    ["1 2 3 4", "1/1 2/2 3/3 4/4", "1//1 2//1 3//1 4//1", "1/1/1 2/2/1 3/3/1 4/4/1", "-4 -3 -2 -1"],
)
def test_every_way_to_write_a_face(tmp_path: Path, face: str) -> None:
    uvs = "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1 0\nvn 0 0 1\n"
    template = template_of(tmp_path, f"{SQUARE}{uvs}f {face}\n")
    assert template.vertex_count == 4
    assert template.positions.dtype == np.float32
    assert template.positions[2].tolist() == [1, 1, 0]
    assert template.face_sizes.tolist() == [4]
    assert template.face_vertices.tolist() == [0, 1, 2, 3]
    assert template.faces.dtype == np.int32
    assert template.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    if "/" in face and "//" not in face:
        assert template.uvs is not None
        assert template.corner_uvs is not None
        assert template.uvs[template.corner_uvs].tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    else:
        assert template.uvs is None
        assert template.corner_uvs is None


def test_what_other_programs_write(tmp_path: Path) -> None:
    text = (
        "\ufeff# made by hand\r\nmtllib face.mtl\r\no skin_01\r\n"
        "v 0 0 0 0.5 0.5 0.5\r\n\tv\t1 0 0 1.0\r\nv 1e0 1 -0 # corner\r\n"
        "g lips\r\nusemtl red_2\r\ns off\r\nf 1 2 \\\r\n 3\r\no other\r\nv 5 5 5\r\nf -1 1 2\r\nl 1 2\r\n"
    )
    template = template_of(tmp_path, text)
    assert template.vertex_count == 4
    assert template.faces.tolist() == [[0, 1, 2], [3, 0, 1]]


def test_positions_survive_nine_digits(tmp_path: Path) -> None:
    positions = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    lines = ["v {:.9g} {:.9g} {:.9g}".format(*row) for row in positions.tolist()]
    assert np.array_equal(
        template_of(tmp_path, "\n".join([*lines, "f 1 2 3"])).positions, positions
    )


def test_fans_of_mixed_polygons_agree_with_a_loop() -> None:
    rng = np.random.default_rng(2)
    sizes = rng.integers(3, 8, 40)
    vertices = rng.integers(0, 100, sizes.sum())
    expected = []
    start = 0
    for size in sizes:
        polygon = vertices[start : start + size].tolist()
        expected += [[polygon[0], polygon[i], polygon[i + 1]] for i in range(1, size - 1)]
        start += size
    assert triangulate(sizes, vertices).tolist() == expected


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("v 0 0 0\nv 1 0\nf 1 1 1\n", 2, "too few"),
        ("v 0 0 0\nv 1 zero 0\n", 2, "'zero' is not a number"),
        ("v 0 0 0\nv 1_0 0 0\n", 2, "not a number"),
        ("v 0 0 0\nv nan 0 0\nf 1 1 1\n", 2, "vertex 1 is not finite"),
        ("v 0 0 0\n\nv 1e60 0 0\nf 1 1 1\n", 3, "vertex 1 is not finite"),
        (SQUARE + "f 1 2\n", 5, "three corners"),
        (SQUARE + "f 1 2 5\n", 5, "'5' does not exist: 4"),
        (SQUARE + "f 1 2 0\n", 5, "'0' does not exist"),
        (SQUARE + "f 1 2 -5\n", 5, "'-5' does not exist"),
        (SQUARE + "f 1 2 99999999999999999999999\n", 5, "does not exist"),
        (SQUARE + "f 1 2 x\n", 5, "not a vertex index"),
        (SQUARE + "f 1/1 2/1 3/1\n", 5, "texture coordinate"),
        (SQUARE, None, "no faces"),
        ("", None, "no vertex lines"),
        ("\x00\x01\x02", None, "no vertex lines"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    with pytest.raises(TemplateError, match=words) as caught:
        template_of(tmp_path, text)
    assert caught.value.fault.file == str(tmp_path / "template.obj")
    assert caught.value.fault.line == line
    assert caught.value.fault.remedy


def test_absent_templates(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="does not exist"):
        read_template(tmp_path / "none.obj")
    with pytest.raises(TemplateError, match="not a plain file"):
        read_template(tmp_path)


def test_the_digest_knows_topology_and_nothing_else(tmp_path: Path) -> None:
    plain = template_of(tmp_path, SQUARE + "f 1 2 3\nf 1 3 4\n").topology_sha256
    moved = SQUARE.replace("1", "2") + "vt 0 0\nf 1/1 2/1 3/1\nf 1/1 3/1 4/1\n"
    assert template_of(tmp_path, moved).topology_sha256 == plain
    others = [
        SQUARE + "f 1 2 3 4\n",
        SQUARE + "f 1 2 4\nf 1 3 4\n",
        SQUARE + "f 1 3 4\nf 1 2 3\n",
        SQUARE + "v 9 9 9\nf 1 2 3\nf 1 3 4\n",
    ]
    digests = {template_of(tmp_path, text).topology_sha256 for text in others}
    assert len(digests | {plain}) == 5


def test_the_digest_stays_the_same_over_versions() -> None:
    # Models carry it: another value here means that no trained model fits its actor any more.
    digest = topology_sha256(4, np.array([4]), np.array([0, 1, 2, 3]))
    assert digest == "f638f77d7cabb5cccb5b90a0885f68236e413646d03432e8966122244aee03ed"


def test_polygons_may_turn_but_not_change(tmp_path: Path) -> None:
    template = template_of(tmp_path, SQUARE + "v 0 0 1\nf 1 2 3 4\nf 1 2 5\n")
    sizes = np.array([4, 3])
    assert topology_difference(template, sizes, np.array([0, 1, 2, 3, 0, 1, 4])) is None
    assert topology_difference(template, sizes, np.array([3, 2, 1, 0, 4, 0, 1])) is None
    crossed = topology_difference(template, sizes, np.array([0, 2, 1, 3, 0, 1, 4]))
    assert crossed is not None
    assert "face 0" in crossed
    other = topology_difference(template, sizes, np.array([0, 1, 2, 3, 0, 1, 3]))
    assert other is not None
    assert "face 1 has vertices (0, 1, 3), in the template (0, 1, 4)" in other
    swapped = topology_difference(template, np.array([3, 4]), np.array([0, 1, 4, 0, 1, 2, 3]))
    assert swapped is not None
    assert "face 0" in swapped
    fewer = topology_difference(template, np.array([4]), np.array([0, 1, 2, 3]))
    assert fewer == "has 1 faces, the template has 2"


def test_animated_vertices(tmp_path: Path) -> None:
    path = tmp_path / "animated.txt"
    path.write_text("# lips\n7\n\n 3 # corner\r\n0\n")
    animated = read_animated(path, 8)
    assert animated.dtype == np.int64
    assert animated.tolist() == [0, 3, 7]
    assert read_animated(None, 3).tolist() == [0, 1, 2]  # no list: all


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("1\n2\n1\n", 3, "twice, first in line 1"),
        ("1\n8\n", 2, "vertex 8 does not exist"),
        ("-1\n", 1, "vertex -1 does not exist"),
        ("1.0\n", 1, "not a vertex index"),
        ("1 2\n", 1, "not a vertex index"),
        ("1_0\n", 1, "not a vertex index"),
        ("²\n", 1, "not a vertex index"),
        ("9" * 5000, 1, "not a vertex index"),
        ("# nothing\n\n", None, "no animated vertices"),
    ],
)
def test_animated_faults_name_file_and_line(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    path = tmp_path / "animated.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TemplateError, match=words) as caught:
        read_animated(path, 8)
    assert caught.value.fault.line == line
    assert caught.value.fault.file == str(path)


def test_an_unreadable_list_of_animated_vertices(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe1\n")
    for name in ("absent.txt", "binary.txt", "."):
        with pytest.raises(TemplateError, match="cannot be read"):
            read_animated(tmp_path / name, 8)
