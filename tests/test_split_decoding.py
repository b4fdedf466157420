"""Split decoding: a video that several threads decode is the same as from one, bit for bit and error for error."""

from __future__ import annotations

import random
import threading
from fractions import Fraction
from pathlib import Path

import pytest
from footage_files import FPS, SIZE, write_video

from facecap_core.errors import FootageError
from facecap_core.footage import split_decoding
from facecap_core.footage.footage import Footage
from facecap_core.footage.key_pictures import Segment
from facecap_core.footage.split_decoding import segments_of, split
from facecap_core.footage.video_container import open_video
from facecap_core.ingest import ingest_frames
from facecap_core.stores.groups import open_frames

FRAMES = 27
X265 = "log-level=none:pools=none:keyint=6:min-keyint=6:bframes=3:b-adapt=0"


def h264(**options: str) -> dict[str, str]:
    return {"g": "5", "bf": "2", **options}


def hevc(options: str) -> dict[str, str]:
    return {"x265-params": f"{X265}:{options}"}


SPLIT: dict[str, tuple[str, str, dict[str, str], dict[str, str]]] = {
    "closed.mp4": ("libx264", "yuv420p", h264(), {}),
    "closed.mkv": ("libx264", "yuv420p", h264(preset="fast"), {}),
    "fragments.mp4": ("libx264", "yuv420p", h264(), {"movflags": "frag_keyframe+empty_moov"}),
    "hevc_open.mp4": ("libx265", "yuv420p", hevc("open-gop=1"), {}),
    "hevc_open.mkv": ("libx265", "yuv420p10le", hevc("open-gop=1"), {}),
    "hevc_closed.mp4": ("libx265", "yuv420p", hevc("open-gop=0"), {}),
    "hevc_radl.mkv": ("libx265", "yuv420p", hevc("open-gop=0:radl=2"), {}),
    "prores.mov": ("prores_ks", "yuv422p10le", {"profile": "0"}, {}),
    "mjpeg.mov": ("mjpeg", "yuvj420p", {}, {}),
}
WHOLE: dict[str, tuple[str, dict[str, str]]] = {
    "open.mp4": ("libx264", h264(preset="fast", **{"x264-params": "open-gop=1:b-pyramid=2"})),
    "refresh.mp4": ("libx264", h264(preset="fast", **{"x264-params": "intra-refresh=1"})),
    "one_key.mp4": ("libx264", {"g": "250"}),
    "mpeg4.mp4": ("mpeg4", {"g": "5"}),
    "adaptive.mkv": ("ffv1", {"g": "5"}),
    "stream.ts": ("libx264", h264()),
}


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_decoding, "SEGMENT_PICTURES", 4)


def read(path: Path, threads: int) -> list[tuple[float, bytes]] | tuple[type, str]:
    """Times and pictures, or what is raised."""
    try:
        footage = Footage(path, crop=(0, 0, *SIZE), fps=FPS, threads=threads)
        return [(frame.pts_seconds, frame.luma.tobytes()) for frame in footage]
    except FootageError as error:
        return type(error), str(error)


def make(folder: Path, name: str, frames: int = FRAMES) -> Path:
    codec, pixel_format, options, container = SPLIT[name]
    return write_video(
        folder / name,
        codec,
        pixel_format,
        stamps=range(frames),
        options=options,
        container_options=container,
    )


@pytest.mark.parametrize("name", SPLIT)
def test_the_same_as_from_one(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path, name)
    one = read(path, 1)
    assert len(one) == FRAMES
    with open_video(path) as video:
        assert len(list(segments_of(video))) >= 2
    # So that no second pass mends what the split one does wrong.
    monkeypatch.setattr("facecap_core.footage.footage.filtered", None)
    assert read(path, 3) == one


@pytest.mark.parametrize("name", WHOLE)
def test_no_split_where_decoding_cannot_begin_anew(tmp_path: Path, name: str) -> None:
    codec, options = WHOLE[name]
    path = write_video(tmp_path / name, codec, stamps=range(FRAMES), options=options)
    assert split(path, 3) is None
    assert read(path, 3) == read(path, 1)


@pytest.mark.parametrize("frames", [1, 5, 12])
def test_short_files(tmp_path: Path, frames: int) -> None:
    path = make(tmp_path, "closed.mp4", frames)
    assert len(read(path, 3)) == frames
    assert read(path, 3) == read(path, 1)


@pytest.mark.parametrize("name", ["closed.mkv", "hevc_open.mp4", "mjpeg.mov"])
def test_damage_is_found_as_in_one(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name)
    good = path.read_bytes()
    dice = random.Random(0)
    raised = 0
    for kind in ("bits", "cut", "zeros"):
        data = bytearray(good)
        if kind == "bits":
            for _ in range(3):
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        elif kind == "cut":
            del data[dice.randrange(len(data) // 4, len(data)) :]
        else:
            start = dice.randrange(len(data) - 400)
            data[start : start + 400] = bytes(400)
        path.write_bytes(data)
        one = read(path, 1)
        assert read(path, 3) == one
        raised += isinstance(one, tuple)
    assert raised >= 2


def test_key_pictures_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path, "closed.mp4")
    one = read(path, 1)
    real = split_decoding.segments_of

    def shifted(video):  # boundaries a tick away from the key pictures
        for segment in real(video):
            key = segment.end and type(segment.end)(segment.end.pts + 1, segment.end.seek_ticks)
            yield Segment(segment.start, key)

    monkeypatch.setattr(split_decoding, "segments_of", shifted)
    assert read(path, 3) == one


def test_the_store_is_the_same(tmp_path: Path) -> None:
    path = make(tmp_path, "closed.mp4")
    stores = []
    for threads in (1, 3):
        seen: list[int] = []
        store = tmp_path / f"{threads}.zarr"
        result = ingest_frames(
            path,
            crop=(0, 0, *SIZE),
            fps=Fraction(30),
            destination=store,
            threads=threads,
            on_progress=lambda progress, seen=seen: seen.append(progress.done),
        )
        assert result.frames == seen[-1] == FRAMES
        stores.append(open_frames(store))
    for array in ("luma", "pts_seconds"):
        assert (stores[0].read(array) == stores[1].read(array)).all()


def test_leaving_early_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_decoding, "WAITING_PICTURES", 2)
    path = make(tmp_path, "closed.mp4")
    before = threading.active_count()
    frames = iter(Footage(path, crop=(0, 0, *SIZE), fps=FPS, threads=3))
    assert next(frames).pts_seconds == 0
    assert threading.active_count() == before + 3
    frames.close()
    assert threading.active_count() == before
    assert len(read(path, 3)) == FRAMES  # and decoders that wait are not the end
