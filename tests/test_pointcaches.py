"""Point caches of the flat formats: exact both ways against writers made here, and refused when unfit."""

from __future__ import annotations

import struct
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pointcache_files import mdd_bytes, pc2_bytes, refusal, some_positions, write_cache

from facecap_core.errors import PointCacheError
from facecap_core.pointcaches.mdd import write_mdd
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.pointcaches.rates import nominal_rate, rate_of_times
from facecap_core.pointcaches.reader import open_point_cache, split_mesh

SHAPES = [(1, 1), (1, 7), (5, 1), (13, 30), (40, 9)]  # frames, vertices


# ---------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("ending", ["pc2", "mdd", "npy", "obj"])
@pytest.mark.parametrize(("frames", "vertices"), SHAPES)
def test_what_others_write_is_read_bit_by_bit(
    tmp_path: Path, ending: str, frames: int, vertices: int
) -> None:
    positions = some_positions(frames, vertices)
    path = write_cache(tmp_path / f"face.{ending}", positions)
    with open_point_cache(path, vertex_count=vertices) as cache:
        assert (cache.frame_count, cache.vertex_count) == (frames, vertices)
        whole = cache.read(0, frames)
        assert whole.dtype == np.float32
        assert whole.dtype.isnative
        assert np.array_equal(whole, positions)
        rng = np.random.default_rng(0)
        for _ in range(10):
            start, stop = sorted(rng.integers(0, frames + 1, 2).tolist())
            assert np.array_equal(cache.read(start, stop), positions[start:stop])
        assert np.array_equal(np.concatenate(list(cache.batches(3))), positions)
        for start, stop in [(-1, 1), (0, frames + 1), (1, 0)]:
            with pytest.raises(IndexError):
                cache.read(start, stop)


@pytest.mark.parametrize(("frames", "vertices"), SHAPES)
def test_what_is_written_are_the_bytes_of_the_format(
    tmp_path: Path, frames: int, vertices: int
) -> None:
    positions = some_positions(frames, vertices)
    write_pc2(tmp_path / "new" / "a.pc2", positions, start_frame=1001.0)
    assert (tmp_path / "new" / "a.pc2").read_bytes() == pc2_bytes(positions, start=1001.0)
    write_mdd(tmp_path / "a.mdd", positions, Fraction(30000, 1001), start_frame=10)
    times = [(10 + frame) * 1001 / 30000 for frame in range(frames)]
    assert (tmp_path / "a.mdd").read_bytes() == mdd_bytes(positions, times)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mdd", "new"]


def test_long_shots_are_written_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facecap_core.pointcaches.whole_file.BLOCK_BYTES", 200)
    positions = some_positions(40, 9)

    class Stored:
        """As much of a Zarr array as the writers use; hands out at most a block."""

        shape = positions.shape

        def __getitem__(self, frames: slice) -> NDArray:
            assert frames.stop - frames.start == 1
            return positions[frames].astype(np.float64)

    write_pc2(tmp_path / "a.pc2", Stored())
    write_mdd(tmp_path / "a.mdd", Stored(), 24)
    assert (tmp_path / "a.pc2").read_bytes() == pc2_bytes(positions)
    assert (tmp_path / "a.mdd").read_bytes() == mdd_bytes(positions, [i / 24 for i in range(40)])


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.pc2"
    positions = some_positions()
    write_pc2(path, positions)
    before = path.read_bytes()
    bad = positions.copy()
    bad[4, 2, 1] = np.nan
    with pytest.raises(PointCacheError, match="frame 4, vertex 2"):
        write_pc2(path, bad)
    with pytest.raises(PointCacheError, match="shape"):
        write_pc2(path, positions[0])
    with pytest.raises(PointCacheError, match="shape"):
        write_mdd(path, positions[:0], 30)
    with pytest.raises(ValueError, match="fps"):
        write_mdd(path, positions, 0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_float_and_order(tmp_path: Path, kind: str, order: str) -> None:
    positions = some_positions(7, 4).astype(kind)
    np.save(tmp_path / "a.npy", np.asarray(positions, order=order))  # type: ignore[call-overload]
    with open_point_cache(tmp_path / "a.npy", vertex_count=4) as cache:
        assert np.array_equal(cache.read(0, 7), positions.astype(np.float32))
        assert np.array_equal(cache.read(2, 5), positions[2:5].astype(np.float32))


@pytest.mark.parametrize("ending", ["pc2", "mdd", "npy", "obj"])
def test_long_caches_take_no_more_memory_than_short_ones(tmp_path: Path, ending: str) -> None:
    peaks = []
    for frames in (20, 200):
        path = write_cache(tmp_path / f"face{frames}.{ending}", some_positions(frames, 100))
        with open_point_cache(path, vertex_count=100) as cache:
            tracemalloc.start()
            assert sum(len(block) for block in cache.batches(10)) == frames
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    names = 180 * 500 if ending == "obj" else 0  # a path a frame; the frames would take 180 * 1200
    assert peaks[1] < 1.1 * peaks[0] + names


# ---------------------------------------------------------------------------- what files say of themselves


def test_pc2_tells_start_frame_and_an_odd_sample_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.pc2"
    path.write_bytes(pc2_bytes(some_positions(), start=1001.0))
    with open_point_cache(path, vertex_count=5) as cache:
        assert (cache.format, cache.start_frame, cache.fps) == ("PC2", 1001.0, None)
        assert (cache.units, cache.up_axis, cache.notes) == (None, None, ())
    path.write_bytes(pc2_bytes(some_positions(), rate=0.5))
    with open_point_cache(path, vertex_count=5) as cache:
        assert "sample rate is 0.5" in cache.notes[0]


@pytest.mark.parametrize(
    "fps", [Fraction(24), Fraction(24000, 1001), Fraction(30), Fraction(30000, 1001), Fraction(50)]
)
@pytest.mark.parametrize("start", [0, 1001, 86400])
def test_mdd_tells_the_frame_rate(tmp_path: Path, fps: Fraction, start: int) -> None:
    positions = some_positions(300, 1)
    write_mdd(tmp_path / "a.mdd", positions, fps, start_frame=start)
    with open_point_cache(tmp_path / "a.mdd", vertex_count=1) as cache:
        assert cache.fps == fps
        assert cache.start_frame == pytest.approx(start, abs=0.01)
        assert cache.notes == ()


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "count frames"),
        ([0.0, 0.1, 0.2, 0.3, 0.4, 0.6], "not evenly spaced"),
        ([0.0] * 6, "do not advance"),
        ([5.0, 4.0, 3.0, 2.0, 1.0, 0.0], "do not advance"),
        ([0.0, float("nan"), 0.2, 0.3, 0.4, 0.5], "not numbers"),
    ],
)
def test_mdd_with_other_times_tells_no_rate(tmp_path: Path, times: list[float], words: str) -> None:
    (tmp_path / "a.mdd").write_bytes(mdd_bytes(some_positions(), times))
    with open_point_cache(tmp_path / "a.mdd", vertex_count=5) as cache:
        assert cache.fps is None
        assert words in cache.notes[0]
        assert np.array_equal(cache.read(0, 6), some_positions())


def test_mdd_with_the_rest_pose_that_blender_adds(tmp_path: Path) -> None:
    positions = some_positions(7, 5)
    (tmp_path / "a.mdd").write_bytes(mdd_bytes(positions, [i / 25 for i in range(6)]))
    with open_point_cache(tmp_path / "a.mdd", vertex_count=5) as cache:
        assert cache.frame_count == 6
        assert cache.fps == 25
        assert np.array_equal(cache.read(0, 6), positions[1:])
        assert "Blender" in cache.notes[0]


@pytest.mark.parametrize(
    ("rate", "nominal"),
    [
        (23.976, "24000/1001"),
        (29.97, "30000/1001"),
        (29.97002997, "30000/1001"),
        (59.94, "60000/1001"),
        (25.0, "25"),
        (12.5, "25/2"),
        (0.0, None),
        (-30.0, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_nominal_rates(rate: float, nominal: str | None) -> None:
    assert nominal_rate(rate) == (None if nominal is None else Fraction(nominal))


def test_times_too_coarse_to_tell_30_from_29_97_tell_nothing() -> None:
    seconds = np.array([100_000, 100_000 + 1 / 30]).astype(np.float32).astype(np.float64)
    assert rate_of_times(seconds, 2.0**-24)[0] is None


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("ending", ["pc2", "mdd", "npy", "obj"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(tmp_path: Path, ending: str, value: float) -> None:
    positions = some_positions(9, 5)
    positions[6, 3, 1] = positions[6, 4, 0] = positions[8, 0, 0] = value
    path = write_cache(tmp_path / f"face.{ending}", positions)
    assert "frame 6, vertex 3: position is not finite" in str(refusal(path))


@pytest.mark.parametrize("ending", ["pc2", "mdd", "npy", "obj"])
def test_another_number_of_points_is_named(tmp_path: Path, ending: str) -> None:
    path = write_cache(tmp_path / f"face.{ending}", some_positions(3, 4))
    assert "has 4 points, the template has 5" in str(refusal(path))


@pytest.mark.parametrize("ending", ["pc2", "mdd", "npy"])
def test_every_other_length_is_refused(tmp_path: Path, ending: str) -> None:
    path = write_cache(tmp_path / f"face.{ending}", some_positions(3, 5))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refusal(path)
    path.write_bytes(whole[:-1])
    assert "is cut short" in str(refusal(path))
    path.write_bytes(whole + b"\0")
    assert "more than its header says" in str(refusal(path))


def test_headers_beyond_all_measure_are_refused_at_once(tmp_path: Path) -> None:
    most = 2**31 - 1
    (tmp_path / "a.pc2").write_bytes(
        struct.pack("<12siiffi", b"POINTCACHE2\0", 1, most, 0.0, 1.0, most)
    )
    (tmp_path / "a.mdd").write_bytes(struct.pack(">ii", most, most))
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387903, 5, 3), }"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    for name in ("a.pc2", "a.mdd", "a.npy"):
        assert "is cut short" in str(refusal(tmp_path / name))
    (tmp_path / "b.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + header)
    assert "header is damaged" in str(refusal(tmp_path / "b.npy"))


@pytest.mark.parametrize(
    ("version", "points", "samples", "start", "words"),
    [
        (2, 5, 1, 0.0, "version 2"),
        (1, 0, 1, 0.0, "0 points"),
        (1, 5, -1, 0.0, "-1 samples"),
        (1, 5, 1, float("nan"), "start frame nan"),
    ],
)
def test_pc2_headers_that_cannot_be(
    tmp_path: Path, version: int, points: int, samples: int, start: float, words: str
) -> None:
    header = struct.pack("<12siiffi", b"POINTCACHE2\0", version, points, start, 1.0, samples)
    (tmp_path / "a.pc2").write_bytes(header + bytes(60))
    assert words in str(refusal(tmp_path / "a.pc2"))


def test_npy_of_other_contents_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array, words in [
        (np.zeros((5, 3), np.float32), "shape (5, 3)"),
        (np.zeros((2, 15), np.float32), "shape (2, 15)"),
        (np.zeros((0, 5, 3), np.float32), "shape (0, 5, 3)"),
        (np.zeros((2, 5, 3), np.int32), "'<i4'"),
        (np.zeros((2, 5, 3), np.complex64), "'<c8'"),
        (np.zeros((2, 5, 3), [("x", "<f4")]), "not float16"),
    ]:
        np.save(path, array)
        assert words in str(refusal(path))
    np.save(path, np.array([[["pickle"]]], object), allow_pickle=True)
    assert "'|O'" in str(refusal(path))
    for header in [b"(" * 4000, b"{'descr': '<f4'}", b"[]", b"{1: __import__('os')}", b"\0" * 64]:
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        assert "header is damaged" in str(refusal(path))


# ---------------------------------------------------------------------------- which format


def test_content_goes_before_the_name(tmp_path: Path) -> None:
    positions = some_positions()
    for written, named in [("a.pc2", "b.mdd"), ("a.npy", "b.pc2"), ("a.pc2", "b")]:
        source = write_cache(tmp_path / written, positions)
        source.rename(tmp_path / named)
        with open_point_cache(tmp_path / named, vertex_count=5) as cache:
            assert cache.format == written[2:].upper()
            assert np.array_equal(cache.read(0, 6), positions)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("face.obj", b"v 0 0 0\n", "face.%04d.obj"),
        ("face.mc", b"FOR4", "cacheFile -pc2 1"),
        ("face.xml", b"<?xml", "cacheFile -pc2 1"),
        ("face.abc", b"\x89HDF\r\n", "Ogawa"),
        ("face.fbx", b"Kaydara", "no point cache of a known format"),
        ("face.pc2", b"nothing", "does not begin with POINTCACHE2"),
        ("face.npy", b"nothing", "not an NPY file"),
        ("face.pc2", b"", "not a PC2 file"),
    ],
)
def test_other_files_are_refused_with_a_way_out(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in str(refusal(tmp_path / name))


def test_absent_files(tmp_path: Path) -> None:
    for name in ("face.pc2", "face.usd", "face.usd#/head", "face\0.pc2"):
        error = refusal(tmp_path / name)
        assert "does not exist" in str(error) or "cannot be opened" in str(error)


def test_a_mesh_within_a_file(tmp_path: Path) -> None:
    assert split_mesh("a/b.usdc#/head/face") == (Path("a/b.usdc"), "/head/face")
    assert split_mesh(Path("a/b.ABC#/head")) == (Path("a/b.ABC"), "/head")
    assert split_mesh("a/take#2.pc2") == (Path("a/take#2.pc2"), None)
