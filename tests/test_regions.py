"""Regions: found in meshes by their openings, or read from an actor's file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facecap_core.errors import ProductionError, TemplateError
from facecap_core.madeup.actor import MadeUpActor
from facecap_core.productions.production import load_production
from facecap_core.regions import actor_regions, derive_regions, read_regions, regions_json
from facecap_core.template import Template, read_template


def template_of(positions, faces):
    return Template(
        path=Path("template.obj"),
        positions=positions.astype(np.float32),
        faces=faces.astype(np.int32),
        face_sizes=np.full(len(faces), 3, np.int32),
        face_vertices=faces.reshape(-1).astype(np.int32),
        uvs=None,
        corner_uvs=None,
        topology_sha256="",
    )


@pytest.fixture(scope="module")
def actor():
    return MadeUpActor(seed=3)


@pytest.fixture(scope="module")
def template(actor):
    return template_of(actor.template, actor.mask.triangles())


@pytest.fixture(scope="module")
def regions(template):
    return derive_regions(template)


def test_every_vertex_is_in_one_region(template, regions):
    assert list(regions.groups) == ["lips", "lids", "jaw", "brows", "rest"]
    listed = np.concatenate(list(regions.groups.values()))
    np.testing.assert_array_equal(np.sort(listed), np.arange(template.vertex_count))
    assert all(len(group) > 100 for group in regions.groups.values())
    for number, group in enumerate(regions.groups.values()):
        assert set(regions.labels()[group]) == {number}


def test_regions_lie_where_the_mask_has_its_slits(actor, template, regions):
    groups, mask = regions.groups, actor.mask
    assert set(mask.mouth.upper) | set(mask.mouth.lower) <= set(groups["lips"])
    for eye in (mask.left_eye, mask.right_eye):
        assert set(eye.upper[1:-1]) | set(eye.lower[1:-1]) <= set(groups["lids"])
    height = template.positions[:, 1]
    assert height[groups["jaw"]].max() < height[mask.mouth.upper].mean()
    assert height[groups["brows"]].min() > height[mask.left_eye.upper].max()
    widest = np.abs(template.positions[groups["lips"], 0]).max()
    assert widest < 1.35 * np.abs(template.positions[mask.mouth.upper, 0]).max()


def test_pairs_are_opposite_vertices_of_the_slits(actor, regions):
    """The mouth's flaps lead 3 vertices inwards from its slit: pairs belong to the slit, not to the hole."""
    mouth = actor.mask.mouth
    opposite = dict(zip(mouth.upper.tolist(), mouth.lower.tolist(), strict=True))
    assert len(regions.lip_pairs) > 15
    assert all(opposite.get(upper) == lower for upper, lower in regions.lip_pairs.tolist())
    across = actor.template[regions.lid_pairs, 0]
    assert (across[:, 0] < 0).any()
    assert (across[:, 0] > 0).any()
    np.testing.assert_allclose(across[:, 0], across[:, 1], atol=0.1)
    assert (np.diff(actor.template[regions.lid_pairs, 1], axis=1) < -0.2).all()


def test_units_and_axes_do_not_matter(template, regions):
    turn = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # y up becomes z up
    other = template_of(0.0254 * template.positions @ turn.T + 3.0, template.faces)
    found = derive_regions(other)
    for name, group in regions.groups.items():
        np.testing.assert_array_equal(found.groups[name], group)
    np.testing.assert_array_equal(found.lip_pairs, regions.lip_pairs)
    np.testing.assert_array_equal(found.lid_pairs, regions.lid_pairs)
    np.testing.assert_allclose(found.forward, turn @ regions.forward, atol=1e-6)
    assert regions.forward[2] > 0.95


def test_other_pieces_of_the_mesh_are_no_openings(template, regions):
    """Half balls in the eyes are open behind, as large as the eyes, lie more evenly than they do, and
    are no part of the face."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rim = np.stack([1.2 * np.cos(angle), 1.2 * np.sin(angle), 0 * angle], 1)
    ball = np.concatenate([rim, [[0.0, 0.0, 1.2]]])
    fan = np.stack([np.arange(24), (np.arange(24) + 1) % 24, np.full(24, 24)], 1)
    low, high = (f(template.positions[regions.lip_pairs, 0]) for f in (np.min, np.max))
    positions, faces = [template.positions], [template.faces]
    for number, side in enumerate((-3.2, 3.2)):
        positions.append(ball + [(low + high) / 2 + side, 3.0, 5.5])
        faces.append(fan + template.vertex_count + number * len(ball))
    both = template_of(np.concatenate(positions), np.concatenate(faces))
    found = derive_regions(both)
    np.testing.assert_array_equal(found.lid_pairs, regions.lid_pairs)
    np.testing.assert_array_equal(found.groups["jaw"], regions.groups["jaw"])


@pytest.mark.parametrize(
    ("faces", "reason"),
    [
        ([[0, 1, 2], [0, 2, 3]], "of the mesh's 0 openings"),
        ([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]], "no opening"),
    ],
)
def test_a_mesh_without_openings_is_all_rest(faces, reason):
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1]])
    found = derive_regions(template_of(corners, np.array(faces)))
    assert {name: len(group) for name, group in found.groups.items()} == {
        "lips": 0,
        "lids": 0,
        "jaw": 0,
        "brows": 0,
        "rest": 4,
    }
    assert found.lip_pairs.shape == found.lid_pairs.shape == (0, 2)
    assert found.forward is None
    assert reason in found.origin


def test_closed_eyes_have_an_upper_and_a_lower_lid(actor, template):
    """Both chains of a shut slit lie in one place: the skin beside them says which is which."""
    shut = template.positions.copy()
    eyes = (actor.mask.left_eye, actor.mask.right_eye)
    for eye in eyes:
        middle = (shut[eye.upper] + shut[eye.lower]) / 2
        for chain in (eye.upper, eye.lower, *eye.upper_flap, *eye.lower_flap):
            shut[chain] = middle
    found = derive_regions(template_of(shut, template.faces))
    upper = {v for eye in eyes for chain in (eye.upper, *eye.upper_flap) for v in chain.tolist()}
    lower = {v for eye in eyes for chain in (eye.lower, *eye.lower_flap) for v in chain.tolist()}
    assert len(found.lid_pairs) > 10
    assert set(found.lid_pairs[:, 0].tolist()) <= upper
    assert set(found.lid_pairs[:, 1].tolist()) <= lower


def test_a_file_is_read_as_it_was_written(template, regions, tmp_path):
    path = tmp_path / "regions.json"
    path.write_text(regions_json(regions))
    found = read_regions(path, template)
    for name, group in regions.groups.items():
        np.testing.assert_array_equal(found.groups[name], group)
    np.testing.assert_array_equal(found.lip_pairs, regions.lip_pairs)
    np.testing.assert_array_equal(found.lid_pairs, regions.lid_pairs)
    np.testing.assert_array_equal(found.forward, regions.forward)
    assert found.origin == str(path)


def test_a_file_may_name_other_regions(template, tmp_path):
    path = tmp_path / "regions.json"
    path.write_text('{"groups": {"nose": [5, 2]}, "lip_pairs": [[7, 8]]}')
    found = read_regions(path, template)
    assert list(found.groups) == ["nose", "rest"]
    assert found.groups["nose"].tolist() == [2, 5]
    assert len(found.groups["rest"]) == template.vertex_count - 2
    assert found.lip_pairs.tolist() == [[7, 8]]
    assert found.lid_pairs.shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"groups": {}\n "lip_pairs"', r":2: is not JSON"),
        ("[1]", "has no groups"),
        ('{"groups": []}', "has no groups"),
        ('{"groups": {}, "lips": []}', "unknown key 'lips'"),
        ('{"groups": {"lips": 3}}', "lips is no list"),
        ('{"groups": {"a b": []}}', "'a b' cannot be"),
        ('{"groups": {"lips": [1.5]}}', r"lips: '1.5' is not a vertex index"),
        ('{"groups": {"lips": [true]}}', "'True' is not a vertex index"),
        ('{"groups": {"lips": [99999]}}', "vertex 99999 does not exist"),
        ('{"groups": {"lips": [-1]}}', "vertex -1 does not exist"),
        ('{"groups": {"lips": [1, 2, 1]}}', "vertex 1 is twice in lips"),
        ('{"groups": {"lips": [1], "jaw": [1]}}', "vertex 1 is in lips and in jaw"),
        ('{"groups": {}, "lip_pairs": [[1]]}', "lip_pairs is no list of pairs"),
        ('{"groups": {}, "lid_pairs": [[1, 99999]]}', "lid_pairs: vertex 99999"),
        ('{"groups": {}, "lid_pairs": [[4, 4]]}', "vertex 4 is paired with itself"),
    ],
)
def test_faults_of_a_file_are_named(template, tmp_path, text, message):
    path = tmp_path / "regions.json"
    path.write_text(text)
    with pytest.raises(TemplateError, match=message) as raised:
        read_regions(path, template)
    assert str(path) in str(raised.value)
    assert raised.value.fault.remedy


PRODUCTION = """
name = "tests"
fps = 30
units = "cm"
[actors.ada]
template = "template.obj"
regions = {regions}
[actors.ada.cameras.center]
crop = [0, 0, 240, 320]
"""


def test_production_toml_may_name_the_file(tmp_path):
    (tmp_path / "template.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n")
    (tmp_path / "mine.json").write_text(json.dumps({"groups": {"lips": [1]}}))
    (tmp_path / "shots.csv").write_text("shot,actor,category,split,cache,center\n")
    (tmp_path / "production.toml").write_text(PRODUCTION.format(regions='"mine.json"'))
    actor = load_production(tmp_path).actors["ada"]
    template = read_template(actor.template)
    assert actor_regions(actor, template).groups["lips"].tolist() == [1]
    derived = actor_regions(actor.model_copy(update={"regions": None}), template)
    assert derived.groups["lips"].tolist() == []
    missing = actor.model_copy(update={"regions": tmp_path / "gone.json"})
    with pytest.raises(TemplateError, match=r"gone\.json.*cannot be read"):
        actor_regions(missing, template)


def test_a_wrong_regions_key_is_a_fault_with_its_line(tmp_path):
    (tmp_path / "shots.csv").write_text("shot,actor,category,split,cache,center\n")
    (tmp_path / "production.toml").write_text(PRODUCTION.format(regions="3"))
    with pytest.raises(ProductionError) as raised:
        load_production(tmp_path)
    fault = raised.value.faults[0]
    assert fault.line == 7
    assert "regions" in fault.message
    assert "farm regions" in fault.remedy
