"""Exports: what other programs read is what was solved, bit by bit, with rate, units, axes and topology."""

from __future__ import annotations

import json
import re
import resource
import shutil
import sys
from fractions import Fraction

import numpy as np
import pytest
from pointcache_files import mdd_bytes, pc2_bytes
from pxr import Usd, UsdGeom
from tracked_production import make_tracked
from typer.testing import CliRunner

from facecap_core import failpoints
from facecap_core.corrections.export_record import told_beside
from facecap_core.errors import ConfigError, PointCacheError, ProductionError, StoreError
from facecap_core.exports.export import ExportOptions, export_shot
from facecap_core.outputs import facts_of
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.productions.production import load_production
from facecap_core.stores.group_writer import new_group
from facecap_core.template import read_template
from farm.app import app

FPS = "24000/1001"
FRAMES = 70  # more than a block
QUADS = """\
v -1 0 0.5
v 0 0 1
v 1 0 0.5
v -1 -1 0
v 0 -1 0.25
v 1 -1 0
vt 0 1
vt 0.5 1
vt 1 1
vt 0 0
vt 0.5 0
vt 1 0
f 1/1 4/4 5/5 2/2
f 2/2 5/5 6/6
f 2/2 6/6 3/3
"""


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """Two solved shots, one with confidence, at 23.976 frames a second, in millimetres."""
    folder = make_tracked(tmp_path_factory.mktemp("exports") / "production")
    settings = (folder / "production.toml").read_text()
    (folder / "production.toml").write_text(settings.replace('fps = "30"', f'fps = "{FPS}"'))
    (folder / "template.obj").write_text(QUADS)
    (folder / "animated.txt").write_text("0\n1\n2\n3\n4\n5\n")
    for number, shot in enumerate(("learn_a", "held_a")):
        solve(folder, shot, motion(number), known=number == 0)
    return folder


def motion(seed):
    return np.random.default_rng(seed).normal(scale=30, size=(FRAMES, 6, 3)).astype(np.float32)


def figures():
    return np.linspace(0, 1, FRAMES, dtype=np.float32)


def solve(folder, shot, positions, *, known, model="m1"):
    found = load_production(folder)
    with new_group(found.paths.vertices("ada", shot)) as group:
        group.positions(6).append(positions)
        for name in ("confidence", "predicted_rmse_mm"):
            group.figure(name).append(
                figures() + (name != "confidence") if known else np.full(FRAMES, np.nan, np.float32)
            )
        group.set_attributes(
            {
                "model": model,
                "fps": FPS,
                "units": "mm",
                "start_frame": 0,
                "topology_sha256": read_template(folder / "template.obj").topology_sha256,
            }
        )


def run(folder, *arguments):
    return CliRunner().invoke(app, ["export", *arguments, "--production", str(folder)])


@pytest.fixture(scope="module")
def exported(production, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    every = ["--format", "usd,abc,pc2,mdd,npy,obj", "--out", str(out), "--start-frame", "1001"]
    done = run(production, "learn_a", "held_a", *every)
    assert done.exit_code == 0, done.output
    return out


def test_points_come_back_bit_by_bit(exported):
    positions = motion(0)
    assert (exported / "learn_a.pc2").read_bytes() == pc2_bytes(positions, start=1001)
    seconds = (np.arange(FRAMES) + 1001) / float(Fraction(FPS))
    assert (exported / "learn_a.mdd").read_bytes() == mdd_bytes(positions, seconds.tolist())
    loaded = np.load(exported / "learn_a.npy", allow_pickle=False)
    assert loaded.dtype == np.float32
    assert np.array_equal(loaded, positions)
    files = sorted((exported / "learn_a").iterdir())
    assert [file.name for file in files[:2]] == ["learn_a.1001.obj", "learn_a.1002.obj"]
    texts = [file.read_text() for file in files]
    points = [re.findall(r"^v (\S+) (\S+) (\S+)$", text, re.MULTILINE) for text in texts]
    assert np.array_equal(np.array(points, dtype=np.float64).astype(np.float32), positions)
    template = read_template(files[0])
    assert template.face_sizes.tolist() == [4, 3, 3]
    assert template.uvs is not None
    for scene in ("learn_a.usdc", "learn_a.abc"):
        with open_point_cache(exported / scene, vertex_count=6, topology=template) as cache:
            assert np.array_equal(cache.read(0, FRAMES), positions), scene


def test_usd_says_rate_units_axis_topology_and_confidence(exported, production):
    stage = Usd.Stage.Open(str(exported / "learn_a.usdc"))
    assert stage.GetTimeCodesPerSecond() == pytest.approx(24000 / 1001, abs=0)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (1001, 1000 + FRAMES)
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 0.001
    assert stage.GetRootLayer().customLayerData["fps"] == FPS
    mesh = UsdGeom.Mesh(stage.GetDefaultPrim().GetChild("face"))
    template = read_template(production / "template.obj")
    assert list(mesh.GetFaceVertexIndicesAttr().Get()) == template.face_vertices.tolist()
    assert len(mesh.GetPointsAttr().GetTimeSamples()) == FRAMES
    uvs = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st")
    assert np.array_equal(np.array(uvs.ComputeFlattened()), template.uvs[template.corner_uvs])
    low, high = mesh.GetExtentAttr().Get(1003)
    assert np.array_equal([low, high], [motion(0)[2].min(0), motion(0)[2].max(0)])
    shown = mesh.GetPrim().GetAttribute("userProperties:confidence")
    assert [shown.Get(1001 + frame) for frame in range(FRAMES)] == figures().tolist()
    expected = mesh.GetPrim().GetAttribute("userProperties:predicted_rmse_mm")
    assert [expected.Get(1001 + frame) for frame in range(FRAMES)] == (figures() + 1).tolist()
    without = Usd.Stage.Open(str(exported / "held_a.usdc"))
    assert not without.GetPrimAtPath("/actor/face").HasAttribute("userProperties:confidence"), (
        "NaN is no figure"
    )


def test_alembic_says_rate_topology_and_confidence(exported, production):
    import alembic3d as abc

    archive = abc.Abc.IArchive(str(exported / "learn_a.abc"))
    mesh = abc.AbcGeom.IPolyMesh(archive.getTop().getChild(0), "face")
    schema, template = mesh.getSchema(), read_template(production / "template.obj")
    times = [schema.getTimeSampling().getSampleTime(frame) for frame in range(FRAMES)]
    expected = (1001 + np.arange(FRAMES)) / float(Fraction(FPS))
    assert np.allclose(times, expected, rtol=0, atol=1e-9)
    value = schema.getValue(abc.Abc.ISampleSelector(0))
    corners = list(value.getFaceIndices())
    assert corners[:4] == [0, 1, 4, 3], "turned over, from the same corner"
    assert list(value.getFaceCounts()) == [4, 3, 3]
    uvs = schema.getUVsParam().getExpandedValue().getVals()
    flat = template.uvs[template.corner_uvs]
    assert [(uv.x, uv.y) for uv in uvs][:4] == [tuple(flat[corner]) for corner in (0, 3, 2, 1)]
    confidence = abc.Abc.IFloatProperty(schema.getUserProperties(), "confidence")
    assert [confidence.samples[i] for i in range(FRAMES)] == figures().tolist()
    error = abc.Abc.IFloatProperty(schema.getUserProperties(), "predicted_rmse_mm")
    assert [error.samples[i] for i in range(FRAMES)] == (figures() + 1).tolist()


def test_units_and_axes_are_converted(production, tmp_path):
    options = ["--units", "m", "--up-axis", "z", "--start-timecode", "01:00:00:00"]
    done = run(production, "held_a", "-f", "usd,npy", "-o", str(tmp_path), *options)
    assert done.exit_code == 0, done.output
    x, y, z = np.moveaxis(motion(1).astype(np.float64) / 1000, 2, 0)
    expected = np.stack([x, -z, y], axis=2).astype(np.float32)
    assert np.array_equal(np.load(tmp_path / "held_a.npy"), expected)
    stage = Usd.Stage.Open(str(tmp_path / "held_a.usdc"))
    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert stage.GetStartTimeCode() == 86400
    told = json.loads((tmp_path / "held_a.json").read_text())
    assert (told["fps"], told["units"], told["up_axis"]) == (FPS, "m", "z")
    assert told["model"] == "m1"


def test_what_cannot_be_exported_is_said_and_leaves_nothing(production, tmp_path):
    out = ["-o", str(tmp_path / "out")]
    for arguments, kind, words in (
        ([], ConfigError, "no shot is named"),
        (["nobody*"], ProductionError, "no shot is called 'nobody*'"),
        (["learn_a", "-f", "fbx"], ConfigError, "'fbx' is not known"),
        (["learn_a", "--units", "ell"], ConfigError, "'ell' is not known"),
        (["learn_b"], StoreError, "the shot is not solved"),
        (["learn_a", "--start-timecode", "noon"], ConfigError, "is no timecode"),
        (["held_a", "-f", "npy,obj", "--start-frame", "-3"], ConfigError, "cannot number OBJ"),
        (["held_a", "-f", "npy,obj", "--start-frame", "0.5"], ConfigError, "cannot number OBJ"),
        (["held_a", "--start-frame", "nan"], ConfigError, "is no number"),
        (["held_a", "--start-frame", "inf"], ConfigError, "is no number"),
        (["held_a", "--start-timecode", "footage"], StoreError, "the footage's timecode"),
    ):
        done = run(production, *arguments, *out)
        assert isinstance(done.exception, kind)
        assert words in str(done.exception)
    assert not (tmp_path / "out").exists()
    some = run(production, "learn_a", "learn_b", *out, "--json")
    assert some.exit_code == 100
    told = json.loads(some.stdout)
    assert [shot["shot"] for shot in told["shots"]] == ["learn_a"]
    assert "not solved" in told["failed"]["learn_b"]


@pytest.mark.parametrize("name", ["usd", "pc2", "mdd", "npy", "obj"])  # abc ends the process
def test_a_file_that_may_not_grow_is_named_with_a_remedy(production, tmp_path, name):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        done = run(production, "learn_a", "-f", name, "-o", str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(done.exception, StoreError), done.exception
    assert str(tmp_path / "learn_a") in str(done.exception)
    assert done.exception.fault.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_named_before_anything_is_written(production, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=5000))
    done = run(production, "learn_a", "-f", "abc", "-o", str(tmp_path / "out"))
    assert isinstance(done.exception, StoreError)
    assert "free some space" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_frame_that_is_not_finite_leaves_the_old_file(production, tmp_path):
    folder = tmp_path / "production"
    shutil.copytree(production, folder, symlinks=True)
    assert run(folder, "held_a", "-o", str(tmp_path), "-f", "pc2,npy").exit_code == 0
    before = (tmp_path / "held_a.pc2").read_bytes()
    broken = motion(1)
    broken[65, 2, 1] = np.nan
    shutil.rmtree(folder / "store")
    solve(folder, "held_a", broken, known=False, model="m2")
    for name in ("pc2", "usd", "abc", "obj"):
        done = run(folder, "held_a", "-o", str(tmp_path), "-f", name)
        assert isinstance(done.exception, PointCacheError), name
        assert "frame 65, vertex 2" in str(done.exception)
    assert (tmp_path / "held_a.pc2").read_bytes() == before
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"production", "held_a.pc2", "held_a.npy", "held_a.json"}


def test_an_export_begins_where_the_timecode_of_the_footage_does(production, tmp_path):
    """For a shot whose store says so; what it is told instead counts more."""
    copy = shutil.copytree(production, tmp_path / "copy")
    metadata = next((copy / "store" / "vertices").glob("*/held_a.zarr")) / "zarr.json"
    told = json.loads(metadata.read_text())
    told["attributes"]["start_timecode"] = "01:00:00:12"
    metadata.write_text(json.dumps(told))
    for options, start in ((["--start-timecode", "footage"], 86412), ([], 0)):
        out = tmp_path / str(start)
        done = run(copy, "held_a", "-f", "pc2", "-o", str(out), *options)
        assert done.exit_code == 0, done.output
        with open_point_cache(out / "held_a.pc2", vertex_count=6) as cache:
            assert cache.start_frame == start
        assert json.loads((out / "held_a.json").read_text())["start_timecode"] == "01:00:00:12"


@pytest.mark.parametrize(
    "changed",
    [
        {"start_frame": None},
        {"start_frame": float("nan")},
        {"start_frame": float("inf")},
        {"start_frame": "soon"},
        {"start_frame": 0.5},
        {"fps": "quick"},
        {"fps": "0"},
        {"units": "ell"},
        {"frames": None},
    ],
    ids=str,
)
def test_a_store_that_was_changed_by_hand_is_named_with_a_remedy(production, tmp_path, changed):
    copy = shutil.copytree(production, tmp_path / "copy", symlinks=True)
    metadata = next((copy / "store" / "vertices").glob("*/held_a.zarr")) / "zarr.json"
    told = json.loads(metadata.read_text())
    told["attributes"].update(changed)
    metadata.write_text(json.dumps(told))
    done = run(copy, "held_a", "-f", "npy", "-o", str(tmp_path / "out"))
    assert isinstance(done.exception, StoreError), done.exception
    assert "held_a.zarr" in done.exception.fault.file
    assert "inference of this shot again" in done.exception.fault.remedy


def test_units_that_were_corrected_since_the_solve_are_no_scale_to_guess(production, tmp_path):
    """Files of the old units would be ten times too small; what shows or measures the shot says so too."""
    copy = shutil.copytree(production, tmp_path / "copy", symlinks=True)
    settings = (copy / "production.toml").read_text()
    (copy / "production.toml").write_text(settings.replace('units = "mm"', 'units = "cm"'))
    done = run(copy, "held_a", "-f", "npy", "--units", "m", "-o", str(tmp_path / "out"))
    assert isinstance(done.exception, StoreError), done.output
    assert "was solved in mm, the production is in cm now" in str(done.exception)
    assert "train again" in done.exception.fault.remedy
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [None, "much", float("nan")])
def test_a_record_that_was_changed_by_hand_counts_for_nothing(production, tmp_path, size):
    line = ["held_a", "-f", "npy", "-o", str(tmp_path), "--json"]
    run(production, *line)
    told = json.loads((tmp_path / "held_a.json").read_text())
    told["files"]["held_a.npy"]["bytes"] = size
    (tmp_path / "held_a.json").write_text(json.dumps(told))
    assert [json.loads(run(production, *line).stdout)["shots"][0]["reused"] for _ in "12"] == [
        False,
        True,
    ]


def test_whenever_a_re_export_is_broken_off_the_record_tells_of_the_files_that_lie_there(
    production, tmp_path
):
    """Killed, it says in which way a file was written or leaves it open; interrupted, it says it."""
    found, out = load_production(production), tmp_path / "out"
    ways = [
        ExportOptions(("npy", "obj"), units="cm"),
        ExportOptions(("npy", "obj"), units="m", up_axis="z", start_frame=1001.0),
    ]
    names, keys = ["held_a.npy", "held_a"], ("units", "up_axis", "start_frame")
    told = {}  # by a file's content, what is to be told of it
    for way in ways:
        folder = tmp_path / str(way.units)
        export_shot(found, "held_a", folder, way)
        record = told_beside(folder / "held_a.npy", "held_a")
        told |= {facts_of(folder / name): [record[key] for key in keys] for name in names}
    either = ["cm or m", "y or z", "0.0 or 1001.0"]

    def wrong(folder, *others):
        """Files of which the record says what is not so."""
        for name in names:
            record = told_beside(folder / name, "held_a")
            said = [record[key] for key in keys]
            if said not in (told[facts_of(folder / name)], *others):
                yield name, said

    folders = []  # as they would be found, had the process been killed

    def look(_):
        folders.append(tmp_path / f"killed {len(folders)}")
        shutil.copytree(out, folders[-1])
        return True

    export_shot(found, "held_a", out, ways[0])
    failpoints.arm(lambda step: step.startswith("file.") and look(step))
    try:
        export_shot(found, "held_a", out, ways[1], on_progress=look)
    finally:
        failpoints.arm(None)
    assert [list(wrong(folder, either)) for folder in folders] == [[]] * len(folders)
    assert not list(wrong(out))
    for folder in folders[::3]:  # whatever was left open is made again
        export_shot(found, "held_a", folder, ways[0])
        assert not list(wrong(folder)), folder

    def interrupt(left):
        if next(left) == 0:
            raise KeyboardInterrupt
        return True

    for after in range(3):
        export_shot(found, "held_a", out, ways[0])
        left = iter(range(after, -99, -1))
        with pytest.raises(KeyboardInterrupt):
            export_shot(found, "held_a", out, ways[1], on_progress=lambda _, n=left: interrupt(n))
        assert not list(wrong(out)), after


def test_without_the_alembic_extra_nothing_is_written(production, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "alembic3d", None)
    line = ["export", "held_a", "--format", "usd,abc", "--out", str(tmp_path / "out")]
    with pytest.raises(PointCacheError, match="alembic3d") as caught:
        CliRunner().invoke(app, [*line, "-P", str(production)], catch_exceptions=False)
    assert 'pip install "facecap-farm[alembic]"' in caught.value.fault.remedy
    assert not list(tmp_path.glob("out/*"))
