"""How fast is a playblast? Frames a processor second, ours beside a plain loop; what its parts take

    python -m benchmarks.review PRODUCTION [--shot ada_rom_05] [--rounds 5]

The shot is solved, and shows more where it has a target. Rates are frames by processor time, which other work on
the machine changes least: two processors keep up with 30 frames/s where one makes 15. Reading is measured once and
counts in both ways. The plain loop draws each panel by itself, in RGB, and leaves the conversion to the encoder.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from benchmarks.arguments import arguments
from benchmarks.machine import busy, machine, sentence
from benchmarks.record import figure, ratio
from facecap_core.productions.production import load_production
from facecap_core.rasteriser import framing_camera
from facecap_core.reports.comparison import MeshPictures, as_rgb
from facecap_core.reviews.measures import measure
from facecap_core.reviews.panels import Panels
from facecap_core.reviews.reviewed_shot import ReviewedShot, Scene, open_reviewed
from facecap_core.reviews.slate import SIZE, Slate

PANEL = (320, 426)


class Plain:
    """Every panel drawn for itself, the pictures put together in RGB and converted by the encoder."""

    def __init__(self, shot: ReviewedShot) -> None:
        self._shot = shot
        self._front = MeshPictures(
            shot.template.faces,
            camera=framing_camera(shot.bounds, PANEL[0] / PANEL[1]),
            size=PANEL,
            highest_mm=4.0,
            supersample=1,
        )

    def picture(self, scene: Scene, number: int) -> av.VideoFrame:
        """The panels of a frame."""
        front, result = self._front, scene.result[number]
        panels = [as_rgb(scene.luma[number], PANEL), front.clay(result)]
        if scene.target is not None:
            target = scene.target[number]
            distance = np.linalg.norm(result - target, axis=1) * self._shot.mm_per_unit
            panels += [front.clay(target), front.difference(result, distance)]
        picture = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
        for place, panel in enumerate(panels):
            left = place * PANEL[0]
            picture[100 : 100 + PANEL[1], left : left + PANEL[0]] = panel
        return av.VideoFrame.from_ndarray(picture, format="rgb24")


@contextmanager
def encoder(path: Path, fps: Fraction) -> Iterator[Callable[[av.VideoFrame], None]]:
    """x264 as the playblast has it, on one thread."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.options = {"crf": "20", "preset": "veryfast", "tune": "animation"}
        stream.codec_context.thread_count = 1
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        yield lambda frame: container.mux(stream.encode(frame))
        container.mux(stream.encode())


def seconds(path: Path, fps: Fraction, frames: int, draw: Callable[[int], av.VideoFrame]) -> float:
    """Processor time of a frame, drawn and encoded."""
    began = time.process_time()
    with encoder(path, fps) as encode:
        for number in range(frames):
            encode(draw(number))
    return (time.process_time() - began) / frames


def parts(slate: Slate, panels: Panels, scene: Scene, path: Path, fps: Fraction) -> None:
    """What a frame takes of each part, in milliseconds of one processor; the median of frames."""
    taken: dict[str, list[float]] = {"meshes": [], "rest of the picture": [], "encoding": []}
    with encoder(path, fps) as encode:
        for number in range(len(scene.luma)):
            target = None if scene.target is None else scene.target[number]
            began = time.process_time()
            panels.meshes(scene.result[number], target)
            drawn = time.process_time()
            picture = slate.picture(scene, number)
            composed = time.process_time()
            encode(picture.frame())
            taken["meshes"].append(drawn - began)
            taken["rest of the picture"].append((composed - drawn) - (drawn - began))
            taken["encoding"].append(time.process_time() - composed)
    for name, each in taken.items():
        print(f"  {name}: {1e3 * statistics.median(each):.1f} ms")


def main() -> None:
    """Print the parts, then the rates of rounds in turns."""
    parser = arguments(__doc__)
    parser.add_argument("production", type=Path)
    parser.add_argument("--shot", default="ada_rom_05")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    facts = machine()
    print(sentence(facts))
    print(busy(facts))
    torch.set_num_threads(1)
    shot = open_reviewed(load_production(given.production), given.shot)
    what = "with target" if shot.target is not None else "without target"
    slate, plain = Slate(shot, measure(shot)), Plain(shot)
    scenes, fps = shot.scenes(), shot.solved.fps
    began = time.process_time()
    scene = next(scenes)
    reading = (time.process_time() - began) / len(scene.luma)
    scenes.close()
    frames = len(scene.luma)
    print(
        f"{shot.name}, its first {frames} frames, {what}\n  decoding and reading: {1e3 * reading:.1f} ms"
    )
    ours, others = [], []
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "review.mp4"
        parts(slate, Panels(shot, PANEL, 4.0), scene, path, fps)
        for _ in range(given.rounds):
            mine = seconds(path, fps, frames, lambda n: slate.picture(scene, n).frame())
            theirs = seconds(path, fps, frames, lambda n: plain.picture(scene, n))
            ours.append(1 / (reading + mine))
            others.append(1 / (reading + theirs))
    figure(f"playblast {what}, a processor", ours, unit="frames/s", at_least=15)
    figure(f"plain loop {what}, a processor", others, unit="frames/s")
    ratio(f"playblast : plain loop, {what}", ours, others)


if __name__ == "__main__":
    main()
