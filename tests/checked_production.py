"""A production of two actors without a fault, to be copied, broken and checked."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from facecap_core.checks.production_check import CheckReport, check_production
from facecap_core.pointcaches.mdd import write_mdd
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production

FRAMES = 12
SIDE = 6  # vertices of the template along each side
SIZE = (240, 320)

SETTINGS = """\
name  = "small"
fps   = "30"
units = "cm"
[actors.ada]
template = "template.obj"
animated = "animated.txt"
[actors.ada.cameras.center]
crop = [0, 0, 240, 320]
[actors.ada.cameras.left]
crop = [0, 0, 240, 320]
[actors.bob]
template = "template.obj"
[actors.bob.cameras.center]
crop = [0, 0, 240, 320]
"""

SHOTS = """\
shot,actor,category,split,cache,center,left
rom,ada,rom,train,rom.pc2,rom.mp4,rom_left.mp4
pangram,ada,pangrams,train,pangram.pc2,pangram.mp4,
scene,ada,in-character,validation,scene.mdd,scene.mp4,
line,ada,,,,line.mp4,
stills,bob,,,,stills/stills.%04d.png,
"""
LINES = {"rom": 2, "pangram": 3, "scene": 4, "line": 5, "stills": 6}


def rest() -> NDArray[np.float32]:
    """A curved sheet of about a face's size: float32 [vertex, xyz], cm."""
    across, up = np.meshgrid(np.linspace(-6, 6, SIDE), np.linspace(-8, 8, SIDE))
    return np.stack([across, up, -0.05 * across**2], axis=-1).reshape(-1, 3).astype(np.float32)


def motion(frames: int = FRAMES, seed: int = 0) -> NDArray[np.float32]:
    """The sheet with its lower half moving: float32 [frame, vertex, xyz]."""
    random = np.random.default_rng(seed)
    positions = np.repeat(rest()[None], frames, axis=0)
    positions[:, : SIDE * SIDE // 2] += random.normal(0, 0.3, (frames, 1, 3)).astype(np.float32)
    return positions


def write_video(
    path: Path,
    *,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    fps: int = 30,
    seed: int = 0,
    dropped: int | None = None,
) -> None:
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            tile = random.integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
            picture = tile.repeat(8, axis=0).repeat(8, axis=1)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.time_base = Fraction(1, fps)
            frame.pts = index + (dropped is not None and index >= dropped)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_stills(folder: Path) -> None:
    folder.mkdir()
    for number in range(1, 4):
        context = av.VideoCodecContext.create("png", "w")
        context.width, context.height, context.pix_fmt = *SIZE, "rgb24"
        context.time_base = Fraction(1, 30)
        picture = np.full((SIZE[1], SIZE[0], 3), 40 * number, np.uint8)
        (packet,) = context.encode(av.VideoFrame.from_ndarray(picture, "rgb24"))
        (folder / f"stills.{number:04d}.png").write_bytes(bytes(packet))


def write_template(path: Path) -> None:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in rest().tolist()]
    for row in range(SIDE - 1):
        for column in range(SIDE - 1):
            corner = row * SIDE + column + 1
            lines.append(f"f {corner} {corner + 1} {corner + SIDE + 1} {corner + SIDE}")
    path.write_text("\n".join(lines) + "\n")


def make_sound(folder: Path) -> Path:
    """A production without a fault."""
    (folder / "production.toml").write_text(SETTINGS)
    (folder / "shots.csv").write_text(SHOTS)
    write_template(folder / "template.obj")
    (folder / "animated.txt").write_text("0\n1\n2\n")
    for seed, name in enumerate(("rom", "rom_left", "pangram", "scene", "line")):
        write_video(folder / f"{name}.mp4", seed=seed)
    write_stills(folder / "stills")
    write_pc2(folder / "rom.pc2", motion(seed=1))
    write_pc2(folder / "pangram.pc2", motion(seed=2))
    write_mdd(folder / "scene.mdd", motion(seed=3), fps=Fraction(30))
    return folder


def checked(folder: Path) -> CheckReport:
    return check_production(load_production(folder))


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
