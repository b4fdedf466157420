"""Spoilt footage: videos and point caches with faults planted on purpose, to see whether they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from facecap_core.madeup.motion import smooth_noise
from facecap_core.madeup.shoot import encode

Edit = Callable[[np.ndarray, int], np.ndarray]
"""Changes one picture's luma [y, x], which comes with its number."""

PIVOT_MM = (0.0, -50.0, 0.0)  # of the head, below the face


def recode(
    source: Path, target: Path, order: Sequence[int], edit: Edit | None = None, *, crf: int = 19
) -> None:
    """Write a video anew: picture i is the source's picture `order[i]`, edited."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        encode(target, _pictures(container, order, edit), (stream.width, stream.height), crf=crf)


def _pictures(
    container: av.container.InputContainer, order: Sequence[int], edit: Edit | None
) -> Iterator[np.ndarray]:
    last_use = {wanted: place for place, wanted in enumerate(order)}
    held: dict[int, np.ndarray] = {}
    decoded = enumerate(container.decode(video=0))
    for place, wanted in enumerate(order):
        while wanted not in held:
            number, frame = next(decoded)
            held[number] = frame.to_ndarray(format="yuv420p")
            held = {key: value for key, value in held.items() if last_use.get(key, -1) >= place}
        picture = held[wanted].copy()
        if edit is not None:
            luma = picture[: len(picture) * 2 // 3]
            luma[:] = np.clip(np.rint(edit(luma.astype(np.float32), place)), 16, 235)
        yield picture


def later(frames: int, offset: int) -> list[int]:
    """The order of a shot that begins so many frames later (or earlier), as long as before.

    Where frames are lacking at an end the motion goes back: nothing stands still.
    """
    places = np.arange(frames) + offset
    return (frames - 1 - np.abs(frames - 1 - np.abs(places))).tolist()


def doubled(frames: int, which: Sequence[int]) -> list[int]:
    """The order in which some frames repeat the one before."""
    order = list(range(frames))
    for frame in which:
        order[frame] = order[frame - 1]
    return order


def with_head_motion(
    positions: np.ndarray, degrees: float, mm: float, *, mm_per_unit: float, seed: int = 0
) -> np.ndarray:
    """Positions [frame, vertex, xyz] of a head that turns and moves, deviations about each axis."""
    random = np.random.default_rng(seed)
    angles = np.radians(degrees * smooth_noise(random, len(positions), 3, seconds=1.0))
    shifts = mm / mm_per_unit * smooth_noise(random, len(positions), 3, seconds=1.0)
    pivot = np.array(PIVOT_MM) / mm_per_unit
    turned = np.einsum("fij,fvj->fvi", _turns(angles), positions - pivot)
    return (turned + pivot + shifts[:, None]).astype(np.float32)


def _turns(angles: np.ndarray) -> np.ndarray:
    whole = np.tile(np.eye(3), (len(angles), 1, 1))
    for axis in range(3):
        turn = np.tile(np.eye(3), (len(angles), 1, 1))
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[:, first, first] = turn[:, second, second] = np.cos(angles[:, axis])
        turn[:, second, first] = np.sin(angles[:, axis])
        turn[:, first, second] = -np.sin(angles[:, axis])
        whole = whole @ turn
    return whole


def darker(part: float) -> Edit:
    """All levels less by a part, as by a smaller aperture."""
    return lambda luma, _: 16 + (1 - part) * (luma - 16)


def flatter(part: float) -> Edit:
    """Less contrast about the picture's mean."""
    return lambda luma, _: luma.mean() + (1 - part) * (luma - luma.mean())


def flickering(part: float) -> Edit:
    """Light that changes at random from picture to picture, by a deviation."""
    return lambda luma, number: (
        16 + (luma - 16) * float(1 + part * np.random.default_rng(number).standard_normal())
    )


def dimming(part: float, frames: int) -> Edit:
    """Light that goes down steadily over a shot."""
    return lambda luma, number: 16 + (luma - 16) * (1 - part * number / frames)


def black(first: int, last: int) -> Edit:
    """Black pictures from one to another, inclusive."""
    return lambda luma, number: np.full_like(luma, 16) if first <= number <= last else luma


def moved(right: int, down: int) -> Edit:
    """The picture moved by pixels; what comes in is what was at the edge."""

    def edit(luma: np.ndarray, _: int) -> np.ndarray:
        rows = np.clip(np.arange(luma.shape[0]) - down, 0, luma.shape[0] - 1)
        columns = np.clip(np.arange(luma.shape[1]) - right, 0, luma.shape[1] - 1)
        return luma[np.ix_(rows, columns)]

    return edit


def smaller(times: int) -> Edit:
    """The picture so many times smaller, in the middle of a plain ground: as a crop far larger than the face has it."""

    def edit(luma: np.ndarray, _: int) -> np.ndarray:
        rows, columns = (length // times for length in luma.shape)
        whole = luma[: rows * times, : columns * times].reshape(rows, times, columns, times)
        top, left = (luma.shape[0] - rows) // 2, (luma.shape[1] - columns) // 2
        found = np.full_like(luma, np.median(luma[0]))
        found[top : top + rows, left : left + columns] = whole.mean((1, 3))
        return found

    return edit
