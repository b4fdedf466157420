"""What does training in bfloat16 cost in mm? The same seeds in bfloat16 and in fp32.

    python -m benchmarks.sixteen_bits PRODUCTION --out DIR [--preset demo] [--seeds 4] [--set schedule.epochs=20]

PRODUCTION is ingested (farm submit ingest); the processor, or the GPU, has bfloat16. Rounding parts two trainings
of one seed after some hundred steps as another seed would, so single pairs differ by chance: the mean over
seeds counts, beside how far apart seeds are. A run that is there already is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.accuracy import begin
from benchmarks.record import ratio
from facecap_core.learning import model as models
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.presets import resolve

KINDS = ("bf16", "fp32")


def main() -> None:
    """Train what is missing, print all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("production", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--actor", help="else the first")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device")
    options = parser.parse_args()
    options.epochs = 0.0
    device = models.choose_device(options.device)
    if models.precision(device) != "bf16":
        sys.exit("this device has no bfloat16: both would be the same")
    bench = begin(options)
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(1, options.seeds + 1):
        config = resolve(
            options.preset, [*options.set, f"seed={seed}", "validate_every_epochs=1000"]
        )
        for kind in KINDS:
            name = f"{options.preset}-{kind}-{seed}"
            notes = bench.out / "bits" / f"{name}.json"
            if not notes.exists():
                began = time.process_time()
                with patch.object(models, "precision", lambda _device, kind=kind: kind):
                    train_actor(
                        bench.production,
                        bench.actor.name,
                        config,
                        model=name,
                        device=options.device,
                        threads=1,
                    )
                told = bench.production.paths.model(bench.actor.name, name) / "model.json"
                facts = {
                    **json.loads(told.read_text())["validation"],
                    "processor_seconds": time.process_time() - began,
                }
                notes.parent.mkdir(parents=True, exist_ok=True)
                notes.write_text(json.dumps(facts) + "\n")
            facts = json.loads(notes.read_text())
            found[kind].append(facts["rmse_mm"])
            print(
                f"  seed {seed}, {kind}: {facts['rmse_mm']:.4f} mm pooled, {facts['frame_mean_mm']:.4f} mm mean of"
                f" frames, {facts['processor_seconds']:.0f} s of a processor",
                flush=True,
            )
    means, squares = [], 0.0
    for kind in KINDS:
        apart = statistics.stdev(found[kind]) if options.seeds > 1 else float("nan")
        means.append(statistics.mean(found[kind]))
        squares += (apart / means[-1]) ** 2 / options.seeds
        print(f"{kind}: {means[-1]:.4f} mm, seeds {apart:.4f} apart")
    quotient = means[0] / means[1]
    error = quotient * squares**0.5
    print(f"bf16 : fp32 {quotient:.4f}, standard error {error:.4f}")
    ratio("validation error, bf16 : fp32", means[:1], means[1:], at_most=1.01)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
