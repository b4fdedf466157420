"""Frame seek: from any frame on, a video gives the pictures that it has there when all are decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from footage_files import FPS, SIZE, picture, write_video
from PIL import Image
from test_split_decoding import FRAMES, SPLIT, WHOLE, make

from facecap_core.footage import frame_seek
from facecap_core.footage.footage import Footage
from facecap_core.footage.frame_seek import key_picture_before, pictures_from
from facecap_core.footage.video_container import open_video


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_seek, "STEP_PICTURES", 4)


def read(path: Path, first: int = 0, threads: int = 1) -> list[tuple[float, bytes]]:
    """Times and pictures."""
    with Footage(path, crop=(0, 0, *SIZE), fps=FPS, threads=threads) as footage:
        return [(frame.pts_seconds, frame.luma.tobytes()) for frame in footage.frames_from(first)]


@pytest.mark.parametrize("name", SPLIT)
def test_the_same_as_from_the_start(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name)
    whole = read(path)
    for first in range(1, FRAMES):
        assert read(path, first, 1 + first % 2) == whole[first:], first
    assert read(path, FRAMES) == []


@pytest.mark.parametrize("name", SPLIT)
def test_few_pictures_are_decoded_before(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name)
    with open_video(path) as video:
        first_pts = next(video.pictures()).pts
    with open_video(path) as video:
        key = key_picture_before(video, FRAMES - 1, first_pts, FPS)
    with open_video(path) as video:
        decoded = []
        real = video.pictures

        def pictures(segment):
            for one in real(segment):
                decoded.append(one)
                yield one

        video.pictures = pictures  # type: ignore[method-assign]
        next(pictures_from(video, FRAMES - 1, first_pts, FPS, key))
    assert len(decoded) <= 6 + 4, "a key picture every six at most, or a step before it"


@pytest.mark.parametrize("name", WHOLE)
def test_where_decoding_cannot_begin_anew_it_begins_at_the_start(tmp_path: Path, name: str) -> None:
    codec, options = WHOLE[name]
    path = write_video(tmp_path / name, codec, stamps=range(FRAMES), options=options)
    whole = read(path)
    for first in (1, 13, FRAMES - 1):
        assert read(path, first) == whole[first:]


def test_files_of_an_image_sequence(tmp_path: Path) -> None:
    for number in range(6):
        Image.fromarray(picture(number)).save(tmp_path / f"shot.{number:04d}.png")
    whole = read(tmp_path / "shot.%04d.png")
    (tmp_path / "shot.0002.png").write_bytes(b"damaged, and not asked for")
    assert read(tmp_path / "shot.%04d.png", 4) == whole[4:]


def test_batches_begin_there(tmp_path: Path) -> None:
    path = make(tmp_path, "closed.mp4")
    with Footage(path, crop=(0, 0, *SIZE), fps=FPS) as footage:
        whole = np.concatenate([batch.luma for batch in footage.batches(8)])
        some = [batch.luma for batch in footage.batches(8, 10)]
    assert [len(luma) for luma in some] == [8, 8, 1]
    assert np.array_equal(np.concatenate(some), whole[10:])
