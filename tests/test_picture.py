"""Picture: the luma of any pixel format is the area mean of its levels, within one of 255."""

from __future__ import annotations

import av
import numpy as np
import pytest
from footage_files import luma_levels, picture, reference, rgb_frame

from facecap_core.footage.picture import PictureFilter

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


@pytest.mark.parametrize("crop", [(0, 0, 240, 320), (3, 5, 480, 640), (1, 2, 341, 501)])
def test_light_of_any_value_is_what_float64_makes_of_it(crop: tuple[int, int, int, int]) -> None:
    """Each pixel counts as 0 to 1, what is no number as 0; then the area mean, the curve and the weights."""
    random = np.random.default_rng(11)
    light = np.exp2(random.uniform(-14, 17, (651, 491, 3))).astype(np.float32)
    light *= random.choice([-1, 1, 1, 1], light.shape)
    light[random.random(light.shape) < 0.6] /= 2**12  # many within 0 to 1
    special = random.random(light.shape)
    for place, value in enumerate((np.nan, np.inf, -np.inf)):
        light[(special > 0.03 * place) & (special < 0.03 * (place + 1))] = value
    frame = av.VideoFrame.from_ndarray(light, "gbrpf32le")
    luma = PictureFilter(crop, frame, codec="exr")(frame)
    counted = np.clip(np.nan_to_num(light.astype(np.float64), nan=0.0), 0, 1)
    mean = np.stack([reference(counted[..., channel], crop) for channel in range(3)], axis=-1)
    curve = np.where(mean <= 0.0031308, 12.92 * mean, 1.055 * mean ** (1 / 2.4) - 0.055)
    assert np.ptp(curve) > 0.5
    # Places to a thousandth of a pixel show in noise, most in the dark, where the curve is steep.
    fractions = crop[2] % 240 > 0
    off = np.abs(luma - 255 * curve @ (0.2126, 0.7152, 0.0722))
    assert off.max() <= (2 if fractions else 1)
    assert off.mean() < 0.5


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
