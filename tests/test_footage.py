"""Footage: every codec and container, ranges, turns, times, and all that can be wrong with a file."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from facecap_core.errors import (
    CropOutsidePicture,
    FootageEmpty,
    FootageError,
    FootageMissing,
    FootageTruncated,
    FootageUnreadable,
    FrameRateError,
    PictureSizeError,
)
from facecap_core.footage.footage import Footage, count_packets, probe
from facecap_core.footage.picture import PictureFilter

FPS = Fraction(30)
SIZE = (96, 130)
FRAMES = 14

Floats = npt.NDArray[np.float64]


def picture(index: int, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    """A picture without symmetry, moving with `index`, RGB [y, x, 3]."""
    y, x = np.mgrid[: size[1], : size[0]]
    red = 128 + 100 * np.sin((x + 3 * index) / 9) * np.cos(y / 17)
    green = 255 * x / size[0]
    blue = np.where((x // 12 + y // 8 + index) % 2, 230, 25)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


_FAST = {
    "libx264": {"preset": "ultrafast", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def write_video(
    path: Path,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    *,
    stamps: Iterable[int] = range(FRAMES),
    fps: Fraction = FPS,
    time_base: Fraction | None = None,
    size: tuple[int, int] = SIZE,
    full_range: bool = False,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    container_options: dict[str, str] | None = None,
    container_format: str | None = None,
) -> Path:
    with av.open(path, "w", format=container_format, options=container_options or {}) as container:
        stream = container.add_stream(
            codec, rate=fps, options={**_FAST.get(codec, {}), **(options or {})}
        )
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        if full_range:
            stream.codec_context.color_range = 2
        if time_base is not None:
            stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index, size), "rgb24")
            frame = frame.reformat(format=pixel_format, dst_color_range=2 if full_range else None)
            frame.pts = stamp
            if time_base is not None:
                frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rgb_frame(rgb: npt.NDArray[np.uint8], pixel_format: str) -> av.VideoFrame:
    """The picture in a deeper format without FFmpeg's roundings, where the format is deeper."""
    if pixel_format == "rgb48be":
        return av.VideoFrame.from_ndarray(rgb.astype(np.uint16) * 257, pixel_format)
    if pixel_format == "gbrp10le":
        deep = np.rint(rgb * (1023 / 255)).astype(np.uint16)
        return av.VideoFrame.from_ndarray(deep, pixel_format)
    if pixel_format == "gbrpf32le":
        return av.VideoFrame.from_ndarray((rgb / 255).astype(np.float32), pixel_format)
    return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixel_format)


def write_images(
    folder: Path,
    name: str,
    *,
    codec: str = "png",
    pixel_format: str = "rgb24",
    numbers: Iterable[int] = range(1, 6),
) -> Path:
    for index, number in enumerate(numbers):
        context = av.CodecContext.create(codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = *SIZE, pixel_format
        context.time_base = Fraction(1, 30)
        frame = rgb_frame(picture(index), pixel_format)
        frame.pts = 0
        packets = [*context.encode(frame), *context.encode(None)]
        (folder / (name % number)).write_bytes(b"".join(bytes(packet) for packet in packets))
    return folder / name


def footprint(source: int, target: int) -> Floats:
    """Weights [target, source] of the area filter; of linear interpolation when enlarging."""
    if target > source:
        centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
        return np.clip(1 - np.abs(centres[:, None] - np.arange(source)), 0, None)
    edges = np.linspace(0, source, target + 1)
    pixels = np.arange(source)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    return np.clip(high - low, 0, None) * target / source


def reference(luma: Floats, crop: tuple[int, int, int, int]) -> Floats:
    """What Footage must give for a whole upright picture of luma levels, float64 0..255."""
    x, y, width, height = crop
    mean = footprint(height, 320) @ luma[y : y + height, x : x + width] @ footprint(width, 240).T
    return np.clip(mean, 0, 255)


def luma_levels(frame: av.VideoFrame, *, limited: bool) -> Floats:
    """Levels of a frame with a luma plane, [y, x]; black 0, white 255, and beyond."""
    bits = frame.format.components[0].bits
    plane = frame.planes[0]
    dtype = np.uint8 if bits == 8 else np.uint16
    codes = np.frombuffer(memoryview(plane), dtype).reshape(frame.height, -1)[:, : frame.width]
    if limited:
        levels = (codes / 2.0 ** (bits - 8) - 16) / 219
    else:
        levels = codes / (2.0**bits - 1)
    return 255 * levels


def decoded_levels(path: Path, *, limited: bool) -> list[Floats]:
    with av.open(path) as container:
        return [luma_levels(frame, limited=limited) for frame in container.decode(video=0)]


def read(path: Path, *, fps: Fraction = FPS, **settings: object) -> npt.NDArray[np.uint8]:
    crop = settings.pop("crop", None) or (0, 0, *probe(path).picture_size)
    footage = Footage(path, crop=crop, fps=fps, **settings)  # type: ignore[arg-type]
    return np.stack([frame.luma for frame in footage])


CODECS = [
    ("shot.mp4", "libx264", "yuv420p", False, {"bf": "3"}),
    ("shot.mov", "libx264", "yuv420p10le", False, {}),
    ("shot.mkv", "libx264", "yuv422p", True, {}),
    ("shot.avi", "libx264", "yuv420p", False, {"bf": "2"}),
    ("shot.ts", "libx264", "yuv420p", False, {}),
    ("shot.h264", "libx264", "yuv420p", False, {"bf": "2"}),
    ("shot.mp4", "libx265", "yuv420p10le", True, {}),
    ("shot.mkv", "libx265", "yuv420p12le", False, {}),
    ("shot.mp4", "mpeg4", "yuv420p", False, {}),
    ("shot.avi", "mpeg4", "yuv420p", False, {"bf": "2"}),
    ("shot.mov", "prores_ks", "yuv422p10le", False, {}),
    ("shot.mkv", "ffv1", "yuv420p16le", False, {}),
    ("shot.mkv", "ffv1", "gray10le", True, {}),
    ("shot.webm", "libvpx-vp9", "yuv420p", False, {}),
    ("shot.mov", "mjpeg", "yuvj420p", True, {}),
    ("shot.mjpeg", "mjpeg", "yuvj422p", True, {}),
    ("shot.mxf", "mpeg2video", "yuv420p", False, {}),
    ("shot.y4m", "rawvideo", "yuv420p", False, {}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "full_range", "options"), CODECS)
def test_codecs(
    tmp_path: Path,
    name: str,
    codec: str,
    pixel_format: str,
    full_range: bool,
    options: dict[str, str],
) -> None:
    path = write_video(tmp_path / name, codec, pixel_format, full_range=full_range, options=options)
    crop = (5, 7, 83, 111)
    batches = list(Footage(path, crop=crop, fps=FPS).batches(6))
    assert [len(batch.luma) for batch in batches] == [6, 6, 2]
    assert count_packets(path) == FRAMES
    info = probe(path)
    assert info.picture_size == SIZE
    assert info.colour_range == ("full" if full_range else "limited")
    seconds = np.concatenate([batch.pts_seconds for batch in batches])
    assert seconds - seconds[0] == pytest.approx(np.arange(FRAMES) / 30, abs=1e-3)
    luma = np.concatenate([batch.luma for batch in batches])
    levels = decoded_levels(path, limited=not full_range)
    assert len(levels) == FRAMES
    for index in range(0, FRAMES, 4):
        assert np.abs(luma[index] - reference(levels[index], crop)).max() <= 1


CROPS = [
    (0, 0, 541, 661),
    (13, 7, 501, 641),  # odd offset, odd size
    (3, 5, 480, 640),  # whole factor
    (31, 17, 240, 320),  # as it is
    (1, 2, 240, 500),
    (7, 9, 101, 133),  # enlarged
]


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize(
    ("pixel_format", "full_range"),
    [
        ("yuv420p", False),
        ("yuvj420p", True),
        ("yuv420p", True),
        ("yuv420p10le", False),
        ("yuv422p10le", True),
        ("yuv444p12le", False),
        ("yuv420p16le", False),
        ("gray", False),
        ("gray", True),
        ("gray16le", True),
        ("nv12", False),
    ],
)
def test_luma_is_the_area_mean_of_the_full_range_levels(
    pixel_format: str, full_range: bool, crop: tuple[int, int, int, int]
) -> None:
    frame = noise(pixel_format, (541, 661))
    frame.color_range = 2 if full_range else 1
    luma = PictureFilter(crop, frame, codec="rawvideo")(frame)
    expected = reference(luma_levels(frame, limited=not full_range), crop)
    assert luma.shape == (320, 240)
    # FFmpeg places samples to a thousandth of a pixel, which shows where noise is enlarged.
    assert np.abs(luma - expected).max() <= (1 if crop[2] >= 240 else 1.25)


def noise(pixel_format: str, size: tuple[int, int]) -> av.VideoFrame:
    """A frame with noise in every plane, within and beyond the limited range."""
    random = np.random.default_rng(7)
    frame = av.VideoFrame(*size, pixel_format)
    for plane, component in zip(frame.planes, frame.format.components, strict=False):
        values = random.integers(
            0, 2**component.bits, plane.buffer_size // (1 + (component.bits > 8))
        )
        plane.update(values.astype(np.uint8 if component.bits == 8 else np.uint16).tobytes())
    return frame


@pytest.mark.parametrize(
    ("pixel_format", "primaries", "weights"),
    [
        ("rgb24", 2, (0.2126, 0.7152, 0.0722)),
        ("rgb24", 6, (0.299, 0.587, 0.114)),
        ("gbrp", 9, (0.2627, 0.6780, 0.0593)),
        ("rgba", 2, (0.2126, 0.7152, 0.0722)),
        ("bgr0", 1, (0.2126, 0.7152, 0.0722)),
        ("gbrp10le", 2, (0.2126, 0.7152, 0.0722)),
        ("rgb48be", 2, (0.2126, 0.7152, 0.0722)),
    ],
)
def test_rgb_becomes_luma_by_its_primaries(
    pixel_format: str, primaries: int, weights: tuple[float, float, float]
) -> None:
    size, crop = (301, 401), (3, 5, 291, 371)
    rgb = picture(0, size)
    frame = rgb_frame(rgb, pixel_format)
    frame.color_primaries = primaries
    luma = PictureFilter(crop, frame, codec="png")(frame)
    expected = reference(rgb.astype(np.float64) @ np.array(weights), crop)
    assert np.abs(luma - expected).max() <= 1


@pytest.mark.parametrize("pixel_format", ["gbrpf32le", "gbrpf16le"])
@pytest.mark.parametrize("crop", [(0, 0, 200, 300), (0, 0, 240, 320), (1, 1, 300, 401)])
def test_scene_linear_light_gets_the_curve_of_srgb(
    pixel_format: str, crop: tuple[int, int, int, int]
) -> None:
    linear = np.full((410, 310, 3), 0.18, dtype=np.float32)
    linear[:, :, 2] = np.nan  # counts as black
    linear[:, :, 1] = 7.5  # brighter than white, and clipped
    frame = av.VideoFrame.from_ndarray(linear, "gbrpf32le")
    if pixel_format == "gbrpf16le":
        frame = av.VideoFrame(310, 410, pixel_format)
        for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
            rows = np.zeros((410, plane.line_size // 2), np.float16)
            rows[:, :310] = linear[:, :, channel]
            plane.update(rows.tobytes())
    luma = PictureFilter(crop, frame, codec="exr")(frame)
    expected = 255 * (0.2126 * (1.055 * 0.18 ** (1 / 2.4) - 0.055) + 0.7152)
    assert np.abs(luma - expected).max() <= 1


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_crop_is_in_the_picture_as_displayed(tmp_path: Path, rotation: int) -> None:
    path = write_video(tmp_path / "phone.mp4", rotation=rotation)
    crop = (3, 11, 61, 73)
    luma = read(path, crop=crop)
    levels = decoded_levels(path, limited=True)
    for ours, coded in list(zip(luma, levels, strict=True))[::5]:
        # FFmpeg's rotation counts against the clock, as numpy's does.
        assert np.abs(ours - reference(np.rot90(coded, rotation // 90), crop)).max() <= 1
    info = probe(path)
    assert info.picture_size == (SIZE if rotation % 180 == 0 else SIZE[::-1])
    assert info.rotation_degrees == (360 - rotation) % 360


def test_more_threads_give_the_same(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4", options={"bf": "3"})
    np.testing.assert_array_equal(read(path), read(path, threads=2))


def test_every_batch_has_memory_of_its_own(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    batches = list(Footage(path, crop=(0, 0, *SIZE), fps=FPS).batches(4))
    np.testing.assert_array_equal(np.concatenate([b.luma for b in batches]), read(path))


def test_a_consumer_that_stops_leaves_no_file_open(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    before = len(os.listdir("/proc/self/fd"))
    frames = iter(Footage(path, crop=(0, 0, 90, 90), fps=FPS))
    next(frames)
    assert len(os.listdir("/proc/self/fd")) > before
    frames.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with Footage(path, crop=(0, 0, 90, 90), fps=FPS):
        assert len(os.listdir("/proc/self/fd")) > before
    with pytest.raises(CropOutsidePicture):
        Footage(path, crop=(0, 0, 900, 90), fps=FPS)
    assert len(os.listdir("/proc/self/fd")) == before


def test_footage_can_be_read_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    footage = Footage(path, crop=(1, 2, 90, 90), fps=FPS)
    first, second = (np.stack([frame.luma for frame in footage]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


# Times


def test_ntsc_rate_in_milliseconds(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    path = write_video(tmp_path / "shot.mkv", "mpeg4", fps=rate, stamps=range(400), size=(32, 32))
    assert len(read(path, fps=rate)) == 400
    with pytest.raises(FrameRateError, match=r"runs at 29\.97 fps, the production at 30"):
        read(path)


@pytest.mark.parametrize("name", ["shot.mp4", "shot.mkv", "shot.mov"])
def test_footage_may_start_later(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, stamps=range(10, 24), options={"bf": "2"})
    times = [frame.pts_seconds for frame in Footage(path, crop=(0, 0, 96, 96), fps=FPS)]
    assert times == pytest.approx((np.arange(FRAMES) + 10) / 30, abs=2e-3)


def test_pictures_hidden_by_an_edit_list_are_not_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4", stamps=range(-5, 9))
    assert probe(path).frames_from_header == FRAMES
    assert count_packets(path) == len(read(path)) == FRAMES - 5


def test_jitter_within_a_quarter_frame_passes(tmp_path: Path) -> None:
    jitter = [0, 200, -300, 500, -600, 100, 0, 0, 300, -200]
    stamps = [index * 3000 + offset for index, offset in enumerate(jitter)]
    path = write_video(tmp_path / "shot.mp4", stamps=stamps, time_base=Fraction(1, 90000))
    assert len(read(path)) == len(jitter)


@pytest.mark.parametrize("name", ["shot.mp4", "shot.mkv", "shot.avi"])
def test_a_dropped_frame_is_a_variable_rate(tmp_path: Path, name: str) -> None:
    codec = "mjpeg" if name.endswith("avi") else "libx264"
    stamps = [*range(8), *range(9, 15)]
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / name, codec, pixel_format, stamps=stamps)
    with pytest.raises(FrameRateError, match="variable frame rate at frame 8") as error:
        read(path)
    assert error.value.fault.file == str(path)
    assert "constant 30 fps" in error.value.fault.remedy


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(60), Fraction(30000, 1001)])
def test_another_rate_says_both(tmp_path: Path, fps: Fraction) -> None:
    path = write_video(tmp_path / "shot.mp4", fps=fps)
    assert len(read(path, fps=fps)) == FRAMES
    with pytest.raises(
        FrameRateError, match=rf"runs at {float(fps):.5g} fps, the production at 30"
    ):
        read(path)


# Damage


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "no.mp4", tmp_path, tmp_path / "no" / "a.%04d.png", "http://x/y.mp4"):
        with pytest.raises(FootageMissing):
            probe(path)
    with pytest.raises(FootageMissing):
        probe("a\0b.mp4")


def test_not_a_video(tmp_path: Path) -> None:
    video = write_video(tmp_path / "shot.ts")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{video}\n#EXT-X-ENDLIST\n"
    texts = {
        "note.mp4": "not a video\n" * 100,
        "list.m3u8": playlist,
        "list.mp4": playlist,
        "list.ffconcat": f"ffconcat version 1.0\nfile '{video}'\n",
        "big.y4m": "YUV4MPEG2 W60000 H60000 F30:1 Ip C420jpeg\nFRAME\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(FootageUnreadable):
            probe(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(FootageUnreadable, match="not a file"):
        probe(tmp_path / "pipe.mp4")


def test_empty_file_and_sound_alone(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(FootageEmpty, match="no bytes"):
        probe(tmp_path / "empty.mp4")
    with av.open(tmp_path / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=48000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(FootageEmpty, match="no moving pictures"):
        probe(tmp_path / "sound.mp4")


def test_cover_art_is_not_the_video(tmp_path: Path) -> None:
    path = tmp_path / "shot.mp4"
    with av.open(path, "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        video = container.add_stream("mpeg4", rate=FPS)
        cover.disposition = av.stream.Disposition.attached_pic
        assert isinstance(cover, av.VideoStream)
        assert isinstance(video, av.VideoStream)
        cover.width, cover.height, cover.pix_fmt = *SIZE, "yuvj420p"
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for stream, pixel_format, count in ((cover, "yuvj420p", 1), (video, "yuv420p", 5)):
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(picture(index), "rgb24")
                container.mux(stream.encode(frame.reformat(format=pixel_format)))
            container.mux(stream.encode())
    with av.open(path) as container:
        assert len(container.streams.video) == 2
    assert probe(path).codec == "mpeg4"
    assert len(read(path)) == 5


@pytest.mark.parametrize("kept", [0.03, 0.5, 0.9, 0.97])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("shot.mp4", "libx264", {}),
        ("shot.mp4", "libx264", {"movflags": "faststart"}),
        ("shot.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("shot.mkv", "ffv1", {}),
        ("shot.webm", "libvpx-vp9", {}),
        ("shot.avi", "mpeg4", {}),
    ],
)
def test_a_copy_cut_short(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], kept: float
) -> None:
    path = write_video(tmp_path / name, codec, container_options=options, stamps=range(30))
    assert len(read(path)) == 30
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises((FootageTruncated, FootageUnreadable)) as error:
        read(path)
    assert kept < 0.1 or error.type is FootageTruncated
    assert error.value.fault.file == str(path)
    assert error.value.fault.remedy


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("shot.mp4", "libx264", "yuv420p"),
        ("shot.mkv", "libx264", "yuv420p"),
        ("shot.avi", "mpeg4", "yuv420p"),
        ("shot.mov", "prores_ks", "yuv422p10le"),
        ("shot.mov", "png", "rgb24"),
    ],
)
def test_damage_in_the_middle(tmp_path: Path, name: str, codec: str, pixel_format: str) -> None:
    path = write_video(tmp_path / name, codec, pixel_format, stamps=range(30))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(data)
    with pytest.raises(FootageTruncated, match="damaged after picture 1"):
        read(path)


def test_size_that_changes(tmp_path: Path) -> None:
    first = write_video(tmp_path / "a.h264")
    second = write_video(tmp_path / "b.h264", size=(128, 96))
    path = tmp_path / "both.h264"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(PictureSizeError, match="96x130 to 128x96"):
        read(path)


def test_the_required_size(tmp_path: Path) -> None:
    path = write_video(tmp_path / "shot.mp4")
    assert len(read(path, picture_size=SIZE)) == FRAMES
    with pytest.raises(PictureSizeError, match="96x130, and must be 1200x1600"):
        read(path, picture_size=(1200, 1600))


@pytest.mark.parametrize(
    "crop",
    [
        (-1, 0, 10, 10),
        (0, -1, 10, 10),
        (0, 0, 97, 10),
        (90, 0, 7, 10),
        (0, 130, 5, 5),
        (1, 1, 0, 5),
    ],
)
def test_crops_outside(tmp_path: Path, crop: tuple[int, int, int, int]) -> None:
    path = write_video(tmp_path / "shot.mkv", "ffv1", stamps=range(1))
    with pytest.raises(CropOutsidePicture, match="96x130 picture"):
        Footage(path, crop=crop, fps=FPS)


# Image sequences


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "tolerance"),
    [
        ("shot.%04d.png", "png", "rgb24", 1),
        ("take-2_%d.png", "png", "rgba", 1),
        ("shot%03d.png", "png", "rgb48be", 1),
        ("shot.%04d.tif", "tiff", "rgb24", 1),
        ("shot.%04d.jpg", "mjpeg", "yuvj444p", 4),
    ],
)
def test_image_sequences(
    tmp_path: Path, name: str, codec: str, pixel_format: str, tolerance: float
) -> None:
    path = write_images(
        tmp_path, name, codec=codec, pixel_format=pixel_format, numbers=range(98, 103)
    )
    (tmp_path / "other.0001.png").write_text("of another sequence")
    crop = (1, 2, 91, 101)
    frames = list(Footage(path, crop=crop, fps=Fraction(24)))
    assert [frame.pts_seconds for frame in frames] == [i / 24 for i in range(5)]
    assert count_packets(path) == probe(path).frames_from_header == 5
    for index, frame in enumerate(frames):
        weights = np.array((0.299, 0.587, 0.114) if codec == "mjpeg" else (0.2126, 0.7152, 0.0722))
        expected = reference(picture(index).astype(np.float64) @ weights, crop)
        assert np.abs(frame.luma - expected).max() <= tolerance


def test_scene_linear_images(tmp_path: Path) -> None:
    path = write_images(tmp_path, "shot.%04d.exr", codec="exr", pixel_format="gbrpf32le")
    assert len(read(path)) == 5
    light = np.stack(
        [
            reference(picture(0)[:, :, channel].astype(np.float64), (0, 0, *SIZE))
            for channel in range(3)
        ]
    )
    light /= 255
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    expected = 255 * np.tensordot((0.2126, 0.7152, 0.0722), curve, axes=1)
    assert np.abs(read(path)[0] - expected).max() <= 1


def test_a_photograph_taken_upright(tmp_path: Path) -> None:
    path = write_images(tmp_path, "shot.%04d.jpg", codec="mjpeg", pixel_format="yuvj444p")
    orientation = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0)
    segment = b"Exif\0\0" + orientation
    for file in tmp_path.glob("*.jpg"):
        data = file.read_bytes()
        exif = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
        file.write_bytes(data[:2] + exif + data[2:])
    assert probe(path).picture_size == SIZE[::-1]
    weights = np.array((0.299, 0.587, 0.114))
    clockwise = np.rot90(picture(0).astype(np.float64) @ weights, -1)
    assert np.abs(read(path)[0] - reference(clockwise, (0, 0, *SIZE[::-1]))).max() <= 4


def test_a_gap_names_the_missing_file(tmp_path: Path) -> None:
    path = write_images(tmp_path, "shot.%04d.png", numbers=[7, 8, 10, 11])
    with pytest.raises(FootageError, match=r"shot\.0009\.png is missing") as error:
        probe(path)
    assert error.value.fault.file == str(tmp_path / "shot.0009.png")


def test_the_bad_picture_of_a_sequence_is_named(tmp_path: Path) -> None:
    path = write_images(tmp_path, "shot.%04d.png")
    good = (tmp_path / "shot.0004.png").read_bytes()
    for data, kind in ((b"", FootageEmpty), (good[:500], FootageUnreadable)):
        (tmp_path / "shot.0004.png").write_bytes(data)
        with pytest.raises(kind) as error:
            read(path)
        assert error.value.fault.file == str(tmp_path / "shot.0004.png")


def test_patterns_that_cannot_be(tmp_path: Path) -> None:
    for name in ("a.%04d.%04d.png", "a.%04d.xyz", "a.%04d%s.png"):
        with pytest.raises(FootageError):
            probe(tmp_path / name)
