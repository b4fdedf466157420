"""Report pictures: the faces of a report, still and moving, and the augmented inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from facecap_core.learning.augment import augment, draw
from facecap_core.learning.model import Model
from facecap_core.learning.trainingset import ShotPaths
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.rasteriser import framing_camera
from facecap_core.reports.comparison import MeshPictures, encode_h264, film_size, moving_face
from facecap_core.reports.figures import colour_bar, data_uri, jpeg, round_up
from facecap_core.reports.report_tables import mm, timecode
from facecap_core.reports.validation import Clip, Mark, Validation
from facecap_core.stores.groups import open_frames
from facecap_core.template import Template

STILL = (360, 480)  # width, height of the pictures of single frames
MOVING = (240, 320)  # and of each panel of the moving face: the size of the network's input
VARIANTS = 11  # augmented pictures, which fill two rows with the original


@dataclass(frozen=True)
class View:
    """One view of the face, which holds all validation targets, for all pictures of the page."""

    template: Template
    bounds: np.ndarray  # [low high, xyz]
    device: torch.device

    def pictures(self, size: tuple[int, int], top_mm: float, *, supersample: int) -> MeshPictures:
        """Pictures of this view whose heat maps end at `top_mm`."""
        return MeshPictures(
            self.template.faces,
            camera=framing_camera(self.bounds, size[0] / size[1]),
            size=size,
            highest_mm=top_mm,
            supersample=supersample,
            device=self.device,
        )


def marked_frames(
    view: View, top_mm: float, marks: Sequence[Mark], stills: Sequence[Clip], fps: Fraction
) -> list[dict[str, Any]]:
    """Input, target, result and difference of single frames (Figure 4)."""
    pictures = view.pictures(STILL, top_mm, supersample=2)
    rows = []
    for mark, still in zip(marks, stills, strict=True):
        where = f"of {mark.shot}, frame {mark.frame}"
        largest = mm(float(still.distance_mm.max()))
        drawn = [
            (still.luma[0], f"input {where}"),
            (pictures.clay(still.target[0]), f"target mesh {where}"),
            (pictures.clay(still.result[0]), f"result mesh {where}"),
            (
                pictures.difference(still.result[0], still.distance_mm[0]),
                f"difference in mm {where}: at most {largest} mm",
            ),
        ]
        rows.append(
            {
                "kind": mark.kind,
                "rmse_mm": mark.rmse_mm,
                "shot": mark.shot,
                "frame": mark.frame,
                "timecode": timecode(mark.frame, fps),
                "pictures": [_picture(picture, alt) for picture, alt in drawn],
            }
        )
    return rows


def mean_map(view: View, validation: Validation) -> dict[str, Any]:
    """The face at rest in the colours of each vertex' mean distance, with a scale of its own."""
    distance = validation.mean_distance_mm
    top = round_up(max(float(np.quantile(distance, 0.99)), 1e-3))
    pictures = view.pictures(STILL, top, supersample=2)
    return {
        **_picture(pictures.difference(view.template.positions, distance), ""),
        "largest_mm": float(distance.max()),
        "bar": colour_bar(top, name="mean", label="mean difference (mm)"),
    }


def film(
    view: View, top_mm: float, clip: Clip, fps: Fraction, on_progress: OnProgress | None
) -> dict[str, Any]:
    """The moving face as a video. Drawn without supersampling: this is most of the work of a report."""
    pictures = view.pictures(MOVING, top_mm, supersample=1)
    frames = len(clip.luma)

    def told() -> Iterator[np.ndarray]:
        for done, picture in enumerate(moving_face(clip, pictures), start=1):
            report(on_progress, Progress("draw", done, frames))
            yield picture

    width, height = film_size(pictures)
    return {
        "shot": clip.shot,
        "first": clip.first_frame,
        "last": clip.first_frame + frames - 1,
        "seconds": f"{float(frames / fps):.1f}",
        "uri": data_uri(encode_h264(told(), fps=fps), "video/mp4"),
        "width": width,
        "height": height,
    }


def augmented_inputs(model: Model, shot: ShotPaths) -> dict[str, Any]:
    """The middle picture of a shot, and augmented variants of it at full strength (Figure 3)."""
    config = model.config
    store = open_frames(shot.frames)
    number = store.frames // 2
    plain = store.read("luma", number, number + 1)
    draws = draw(VARIANTS, config.augmentation, 1.0, torch.Generator().manual_seed(config.seed))
    batch = torch.from_numpy(np.repeat(plain, VARIANTS, axis=0))
    varied = augment(batch, draws, model.whitening.mean).round().clamp(0, 255).to(torch.uint8)
    magnitudes = config.augmentation
    return {
        "crop_shot": shot.shot,
        "crop_frame": number,
        "crops": [
            _picture(plain[0], f"input {number} of {shot.shot}, not augmented"),
            *(_picture(p, f"augmented variant {i}") for i, p in enumerate(varied.numpy(), start=1)),
        ],
        "augmentation": (
            f"{magnitudes.translation:.0%} of the width in translation, "
            f"{magnitudes.rotation_degrees:g}° of rotation, {np.expm1(magnitudes.zoom):.0%} of zoom, "
            f"{magnitudes.brightness:.0%} of brightness, {np.expm1(magnitudes.contrast):.0%} of contrast"
        ),
    }


def _picture(picture: np.ndarray, alt: str) -> dict[str, Any]:
    return {
        "uri": data_uri(jpeg(picture), "image/jpeg"),
        "width": picture.shape[1],
        "height": picture.shape[0],
        "alt": alt,
    }
