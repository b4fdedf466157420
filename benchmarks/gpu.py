"""How near to the limits of a GPU are training and inference? Every question that needs one, in one call.

    python -m benchmarks.gpu [--minutes 8.5] [--questions training inference ...] [--device cuda]
    python -m benchmarks.gpu --device cpu --quick          # all of it, tiny, where there is no GPU

Under nine minutes on one GPU, on examples that it synthesises itself. Of the project it needs facecap_core
alone, with torch, numpy, pydantic and safetensors; `end-to-end` needs av and zarr as well. Each question prints its
figures as soon as it has them; one for which time or a package is missing says so and is passed over.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.arguments import arguments
from benchmarks.gpu_training import (
    Bench,
    agreement,
    ceilings,
    convergence,
    profile,
    training_rate,
    whole,
)
from benchmarks.machine import machine, sentence
from benchmarks.record import figure
from benchmarks.training import new_run, paced
from facecap_core.learning.model import Model
from facecap_core.learning.rmse import per_frame_rmse_mm


def inference(bench: Bench) -> None:
    """The network alone, beside other engines and the limit."""
    from benchmarks import inference as script

    if bench.quick:
        model, luma = _model(bench)
        rate = paced(lambda: model.predict(luma), bench.device, len(luma))(0.05)
        figure("inference, tiny network", [rate], unit="frames/s")
        return
    sizes = {"ROUNDS": {"full": 3}, "SECONDS": {"full": 1.0}}
    with patch.multiple("benchmarks.inference", **sizes):
        script.measure("paper", os.cpu_count() or 1, bench.device, "full")


def _model(bench: Bench) -> tuple[Model, np.ndarray]:
    """A model of the paper's network after a few steps of training, and pictures that it has not seen."""
    config = bench.config("paper")
    run = new_run(bench.examples(8 * config.batch, config), config, bench.device)
    for step in range(8):
        run.step(step)
    run.network.eval().requires_grad_(False)
    facts = {"cameras": ["center"], "vertex_count": bench.vertices, "units": "cm"}
    model = Model(run.network, config, run.whitening, bench.device, facts)
    frames = 16 if bench.quick else 512
    return model, bench.examples(frames, config, take=1).luma.cpu().numpy()


def half_error(bench: Bench) -> None:
    """What 16 bits cost the positions, in mm."""
    model, luma = _model(bench)
    exact = model.engine((0,)).start(luma)()
    for name, half in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        found = model.engine((0,), half).start(luma)()
        apart = per_frame_rmse_mm(found, exact, mm_per_unit=10.0)
        most = 0.01 if name == "fp16" else None
        figure(f"error of {name}, mean over frames", [float(apart.mean())], unit="mm", at_most=most)
    used = model.solver(luma[:, None] if luma.ndim == 3 else luma).name
    print(f"  farm uses: {used}")


def end_to_end(bench: Bench) -> None:
    """From video to vertex store, beside its slowest stage alone."""
    for package in ("av", "zarr"):
        importlib.import_module(package)
    if bench.quick:
        print("  measured by benchmarks/end_to_end.py, which has a --quick of its own")
        return
    script = importlib.import_module("benchmarks.end_to_end")
    with patch.object(sys, "argv", ["end_to_end", "--quick", "--presets", "paper"]):
        script.main()


QUESTIONS: dict[str, tuple[Callable[[Bench], None], float]] = {
    "ceilings": (ceilings, 10),
    "agreement": (agreement, 20),
    "training": (training_rate, 80),
    "profile": (profile, 15),
    "inference": (inference, 60),
    "half-error": (half_error, 15),
    "convergence": (convergence, 75),
    "end-to-end": (end_to_end, 60),
    "whole": (whole, 190),
}
"""In this order, with the seconds without which each is not begun."""


def main() -> int:
    """Ask every question for which there is time; 1 where one failed."""
    parser = arguments(__doc__)
    parser.add_argument("--device", default=None, help="default: cuda")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that all of it runs")
    parser.add_argument("--minutes", type=float, default=8.5)
    parser.add_argument("--questions", nargs="+", choices=list(QUESTIONS), default=list(QUESTIONS))
    options = parser.parse_args()
    device = torch.device(options.device or "cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU that torch can use: nothing measured (--device cpu --quick tries the code)")
        return 0
    bench = Bench(device, options.quick, time.monotonic() + 60 * options.minutes)
    print(sentence(machine()), flush=True)
    failed = []
    for name in options.questions:
        ask, needed = QUESTIONS[name]
        print(f"\n== {name}: {(ask.__doc__ or '').splitlines()[0]}", flush=True)
        if not bench.quick and bench.left < needed:
            print(f"  passed over: it needs {needed:.0f} s, {bench.left:.0f} s are left")
            continue
        began = time.monotonic()
        try:
            ask(bench)
        except ModuleNotFoundError as error:
            print(f"  passed over: {error}")
        except (Exception, SystemExit):  # the others may still be answered
            traceback.print_exc()
            failed.append(name)
        print(f"  ({time.monotonic() - began:.1f} s)", flush=True)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
