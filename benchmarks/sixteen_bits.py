"""What does training in bfloat16 cost in mm? The same seeds in bfloat16 and in fp32.

    python -m benchmarks.sixteen_bits PRODUCTION --out DIR [--preset demo] [--seeds 4] [--set schedule.epochs=20]

PRODUCTION is ingested (farm submit ingest); the processor, or the GPU, has bfloat16. Rounding parts two trainings
of one seed after some hundred steps as another seed would, so single pairs differ by chance: the mean over
seeds counts, beside how far apart seeds are. A run that is there already is not done again.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.arguments import production_arguments
from benchmarks.own_store import validation_of, with_own_store
from benchmarks.record import ratio
from facecap_core.learning import model as models
from facecap_core.learning.presets import resolve

KINDS = ("bf16", "fp32")


def main() -> None:
    """Train what is missing, print all."""
    parser = production_arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device")
    options = parser.parse_args()
    device = models.choose_device(options.device)
    if models.precision(device) != "bf16":
        sys.exit("this device has no bfloat16: both would be the same")
    production = with_own_store(options.production, options.out)
    actor = options.actor or next(iter(production.actors))
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(1, options.seeds + 1):
        config = resolve(
            options.preset, [*options.set, f"seed={seed}", "validate_every_epochs=1000"]
        )
        for kind in KINDS:
            name = f"{options.preset}-{kind}-{seed}"
            notes = options.out / "bits" / f"{name}.json"
            with patch.object(models, "precision", lambda _device, kind=kind: kind):
                facts = validation_of(production, actor, config, name, notes, device=options.device)
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
