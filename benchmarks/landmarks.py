"""How still do stabilised pictures stand? Landmarks by dlib against the true pose of the head.

    python -m benchmarks.landmarks PRODUCTION TAKES [--shots ada_rom_01,ada_speech_01] [--frames 300] [--sheet a.png]

PRODUCTION holds the ingested shots, TAKES what they were rendered from (rigs, and the weights and head motion
of each frame). Compared are angle, median line and height, which are what stabilisation undoes: of the picture
as it is, of dlib as it comes (whole pixels, one box), and of the landmarks that ingest takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.arguments import arguments
from facecap_core.footage.input_stabilisation import NOSE, stabilise
from facecap_core.footage.landmark_file import EYES
from facecap_core.footage.landmarks import DlibLandmarks, packaged_predictor
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_frames

CAMERA_CM = (0.0, 0.3, 106.5)
FOCAL = 800 / 0.15  # pixels: 30 cm at 100 cm distance are the picture's 1600
PIVOT_CM = (0.0, -5.0, 0.0)


def true_points(takes: Path, shot: str, frames: int, crop: tuple[int, int, int, int]) -> np.ndarray:
    """The rig's landmarks where the center camera sees them: [frame, 68, xy], NaN where the mask has none."""
    whole, rig = np.load(takes / "rig_ict.npz"), np.load(takes / "rig_ada.npz")
    taken = np.load(takes / "weights" / f"{shot}.npz")
    inside = {int(vertex): i for i, vertex in enumerate(whole["anim_idx"])}
    known = [i for i, vertex in enumerate(whole["landmarks68"]) if int(vertex) in inside]
    chosen = [inside[int(whole["landmarks68"][i])] for i in known]
    weights = taken["weights"][:frames]
    rest = rig["neutral"][chosen] + np.einsum("fw,wvc->fvc", weights, rig["deltas"][:, chosen])
    yaw, pitch, roll = np.radians(taken["head_rotation_deg"][:frames]).T
    turn = _turns(yaw, 1) @ _turns(pitch, 0) @ _turns(roll, 2)
    seen = np.einsum("fij,fvj->fvi", turn, rest - PIVOT_CM) + PIVOT_CM
    seen = seen + taken["head_translation_cm"][:frames, None]
    depth = CAMERA_CM[2] - seen[..., 2]
    x = 600 + FOCAL * (seen[..., 0] - CAMERA_CM[0]) / depth
    y = 800 - FOCAL * (seen[..., 1] - CAMERA_CM[1]) / depth
    points = np.full((len(weights), 68, 2), np.nan)
    points[:, known, 0] = (x - crop[0]) * 240 / crop[2] - 0.5
    points[:, known, 1] = (y - crop[1]) * 320 / crop[3] - 0.5
    return points


def _turns(angles: np.ndarray, axis: int) -> np.ndarray:
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    turn = np.tile(np.eye(3), (len(angles), 1, 1))
    turn[:, first, first] = turn[:, second, second] = np.cos(angles)
    turn[:, second, first] = np.sin(angles)
    turn[:, first, second] = -np.sin(angles)
    return turn


def pose(points: np.ndarray) -> np.ndarray:
    """Median line and height in pixels of the upright picture, angle in degrees: [frame, 3]."""
    left, right = (points[:, eye].mean(1) for eye in EYES)
    across = right - left
    angle = np.arctan2(across[:, 1], across[:, 0])
    middle, nose = (left + right) / 2, np.nanmean(points[:, NOSE], axis=1)
    x = middle[:, 0] * np.cos(angle) + middle[:, 1] * np.sin(angle)
    y = nose[:, 1] * np.cos(angle) - nose[:, 0] * np.sin(angle)
    return np.column_stack([x, y, np.degrees(angle)])


def plain(luma: np.ndarray, _: int) -> np.ndarray:
    """dlib as its own example uses it."""
    import dlib

    detect, predict = (
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(packaged_predictor())),
    )
    found = []
    for picture in luma:
        box = (detect(np.ascontiguousarray(picture), 0) or [dlib.rectangle(0, 40, 239, 279)])[0]
        parts = predict(np.ascontiguousarray(picture), box).parts()
        found.append([(point.x, point.y) for point in parts])
    return np.array(found, float)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("production", type=Path)
    parser.add_argument("takes", type=Path)
    parser.add_argument("--shots", default="ada_rom_01,ada_speech_01,ada_character_04")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--sheet", type=Path, help="write pictures before and after")
    options = parser.parse_args()
    production = load_production(options.production)
    crop = production.actors["ada"].cameras["center"].crop
    rows = []
    print("deviation, and root mean square of the second difference, of x px, y px, angle degrees")
    for shot in options.shots.split(","):
        luma = open_frames(production.paths.frames(shot, "center")).read("luma", 0, options.frames)
        truth = pose(true_points(options.takes, shot, len(luma), crop))
        _show(shot, "not stabilised", truth - truth.mean(0), 0.0)
        landmarks = DlibLandmarks(packaged_predictor())
        ways: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
            "dlib as it comes": plain,
            "as ingested": landmarks,
        }
        for name, way in ways.items():
            began = time.process_time()
            points = way(luma, 0)
            spent = time.process_time() - began
            _show(shot, name, pose(points) - truth, 1e3 * spent / len(luma))
        print(f"{shot}: {landmarks.facts['pictures_without_face']} pictures without a face")
        chosen = np.linspace(0, len(luma) - 1, 8).astype(int)
        rows += [np.hstack(luma[chosen]), np.hstack(stabilise(luma[chosen], points[chosen]))]
    if options.sheet:
        Image.fromarray(np.vstack(rows)).save(options.sheet)


def _show(shot: str, name: str, error: np.ndarray, milliseconds: float) -> None:
    swing = np.sqrt(np.mean(np.diff(error, 2, axis=0) ** 2, axis=0))
    spread = "  ".join(f"{value:6.3f}" for value in [*error.std(axis=0), *swing])
    print(f"{shot:18} {name:18} {spread}   {milliseconds:5.1f} ms a picture", flush=True)


if __name__ == "__main__":
    main()
