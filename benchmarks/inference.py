"""Inference: how many pictures a second does the network solve, beside other engines and the machine's limit?

    python -m benchmarks.inference [--quick] [--presets paper cpu] [--threads 1 2] [--device cuda]
    python -m benchmarks.inference --production DIR --model NAME [--actor A]

The network alone: batches of uint8 luma in memory to vertex positions in memory, ours beside eager PyTorch,
torch.compile, ONNX Runtime and OpenVINO (those that are installed), and the limit: the rate of one large
product of matrices by the network's own count of operations. Rounds are interleaved, ratios taken round by
round, of processor time with one thread. With a production: what each way costs in error on its validation shots, in mm.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.arguments import arguments
from benchmarks.network_ways import (
    Clock,
    Solved,
    Way,
    half_name,
    half_type,
    matrix_rate,
    untrained,
    ways,
)
from benchmarks.record import figure, ratio

BATCH = {"cpu": {"paper": 16, "cpu": 64}, "cuda": {"paper": 512, "cpu": 4096}}
SECONDS = (
    0.1  # of each way in a round, about, or one batch: neighbours in time share the machine's state
)
ROUNDS = {"quick": 7, "full": 21}
ALLOWED_MM = 0.01
H200_FRAMES_PER_SECOND = 90_000.0


def rates(
    found: dict[str, Way], luma: np.ndarray, rounds: int, clock: Clock, rate: Callable[[], float]
) -> tuple[dict[str, list[float]], list[float]]:
    """Frames/s of each way in each round, and the machine's GFLOP/s in each."""
    repeats, wrong = {}, []
    first: np.ndarray | None = None
    for name, way in found.items():
        for _ in range(3):  # compiling, choosing kernels, touching memory
            solved = way(luma).copy()
        began = clock()
        way(luma)
        repeats[name] = max(1, round(SECONDS / max(clock() - began, 1e-6)))
        first = solved if first is None else first
        if np.abs(solved - first).max() > 0.02 * np.abs(first).max():
            wrong.append(name)
    if wrong:
        raise SystemExit(f"other positions than ours: {', '.join(wrong)}")
    measured: dict[str, list[float]] = {name: [] for name in found}
    limits = []
    for _ in range(rounds):
        limits.append(rate())
        for name, way in found.items():
            began = clock()
            for _ in range(repeats[name]):
                way(luma)
            measured[name].append(repeats[name] * len(luma) / (clock() - began))
    return measured, limits


def measure(preset: str, threads: int, device: torch.device, size: str) -> None:
    """One table: a preset's network on so many threads."""
    torch.set_num_threads(threads)
    solved = untrained(preset, device)
    half = half_type(device)
    luma = np.random.default_rng(0).integers(
        0, 256, (BATCH[device.type][preset], 1, 320, 240), dtype=np.uint8
    )
    found = ways(solved, threads, half)
    # What else runs lengthens wall-clock time and hardly the processor's; of several threads that wait
    # for each other, and of a GPU, only the former means anything.
    alone = device.type == "cpu" and threads == 1
    clock = time.process_time if alone else time.perf_counter
    measured, limits = rates(
        found, luma, ROUNDS[size], clock, lambda: matrix_rate(device, half, clock)
    )
    ceiling = [limit / solved.gflop for limit in limits]
    where = f"{threads} thread{'s' if threads > 1 else ''}" if device.type == "cpu" else "GPU"
    print(
        f"\npreset {preset}, {solved.gflop:.3f} GFLOP a frame, {where}, batches of {len(luma)},"
        f" {ROUNDS[size]} rounds, {'processor' if alone else 'wall-clock'} time; matrices {statistics.median(limits):,.0f} GFLOP/s"
    )
    for name, values in (measured | {"limit: matrix rate by GFLOP": ceiling}).items():
        share = statistics.median(v / c for v, c in zip(values, ceiling, strict=True))
        print(f"  {name:28} {statistics.median(values):10,.1f} frames/s {share:6.2f} of the limit")
    if half is None:
        print("  bf16                         not on this processor")
    ours = max((name for name in found if name.startswith("ours")), key=lambda n: sum(measured[n]))
    others = [name for name in found if not name.startswith("ours")]
    best = max(others, key=lambda name: statistics.median(measured[name]))
    label = f"{preset}, {where}"
    figure(f"{label}: ours", measured[ours], unit="frames/s")
    ratio(f"{label}: ours : best of others ({best})", measured[ours], measured[best], at_least=1.0)
    for name in others:
        ratio(f"{label}: ours : {name}", measured[ours], measured[name])
    aim = 0.5 if device.type == "cuda" and preset == "paper" else None
    ratio(f"{label}: ours : limit", measured[ours], ceiling, at_least=aim)
    if device.type == "cuda" and "H200" in torch.cuda.get_device_name(device) and aim:
        name = f"{label}: ours on an H200"
        figure(name, measured[ours], unit="frames/s", at_least=H200_FRAMES_PER_SECOND)


def errors(
    production: Path, model: str, actor: str | None, device: str | None, most: int | None
) -> None:
    """What each way's positions of the validation shots are off by."""
    from facecap_core.evaluation.subject import open_subject
    from facecap_core.learning.rmse import per_frame_rmse_mm, pooled_rmse_mm
    from facecap_core.productions.production import load_production
    from facecap_core.stores.groups import open_frames, open_targets

    opened = load_production(production)
    subject = open_subject(opened, actor or next(iter(opened.actors)), model, device)
    if len(subject.views) > 1:
        raise SystemExit("name a model of one camera")
    mm = opened.mm_per_unit
    loaded = subject.model
    solved = Solved(
        loaded.network, loaded.config.network.input_size, loaded.whitening[0], loaded.device
    )
    found = ways(solved, torch.get_num_threads(), half_type(loaded.device))
    found.pop("torch.compile", None)  # it has nothing of its own to round
    for half in (torch.float16, torch.bfloat16):
        engine = solved.engine(half)
        found[f"ours, {half_name(half)}"] = lambda luma, engine=engine: engine.start(luma)()
    off: dict[str, list[np.ndarray]] = {name: [] for name in found}
    apart: dict[str, list[np.ndarray]] = {name: [] for name in found}
    scale = 10.0 / mm  # the network is in cm
    frames = 0
    for shot in subject.shots(subject.names("validation")):
        pictures, targets = open_frames(shot.views[0]), open_targets(shot.target)
        last = min(most or pictures.frames, pictures.frames)
        for start in range(0, last, 64):
            stop = min(start + 64, last)
            luma = pictures.read("luma", start, stop)[:, None]
            target = targets.read("positions", start, stop)
            plain = found["eager PyTorch"](luma) * scale
            for name, way in found.items():
                positions = way(luma) * scale
                args: dict[str, Any] = {"animated": subject.animated, "mm_per_unit": mm}
                off[name].append(per_frame_rmse_mm(positions, target, **args))
                apart[name].append(per_frame_rmse_mm(positions, plain, **args))
            frames += stop - start
    plain_mm = pooled_rmse_mm(np.concatenate(off["eager PyTorch"]))
    print(f"\n{model}: {frames} validation frames, error in mm; apart: from eager PyTorch in fp32")
    for name in found:
        error = pooled_rmse_mm(np.concatenate(off[name]))
        far = np.concatenate(apart[name])
        allowed = "" if far.mean() < ALLOWED_MM else f"  refused: over {ALLOWED_MM} mm"
        print(
            f"  {name:16} {error:8.5f} ({error / plain_mm - 1:+.4%}),"
            f" apart mean {far.mean():.6f} worst frame {far.max():.6f}{allowed}"
        )
        if name.startswith("ours") and not allowed:
            figure(f"{name}: error : plain fp32's", [error / plain_mm], at_most=1.01)


def main() -> None:
    parser = arguments(__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    sizes.add_argument("--full", action="store_true", help="the default")
    parser.add_argument("--presets", nargs="+", default=["cpu", "paper"], choices=BATCH["cpu"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--device", choices=["cpu", "cuda"], help="else a GPU where there is one")
    parser.add_argument("--production", type=Path, help="measure errors on this one instead")
    parser.add_argument("--model")
    parser.add_argument("--actor", help="else the first")
    parser.add_argument("--frames", type=int, help="of each validation shot; else all")
    options = parser.parse_args()
    if options.production:
        if not options.model:
            parser.error("--production needs --model")
        errors(options.production, options.model, options.actor, options.device, options.frames)
        return
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    for preset in options.presets:
        for threads in options.threads if device.type == "cpu" else [1]:
            measure(preset, threads, device, "quick" if options.quick else "full")


if __name__ == "__main__":
    main()
