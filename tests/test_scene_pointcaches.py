"""USD and Alembic point caches: written by their own libraries, read exactly, refused when unfit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pointcache_files import refusal, some_positions
from pxr import Gf, Usd, UsdGeom, Vt

from facecap_core.pointcaches.cache import PointCache
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.template import Template, read_template

FACES = [[0, 1, 2], [0, 2, 3], [0, 3, 4]]
TURN = np.array([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [5, 6, 7, 1]], float)


@pytest.fixture
def template(tmp_path: Path) -> Template:
    faces = "".join("f {} {} {}\n".format(*(index + 1 for index in face)) for face in FACES)
    path = tmp_path / "template.obj"
    path.write_text("v 0 0 0\n" * 5 + faces)
    return read_template(path)


def opened(path: str | Path, template: Template) -> PointCache:
    return open_point_cache(path, vertex_count=5, topology=template)


def add_usd_mesh(
    stage: Usd.Stage,
    name: str,
    positions: NDArray[np.float32],
    *,
    codes: Iterable[float] | None = None,
    faces: list[list[int]] = FACES,
) -> UsdGeom.Mesh:
    mesh = UsdGeom.Mesh.Define(stage, name)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([len(face) for face in faces]))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray([index for face in faces for index in face]))
    points = mesh.CreatePointsAttr()
    for code, frame in zip(codes or range(len(positions)), positions, strict=True):
        points.Set(Vt.Vec3fArray.FromNumpy(frame), Usd.TimeCode(code))
    return mesh


def usd_stage(path: Path) -> Usd.Stage:
    return Usd.Stage.CreateNew(str(path))


def write_alembic(
    path: Path,
    meshes: dict[str, NDArray[np.float32]],
    *,
    rate: float = 30.0,
    first: float = 0.0,
    faces: list[list[int]] = FACES,
    later_faces: list[list[int]] | None = None,
    matrices: list[NDArray] | None = None,
) -> None:
    abc = pytest.importorskip("alembic3d")
    imath = pytest.importorskip("imath")

    def array(kind: type, values: object) -> object:
        numbers = np.asarray(values)
        filled = kind(len(numbers))
        np.asarray(memoryview(filled))[:] = numbers
        return filled

    def topology(polygons: list[list[int]]) -> tuple[object, object]:
        corners = [index for face in polygons for index in face]
        sizes = [len(face) for face in polygons]
        return array(imath.IntArray, corners), array(imath.IntArray, sizes)

    archive = abc.Abc.OArchive(str(path))
    sampling = abc.AbcCoreAbstract.TimeSampling(1 / rate, first / rate)
    index = archive.addTimeSampling(sampling)
    parent = archive.getTop()
    if matrices is not None:
        parent = abc.AbcGeom.OXform(parent, "head", index)
        for matrix in matrices:
            sample = abc.AbcGeom.XformSample()
            sample.setMatrix(imath.M44d(*matrix.ravel().tolist()))
            parent.getSchema().set(sample)
    for name, positions in meshes.items():
        mesh = abc.AbcGeom.OPolyMesh(parent, name, index)
        for frame, points in enumerate(positions):
            vertices = array(imath.V3fArray, points)
            polygons = faces if frame == 0 else later_faces
            if polygons is None:
                sample = abc.AbcGeom.OPolyMeshSchemaSample(vertices)
            else:
                sample = abc.AbcGeom.OPolyMeshSchemaSample(vertices, *topology(polygons))
            mesh.getSchema().set(sample)


# ---------------------------------------------------------------------------- both formats


def write_scene(path: Path, meshes: dict[str, NDArray[np.float32]], **more: object) -> Path:
    if path.suffix == ".abc":
        write_alembic(path, meshes, **more)  # type: ignore[arg-type]
        return path
    stage = usd_stage(path)
    for name, positions in meshes.items():
        add_usd_mesh(stage, f"/{name}", positions, **more)  # type: ignore[arg-type]
    stage.Save()
    return path


@pytest.mark.parametrize("name", ["a.usda", "a.usdc", "a.usd", "a.abc"])
def test_scenes_are_read_bit_by_bit(tmp_path: Path, template: Template, name: str) -> None:
    positions = some_positions(9, 5)
    positions[3] = positions[4]  # libraries store equal samples once
    path = write_scene(tmp_path / name, {"face": positions})
    with opened(path, template) as cache:
        assert (cache.frame_count, cache.vertex_count) == (9, 5)
        assert cache.start_frame == 0
        assert cache.notes == ()
        assert np.array_equal(cache.read(0, 9), positions)
        assert np.array_equal(cache.read(4, 7), positions[4:7])
        assert cache.read(4, 4).shape == (0, 5, 3)
        assert np.array_equal(np.concatenate(list(cache.batches(2))), positions)
        with pytest.raises(IndexError):
            cache.read(0, 10)


@pytest.mark.parametrize("name", ["a.usdc", "a.abc"])
def test_scenes_with_faults(tmp_path: Path, template: Template, name: str) -> None:
    positions = some_positions(9, 5)
    positions[6, 3, 1] = np.nan
    path = write_scene(tmp_path / f"nan_{name}", {"face": positions})
    assert "frame 6, vertex 3: position is not finite" in str(refusal(path))
    path = write_scene(
        tmp_path / f"count_{name}", {"face": some_positions(3, 4)}, faces=[[0, 1, 2]]
    )
    assert "/face has 4 points, the template has 5" in str(refusal(path))
    other = [[0, 1, 2], [0, 2, 4], [0, 3, 4]]
    path = write_scene(tmp_path / f"faces_{name}", {"face": some_positions(3, 5)}, faces=other)
    assert "/face: face 1 has vertices (0, 2, 4), in the template (0, 2, 3)" in str(
        refusal(path, topology=template)
    )
    path = write_scene(tmp_path / f"fewer_{name}", {"face": some_positions(3, 5)}, faces=other[:1])
    assert "has 1 faces, the template has 3" in str(refusal(path, topology=template))


@pytest.mark.parametrize("name", ["a.usdc", "a.abc"])
def test_one_mesh_among_several(tmp_path: Path, template: Template, name: str) -> None:
    meshes = {
        "brow": some_positions(4, 3),
        "face": some_positions(4, 5),
        "rest": some_positions(1, 5),
    }
    faces = [[0, 1, 2]]
    path = write_scene(tmp_path / name, meshes, faces=faces)
    (tmp_path / "one.obj").write_text("v 0 0 0\n" * 5 + "f 1 2 3\n")
    template = read_template(tmp_path / "one.obj")
    with opened(path, template) as cache:  # the only animated one with five points
        assert np.array_equal(cache.read(0, 4), meshes["face"])
    with opened(f"{path}#/rest", template) as cache:
        assert cache.frame_count == 1
        assert np.array_equal(cache.read(0, 1), meshes["rest"])
    assert "/brow has 3 points, the template has 5" in str(refusal(Path(f"{path}#/brow")))
    missing = str(refusal(Path(f"{path}#/lips")))
    assert "has no mesh /lips" in missing
    assert "it has /brow, /face, /rest" in missing
    two = write_scene(tmp_path / f"two_{name}", {"left": meshes["face"], "right": meshes["face"]})
    error = str(refusal(two))
    assert "several meshes fit the template: /left, /right" in error
    assert "#/left" in error
    none = write_scene(tmp_path / f"none_{name}", {})
    assert "holds no polygon mesh" in str(refusal(none))


@pytest.mark.parametrize("name", ["a.usdc", "a.abc"])
def test_polygons_turned_over_are_the_same(tmp_path: Path, template: Template, name: str) -> None:
    positions = some_positions(3, 5)
    turned = [face[::-1] for face in FACES]
    path = write_scene(tmp_path / name, {"face": positions}, faces=turned)
    with opened(path, template) as cache:
        assert np.array_equal(cache.read(0, 3), positions)


# ---------------------------------------------------------------------------- USD


def test_usd_tells_rate_units_and_axis(tmp_path: Path, template: Template) -> None:
    stage = usd_stage(tmp_path / "a.usdc")
    add_usd_mesh(stage, "/face", some_positions(4, 5), codes=range(1001, 1005))
    stage.SetTimeCodesPerSecond(29.97)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    stage.Save()
    with opened(tmp_path / "a.usdc", template) as cache:
        assert cache.fps == Fraction(30000, 1001)
        assert (cache.units, cache.up_axis, cache.start_frame) == ("cm", "Z", 1001)
    UsdGeom.SetStageMetersPerUnit(stage, 0.02)
    stage.Save()
    with opened(tmp_path / "a.usdc", template) as cache:
        assert cache.units == "0.02 m"


def test_usd_that_takes_its_mesh_from_another_file_says_so(
    tmp_path: Path, template: Template
) -> None:
    write_scene(tmp_path / "points.usdc", {"face": some_positions(4, 5)})
    (tmp_path / "shot.usda").write_text("#usda 1.0\n(\n subLayers = [@./points.usdc@]\n)\n")
    with opened(tmp_path / "points.usdc", template) as cache:
        assert not any("another file" in note for note in cache.notes)
    with opened(tmp_path / "shot.usda", template) as cache:
        assert any("another file, points.usdc" in note for note in cache.notes)


def test_usd_that_says_nothing_is_not_guessed(tmp_path: Path, template: Template) -> None:
    path = write_scene(tmp_path / "a.usda", {"face": some_positions(4, 5)})
    with opened(path, template) as cache:
        assert (cache.fps, cache.units, cache.up_axis) == (None, None, None)


def test_usd_samples_at_half_frames_double_the_rate(tmp_path: Path, template: Template) -> None:
    stage = usd_stage(tmp_path / "a.usda")
    add_usd_mesh(stage, "/face", some_positions(4, 5), codes=[1, 1.5, 2, 2.5])
    stage.SetTimeCodesPerSecond(24)
    stage.Save()
    with opened(tmp_path / "a.usda", template) as cache:
        assert (cache.frame_count, cache.fps) == (4, 48)


def test_usd_gaps_are_filled_only_where_nothing_moves(tmp_path: Path, template: Template) -> None:
    positions = some_positions(6, 5)
    positions[2] = positions[3] = positions[1]
    kept = [0, 1, 3, 4, 5]
    stage = usd_stage(tmp_path / "a.usda")
    mesh = add_usd_mesh(stage, "/face", positions[kept], codes=[float(code) for code in kept])
    stage.Save()
    with opened(tmp_path / "a.usda", template) as cache:
        assert np.array_equal(cache.read(0, 6), positions)
    mesh.GetPointsAttr().ClearAtTime(4)
    stage.Save()
    assert "frame 4 (time code 4) of /face has no sample" in str(refusal(tmp_path / "a.usda"))


@pytest.mark.parametrize(
    ("codes", "words"),
    [([0, 1, 2.4, 3], "not evenly spaced"), ([0, 1, 2, 1000], "4 time samples for 1001 frames")],
)
def test_usd_times_that_are_no_frames(tmp_path: Path, codes: list[float], words: str) -> None:
    stage = usd_stage(tmp_path / "a.usda")
    add_usd_mesh(stage, "/face", some_positions(4, 5), codes=codes)
    stage.Save()
    assert words in str(refusal(tmp_path / "a.usda"))


def test_usd_points_that_change_in_number(tmp_path: Path) -> None:
    stage = usd_stage(tmp_path / "a.usda")
    mesh = add_usd_mesh(stage, "/face", some_positions(4, 5))
    mesh.GetPointsAttr().Set(Vt.Vec3fArray(7), 2)
    stage.Save()
    assert "frame 2 of /face has 7 points" in str(refusal(tmp_path / "a.usda"))


def test_usd_topology_that_changes(tmp_path: Path, template: Template) -> None:
    stage = usd_stage(tmp_path / "a.usda")
    mesh = add_usd_mesh(stage, "/face", some_positions(4, 5))
    indices = mesh.GetFaceVertexIndicesAttr()
    indices.Set(indices.Get(), 0)
    indices.Set(indices.Get(), 1)
    stage.Save()
    with opened(tmp_path / "a.usda", template) as cache:
        assert cache.frame_count == 4
    indices.Set(Vt.IntArray([0, 1, 2, 0, 2, 3, 0, 4, 1]), 3)
    stage.Save()
    error = str(refusal(tmp_path / "a.usda"))
    assert "the topology of /face changes over time" in error
    assert "face 2" in error


def test_usd_transforms_above_the_mesh(tmp_path: Path, template: Template) -> None:
    positions = some_positions(4, 5)
    stage = usd_stage(tmp_path / "a.usda")
    head = UsdGeom.Xform.Define(stage, "/head")
    add_usd_mesh(stage, "/head/face", positions)
    head.AddTransformOp().Set(Gf.Matrix4d(1.0))
    stage.Save()
    with opened(tmp_path / "a.usda", template) as cache:
        assert np.array_equal(cache.read(0, 4), positions)
        assert cache.notes == ()
    operation = head.GetOrderedXformOps()[0]
    operation.Set(Gf.Matrix4d(*TURN.ravel().tolist()))
    stage.Save()
    moved = np.stack([5 - positions[..., 1], 6 + positions[..., 0], 7 + positions[..., 2]], -1)
    with opened(tmp_path / "a.usda", template) as cache:
        assert np.allclose(cache.read(0, 4), moved, atol=1e-5)
        assert "static transform" in cache.notes[0]
    operation.Set(Gf.Matrix4d(*TURN.ravel().tolist()), 1)
    operation.Set(Gf.Matrix4d(1.0), 3)
    stage.Save()
    assert "the transform of /head/face is animated" in str(refusal(tmp_path / "a.usda"))


# ---------------------------------------------------------------------------- Alembic


@pytest.mark.parametrize(("rate", "fps"), [(30.0, "30"), (30000 / 1001, "30000/1001")])
def test_alembic_tells_rate_and_start(
    tmp_path: Path, template: Template, rate: float, fps: str
) -> None:
    write_alembic(tmp_path / "a.abc", {"face": some_positions(4, 5)}, rate=rate, first=1001)
    with opened(tmp_path / "a.abc", template) as cache:
        assert cache.fps == Fraction(fps)
        assert cache.start_frame == pytest.approx(1001)
        assert (cache.units, cache.up_axis, cache.notes) == (None, None, ())


def test_alembic_topology_that_changes(tmp_path: Path) -> None:
    later = [[0, 1, 2], [0, 2, 3], [1, 3, 4]]
    write_alembic(tmp_path / "a.abc", {"face": some_positions(3, 5)}, later_faces=later)
    error = str(refusal(tmp_path / "a.abc"))
    assert "the topology of /face changes over time: sample 1: face 2" in error


def test_alembic_transforms_above_the_mesh(tmp_path: Path, template: Template) -> None:
    positions = some_positions(4, 5)
    write_alembic(tmp_path / "still.abc", {"face": positions}, matrices=[TURN])
    moved = np.stack([5 - positions[..., 1], 6 + positions[..., 0], 7 + positions[..., 2]], -1)
    with opened(tmp_path / "still.abc", template) as cache:
        assert np.allclose(cache.read(0, 4), moved, atol=1e-5)
        assert "static transform of /head/face" in cache.notes[0]
    write_alembic(tmp_path / "moving.abc", {"face": positions}, matrices=[TURN, np.eye(4)])
    assert "the transform of /head/face is animated" in str(refusal(tmp_path / "moving.abc"))


def test_without_the_alembic_extra_the_remedy_is_its_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facecap_core.pointcaches.reader.find_spec", lambda name: None)
    (tmp_path / "a.abc").write_bytes(b"Ogawa")
    error = refusal(tmp_path / "a.abc")
    assert error.fault.remedy == "pip install 'facecap-farm[alembic]'"


# ---------------------------------------------------------------------------- isolation


def test_the_library_stays_out_of_this_process(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.usdc", {"face": some_positions(3, 5)})
    code = (
        "import sys; from facecap_core.pointcaches.reader import open_point_cache\n"
        f"with open_point_cache({str(path)!r}, vertex_count=5) as cache: cache.read(0, 3)\n"
        "assert not {'pxr', 'alembic3d', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_library_that_ends_is_an_error_like_others(tmp_path: Path, template: Template) -> None:
    path = write_scene(tmp_path / "a.usdc", {"face": some_positions(3, 5)})
    with opened(path, template) as cache:
        cache._process.kill()  # type: ignore[attr-defined]
        cache._process.wait()  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="USD library ended without an answer"):
            cache.read(0, 3)
