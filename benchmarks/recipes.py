"""Does `fast` reach the error of `paper` with a tenth of its compute? Both recipes on a small network, on any actor.

    python -m benchmarks.recipes PRODUCTION --out DIR [--minutes 1] [--recipes paper,fast] [--seeds 1]

PRODUCTION is ingested (farm submit ingest). The network is that of preset `cpu` (60x80 pixels), the only one that
a machine without a GPU trains for 200 epochs; batch, epochs, optimizer, schedule, augmentation and dropout are
each recipe's own. One thread, so that several runs fit beside each other. A run that is there already is not
done again. `benchmarks/gpu.py` asks the same of the whole network on a GPU.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from benchmarks.accuracy import SMALL
from benchmarks.arguments import production_arguments
from benchmarks.own_store import shortened, training_frames, validation_of, with_own_store
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.presets import resolve


def small(recipe: str, seed: int) -> TrainConfig:
    """The preset with the network of `cpu`."""
    network = resolve("cpu").model_dump(mode="json")["network"]
    settings = [f"{name}={json.dumps(network[name.split('.')[1]])}" for name in SMALL]
    return resolve(recipe, [*settings, f"seed={seed}", "validate_every_epochs=1000"])


def main() -> None:
    """Train what is missing, print all."""
    parser = production_arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="of training footage; else all")
    parser.add_argument("--recipes", default="paper,fast")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    production = with_own_store(options.production, options.out)
    actor = options.actor or next(iter(production.actors))
    if options.minutes is not None:
        production = shortened(production, actor, options.minutes)
    kept = sum(training_frames(production, actor).values())
    print(f"{actor}, {kept} training frames; the mean of the frames' RMSE, and pooled, in mm")
    for recipe in options.recipes.split(","):
        for seed in range(1, options.seeds + 1):
            config, name = small(recipe, seed), f"{recipe}-{kept}-{seed}"
            notes = options.out / "recipes" / f"{name}.json"
            found = validation_of(production, actor, config, name, notes)
            seen = round(kept * config.schedule.epochs)
            print(
                f"  {recipe:6} seed {seed}: {found['frame_mean_mm']:.3f}, {found['rmse_mm']:.3f} mm,"
                f" {seen} frames seen, {found['processor_seconds']:.0f} s of a processor",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
