"""Motion: what the made-up actor does in a shot, as control values over time.

The four categories are those of the training set of the paper's Section 4: range of motion, expressions,
pangrams and in-character material. Every category passes through extremes or sounds one after another;
each change starts before the last one has ended, as muscles do it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facecap_core.madeup.expressions import CONTROLS, INDEX, SIDED, SIGNED

FPS = 30
CATEGORIES = ("rom", "expressions", "pangrams", "in-character")

Pose = dict[str, float]

EXTREMES: tuple[Pose, ...] = (
    {"jaw_open": 1.0},
    {"blink": 1.0, "squint": 0.9, "brow_down": 0.9, "nose_wrinkle": 0.6, "cheek_raise": 0.6},
    {"wide": 1.0, "brow_inner_up": 1.0, "brow_outer_up": 1.0},
    {"pucker": 1.0},
    {"smile": 1.0, "cheek_raise": 0.7, "squint": 0.4},
    {"jaw_left_right": 0.9, "jaw_open": 0.2},
    {"jaw_left_right": -0.9, "jaw_open": 0.2},
    {"stretch": 1.0, "lower_lip_drop": 0.8, "jaw_open": 0.1},
    {"funnel": 1.0, "jaw_open": 0.35},
    {"cheek_puff": 1.0, "lip_press": 0.6},
    {"mouth_left_right": 0.9, "smile_left": 0.5},
    {"mouth_left_right": -0.9, "smile_right": 0.5},
    {"upper_lip_raise": 1.0, "nose_wrinkle": 0.9, "smile": 0.2},
    {"lip_roll": 1.0, "jaw_open": 0.1},
    {"frown": 1.0, "chin_raise": 0.9},
    {"jaw_open": 0.9, "wide": 0.8, "brow_outer_up": 0.8, "stretch": 0.4},
    {"blink_left": 1.0, "smile_left": 0.6, "cheek_raise_left": 0.7},
    {"blink_right": 1.0, "smile_right": 0.6, "cheek_raise_right": 0.7},
    {"jaw_forward": 1.0, "lower_lip_drop": 0.3},
    {"brow_down": 1.0, "squint": 0.7, "lip_press": 1.0},
)

EMOTIONS: tuple[Pose, ...] = (
    {"smile": 0.9, "cheek_raise": 0.6, "squint": 0.35, "jaw_open": 0.15, "upper_lip_raise": 0.2},
    {"brow_down": 0.9, "squint": 0.5, "lip_press": 0.7, "nostril_flare": 0.8, "frown": 0.2},
    {"brow_inner_up": 0.9, "frown": 0.8, "chin_raise": 0.5, "squint": 0.15},
    {"brow_inner_up": 0.8, "brow_outer_up": 0.9, "wide": 0.9, "jaw_open": 0.5},
    {"nose_wrinkle": 0.9, "upper_lip_raise": 0.7, "brow_down": 0.5, "squint": 0.4, "frown": 0.3},
    {"brow_inner_up": 0.9, "wide": 0.8, "stretch": 0.8, "jaw_open": 0.2, "brow_down": 0.3},
    {"smile_left": 0.7, "brow_outer_up_left": 0.6, "squint_right": 0.3, "mouth_left_right": 0.2},
    {"stretch": 0.5, "lip_roll": 0.6, "brow_inner_up": 0.5, "chin_raise": 0.3},
)

SOUNDS: dict[str, Pose] = {
    "a": {"jaw_open": 0.68, "stretch": 0.15},
    "e": {"jaw_open": 0.28, "stretch": 0.40, "lower_lip_drop": 0.25},
    "i": {"jaw_open": 0.15, "stretch": 0.50, "smile": 0.20, "lower_lip_drop": 0.20},
    "o": {"jaw_open": 0.50, "funnel": 0.55, "pucker": 0.25},
    "u": {"jaw_open": 0.18, "pucker": 0.70, "funnel": 0.30},
    "w": {"jaw_open": 0.12, "pucker": 0.85},
    "m": {"jaw_open": 0.04, "lip_press": 0.75},
    "f": {"jaw_open": 0.10, "lip_roll": 0.35, "upper_lip_raise": 0.35, "chin_raise": 0.25},
    "s": {"jaw_open": 0.06, "stretch": 0.25, "upper_lip_raise": 0.20, "lower_lip_drop": 0.40},
    "c": {"jaw_open": 0.10, "funnel": 0.60, "upper_lip_raise": 0.20, "lower_lip_drop": 0.25},
    "t": {"jaw_open": 0.16, "lower_lip_drop": 0.20, "upper_lip_raise": 0.10},
    "k": {"jaw_open": 0.24, "stretch": 0.10},
    "r": {"jaw_open": 0.16, "funnel": 0.35, "pucker": 0.20},
    " ": {"jaw_open": 0.02},
}
LIKE = dict(zip("bpvzxjgqdnlhy", "mmfssckkttthi", strict=True)) | {"h": "k"}

PANGRAMS = (
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen liquor jugs",
    "how vexingly quick daft zebras jump",
    "sphinx of black quartz judge my vow",
    "we promptly judged antique ivory buckles for the next prize",
    "a mad boxer shot a quick gloved jab to the jaw of his dizzy opponent",
)


@dataclass(frozen=True)
class Performance:
    """One shot's motion, every array one row a frame."""

    controls: np.ndarray  # float64 [frame, control]
    head_rotation_degrees: np.ndarray  # float64 [frame, (yaw, pitch, roll)]
    head_translation_cm: np.ndarray  # float64 [frame, xyz]


def perform(category: str, frames: int, seed: tuple[int, int]) -> Performance:
    """The motion of one shot; the same for the same seed, which is the production's and the shot's number.

    Poses come from a list that the production's seed has shuffled; an odd shot begins in its middle, so
    that two shots of a category go through all of it, as a director would see to. Raises ValueError for a category
    that is none of `CATEGORIES`.
    """
    if category not in CATEGORIES:
        raise ValueError(f"no such category: {category!r}; there are {', '.join(CATEGORIES)}")
    generator = np.random.default_rng([*seed, 5])
    values = np.zeros((frames, len(CONTROLS)))
    director = np.random.default_rng([seed[0], 8])
    extremes = _from(director, EXTREMES, seed[1])
    emotions = _from(director, EMOTIONS, seed[1])
    if category == "rom":
        _poses(generator, values, extremes, seconds=0.42, least=0.85)
    elif category == "expressions":
        _poses(generator, values, emotions, seconds=0.65, least=0.60)
    else:
        lively = 1.15 if category == "pangrams" else 0.85
        _speech(generator, values, lively)
        _poses(generator, values, emotions, seconds=0.95, least=0.55, most=0.95)
    _accents(generator, values, 1.0 if category == "in-character" else 0.5)
    _blinks(generator, values, seldom=2.0 if category == "in-character" else 2.6)
    _gaze(generator, values)
    _drift(generator, values)
    lowest = np.array([-1.0 if name in SIGNED else 0.0 for name in CONTROLS])
    values = np.clip(values, lowest, 1.0)
    rotation = smooth_noise(generator, frames, 3, seconds=1.0) * [1.4, 1.1, 0.8]
    # Who speaks nods with the sound.
    rotation[:, 1] += 1.0 * (_smoothed(values[:, INDEX["jaw_open"]], 4.0) - 0.15)
    translation = smooth_noise(generator, frames, 3, seconds=1.2) * [0.28, 0.20, 0.30]
    return Performance(values, np.clip(rotation, -4, 4), np.clip(translation, -0.8, 0.8))


def smooth_noise(
    generator: np.random.Generator, frames: int, channels: int, *, seconds: float
) -> np.ndarray:
    """Random curves of deviation 1 that change within about `seconds`: float64 [frame, channel]."""
    width = seconds * FPS / 2.5
    edge = int(4 * width)
    noise = generator.normal(size=(frames + 2 * edge, channels))
    kernel = np.exp(-0.5 * (np.arange(-edge, edge + 1) / width) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    curves = [np.convolve(noise[:, k], kernel, mode="valid") for k in range(channels)]
    return np.stack(curves, axis=1)


def _smoothed(curve: np.ndarray, width: float) -> np.ndarray:
    edge = int(4 * width)
    kernel = np.exp(-0.5 * (np.arange(-edge, edge + 1) / width) ** 2)
    return np.convolve(np.pad(curve, edge, mode="edge"), kernel / kernel.sum(), mode="valid")


def _add(values: np.ndarray, pose: Pose, course: np.ndarray) -> None:
    for name, amount in pose.items():
        for each in (f"{name}_left", f"{name}_right") if name in SIDED else (name,):
            values[:, INDEX[each]] += amount * course


def _poses(
    generator: np.random.Generator,
    values: np.ndarray,
    poses: list[Pose],
    *,
    seconds: float,
    least: float,
    most: float = 1.0,
) -> None:
    """One pose after another, each held for about `seconds`."""
    times = np.arange(len(values)) / FPS
    start = -generator.uniform(0.1, 0.6) * seconds
    number = 0
    while start < times[-1]:
        held = seconds * generator.uniform(0.7, 1.4)
        rise, fall = generator.uniform(0.12, 0.24, size=2)
        course = _ease((times - start) / rise) * (1 - _ease((times - start - held) / fall))
        lopsided = {
            name: amount * (1 + 0.08 * generator.normal())
            for name, amount in poses[number % len(poses)].items()
        }
        _add(values, lopsided, course * generator.uniform(least, most))
        start += held + generator.uniform(-0.03, 0.12)
        number += 1


def _from(director: np.random.Generator, poses: tuple[Pose, ...], shot: int) -> list[Pose]:
    """The production's order of the poses, from its start for even shots, its middle for odd ones."""
    order = [poses[k] for k in director.permutation(len(poses))]
    start = (shot % 2) * (len(poses) // 2)
    return order[start:] + order[:start]


def _ease(t: np.ndarray) -> np.ndarray:
    """From 0 to 1 with the least jerk."""
    t = np.clip(t, 0, 1)
    return np.asarray(t**3 * (10 - 15 * t + 6 * t * t))


def _speech(generator: np.random.Generator, values: np.ndarray, lively: float) -> None:
    """Letters stand for sounds; neighbours mix by overlapping weights, as in coarticulation."""
    times = np.arange(len(values)) / FPS
    text = " ".join(PANGRAMS[k] for k in generator.permutation(len(PANGRAMS)))
    at = -generator.uniform(0.0, 0.4)
    weight = np.full(len(times), 0.02)
    total = np.zeros_like(values)
    for letter in text[int(generator.integers(len(text) // 2)) :]:
        if at > times[-1] + 0.3:
            break
        sound = letter if letter in SOUNDS else LIKE[letter]
        lasts = generator.uniform(0.06, 0.10) * (1.3 if sound in "aeiou " else 1.0)
        course = np.exp(-0.5 * ((times - at - lasts / 2) / (0.62 * lasts)) ** 2)
        loud = lively * generator.uniform(0.8, 1.25)
        one = np.zeros_like(values)
        _add(one, SOUNDS[sound], course * loud)
        total += one
        weight += course
        at += lasts
    values += total / weight[:, None]


def _accents(generator: np.random.Generator, values: np.ndarray, strength: float) -> None:
    times = np.arange(len(values)) / FPS
    for name in ("brow_inner_up", "brow_outer_up", "brow_down", "cheek_raise", "nostril_flare"):
        for at in generator.uniform(0, times[-1] + 0.3, size=max(1, int(times[-1] * 0.4))):
            lasts = generator.uniform(0.12, 0.3)
            amount = strength * generator.uniform(0.2, 0.6)
            _add(values, {name: amount}, np.exp(-0.5 * ((times - at) / lasts) ** 2))


def _blinks(generator: np.random.Generator, values: np.ndarray, *, seldom: float) -> None:
    times = np.arange(len(values)) / FPS
    at = generator.uniform(0.2, 1.2)
    while at < times[-1]:
        course = _ease((times - at) / 0.10) * (1 - _ease((times - at - 0.13) / 0.17))
        _add(values, {"blink": generator.uniform(0.9, 1.0)}, course)
        at += generator.uniform(0.5, 1.5) * seldom


def _gaze(generator: np.random.Generator, values: np.ndarray) -> None:
    times = np.arange(len(values)) / FPS
    look = np.zeros((len(times), 2))
    at, now = 0.0, generator.normal(size=2) * [0.12, 0.10]
    look += now
    while at < times[-1]:
        at += generator.uniform(0.4, 1.4)
        new = np.clip(generator.normal(size=2) * [0.28, 0.22], -0.8, 0.8)
        look += _ease((times - at) / 0.07)[:, None] * (new - now)
        now = new
    values[:, INDEX["gaze_left_right"]] += look[:, 0]
    values[:, INDEX["gaze_up_down"]] += look[:, 1]


def _drift(generator: np.random.Generator, values: np.ndarray) -> None:
    """Nothing in a living face is quite still, nor are its sides quite alike."""
    spread = np.array([0.0 if name.startswith(("blink", "gaze")) else 0.015 for name in CONTROLS])
    values += smooth_noise(generator, len(values), len(CONTROLS), seconds=0.9) * spread
