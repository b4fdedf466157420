"""Report pictures: the faces of a page, still and moving, and the augmented inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from facecap_core.evaluation.clips import Clip
from facecap_core.evaluation.shot_measures import Sums
from facecap_core.evaluation.subject import EvaluatedShot
from facecap_core.frame_names import FrameNames, frame_names
from facecap_core.learning.augment import augment, draw
from facecap_core.learning.model import Model
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.rasteriser import framing_camera
from facecap_core.reports.comparison import MeshPictures, encode_h264, film_size, moving_face
from facecap_core.reports.figures import colour_bar, data_uri, jpeg, round_up
from facecap_core.reports.marks import Mark
from facecap_core.reports.wording import mm
from facecap_core.stores.groups import open_frames
from facecap_core.template import Template

STILL = (360, 480)  # width, height of the pictures of single frames
MOVING = (240, 320)  # and of each panel of the moving face: the size of the network's input
VARIANTS = 11  # augmented pictures, which fill two rows with the original


@dataclass(frozen=True)
class View:
    """One view of the face, which holds all targets, for all pictures of the page."""

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


def frame_rows(
    view: View, top_mm: float, marks: Sequence[Mark], stills: Sequence[Clip], production: Production
) -> list[dict[str, Any]]:
    """Inputs, target, result and difference of single frames (Figures 4, 5 and 7)."""
    pictures = view.pictures(STILL, top_mm, supersample=2)
    rows = []
    for mark, still in zip(marks, stills, strict=True):
        names = frame_names(production, mark.shot)
        where = f"of {mark.shot}, frame {names.number(mark.frame)}"
        drawn = [
            *((picture, f"input {where}") for picture in still.luma[0]),
            (pictures.clay(still.target[0]), f"target mesh {where}"),
            (pictures.clay(still.result[0]), f"result mesh {where}"),
            difference(pictures, still, where),
        ]
        rows.append(frame_row(mark, drawn, names))
    return rows


def frame_row(
    mark: Mark, drawn: Sequence[tuple[np.ndarray, str]], names: FrameNames
) -> dict[str, Any]:
    """One frame's line of pictures, each with the words that stand for it."""
    return {
        "figure": mark.figure,
        "kind": mark.kind,
        "note": mark.note,
        "rmse_mm": mark.rmse_mm,
        "shot": mark.shot,
        "frame": names.number(mark.frame),
        "timecode": names.timecode(mark.frame),
        "pictures": [shown(picture, alt) for picture, alt in drawn],
    }


def difference(pictures: MeshPictures, still: Clip, where: str) -> tuple[np.ndarray, str]:
    """The result in the colours of its distances, and words for it."""
    largest = mm(float(still.distance_mm.max()))
    drawn = pictures.difference(still.result[0], still.distance_mm[0])
    return drawn, f"difference in mm {where}: at most {largest} mm"


def mean_maps(view: View, sums: Sums) -> dict[str, Any]:
    """The face at rest in the colours of each vertex' mean distance, and of the part that never changes."""
    distance, systematic = sums.mean_distance_mm, sums.systematic_mm
    top = round_up(max(float(np.quantile(distance, 0.99)), 1e-3))
    pictures = view.pictures(STILL, top, supersample=2)
    return {
        "mean": shown(pictures.difference(view.template.positions, distance), ""),
        "systematic": shown(pictures.difference(view.template.positions, systematic), ""),
        "largest_mm": float(distance.max()),
        "largest_systematic_mm": float(systematic.max()),
        "bar": colour_bar(top, name="mean", label="mean difference (mm)"),
    }


def film(
    view: View,
    top_mm: float,
    clip: Clip,
    heads: Sequence[str],
    fps: Fraction,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    """The moving face as a video. Drawn without supersampling: this is most of the work of a report."""
    pictures = view.pictures(MOVING, top_mm, supersample=1)
    frames, first = len(clip), clip.start_frame + clip.first_frame

    def told() -> Iterator[np.ndarray]:
        for done, picture in enumerate(moving_face(clip, pictures, heads), start=1):
            report(on_progress, Progress("draw", done, frames))
            yield picture

    width, height = film_size(clip, pictures)
    return {
        "shot": clip.shot,
        "first": first,
        "last": first + frames - 1,
        "seconds": f"{float(frames / fps):.1f}",
        "uri": data_uri(encode_h264(told(), fps=fps), "video/mp4"),
        "width": width,
        "height": height,
    }


def augmented_inputs(model: Model, shot: EvaluatedShot, names: FrameNames) -> dict[str, Any]:
    """The middle picture of a shot, and augmented variants of it at full strength (Figure 3)."""
    config = model.config
    store = open_frames(shot.views[0])
    middle = store.frames // 2
    plain = store.read("luma", middle, middle + 1)
    number = names.number(middle)
    draws = draw(VARIANTS, config.augmentation, 1.0, torch.Generator().manual_seed(config.seed))
    batch = torch.from_numpy(np.repeat(plain, VARIANTS, axis=0))
    varied = augment(batch, draws, model.whitening[0].mean).round().clamp(0, 255).to(torch.uint8)
    return {
        "crop_shot": shot.shot,
        "crop_frame": number,
        "crops": [
            shown(plain[0], f"input {number} of {shot.shot}, not augmented"),
            *(shown(p, f"augmented variant {i}") for i, p in enumerate(varied.numpy(), start=1)),
        ],
        "augmentation": _magnitudes(model),
    }


def _magnitudes(model: Model) -> str:
    largest = model.config.augmentation
    told = [
        f"{largest.translation:.0%} of the width in translation",
        f"{largest.rotation_degrees:g}° of rotation",
        f"{np.expm1(largest.zoom):.0%} of zoom",
        f"{largest.brightness:.0%} of brightness",
        f"{np.expm1(largest.contrast):.0%} of contrast",
        f"a deviation of {largest.noise:.1%} in noise" if largest.noise else "",
        f"{np.expm1(largest.gamma):.0%} of gamma" if largest.gamma else "",
        f"{largest.perspective:.0%} of perspective" if largest.perspective else "",
    ]
    return ", ".join(filter(None, told))


def shown(picture: np.ndarray, alt: str) -> dict[str, Any]:
    """A picture for the page, uint8 [y, x] or [y, x, rgb], with the words that stand for it."""
    return {
        "uri": data_uri(jpeg(picture), "image/jpeg"),
        "width": picture.shape[1],
        "height": picture.shape[0],
        "alt": alt,
    }
